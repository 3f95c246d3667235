"""Messages of our own about what the tree of parts is made of: delimiter lines, headers that end early, nesting, defaults, limits."""

from collections.abc import Mapping

_MIXED = "Content-Type: multipart/mixed; boundary=%s\n\n"


def _crlf(text: str) -> bytes:
    return text.replace("\n", "\r\n").encode("latin-1")


CASES: Mapping[str, bytes] = {
    "trailing-blanks": _crlf(_MIXED % "b" + "--b \t\n\none\n--b  \n\ntwo\n--b-- \t\nepi\n"),
    "junk-after": _crlf(_MIXED % "b" + "--bjunk\n\none\n--b junk\n\ntwo\n--b--junk\nepi\n"),
    "dash-one": _crlf(_MIXED % "b" + "--b\n\none\n--b-\n\ntwo\n--b--\nepi\n"),
    "after-close": _crlf(_MIXED % "b" + "--b\n\none\n--b--\n\n--b\n\ntwo\n--b--\n"),
    "inner-extends-outer": _crlf(_MIXED % "b" + "--b\n" + _MIXED % "bb" + "--bb\n\none\n--bb--\n--b\n\ntwo\n--b--\n"),
    "outer-extends-inner": _crlf(_MIXED % "bb" + "--bb\n" + _MIXED % "b" + "--b\n\none\n--b--\n--bb\n\ntwo\n--bb--\n"),
    "same-boundary": _crlf(_MIXED % "b" + "--b\n" + _MIXED % "b" + "--b\n\none\n--b--\n--b\n\ntwo\n--b--\n"),
    "inner-unclosed": _crlf(_MIXED % "a" + "--a\n" + _MIXED % "b" + "--b\n\none\n--a\n\ntwo\n--a--\n"),
    "inner-unclosed-outer-closes": _crlf(_MIXED % "a" + "--a\n" + _MIXED % "b" + "--b\n\none\n--a--\n--b\n\nx\n"),
    "inner-after-outer-close": _crlf(_MIXED % "a" + "--a\n" + _MIXED % "b" + "--b\n\none\n--b\n\nx\n--a--\n--b\n\nx\n--b--\n"),
    "unclosed": _crlf(_MIXED % "b" + "--b\n\none\n"),
    "unclosed-no-eol": _crlf(_MIXED % "b" + "--b\n\none"),
    "delim-at-eof": _crlf(_MIXED % "b" + "--b\n\none\n--b"),
    "delim-at-eof-nl": _crlf(_MIXED % "b" + "--b\n\none\n--b\n"),
    "delim-at-eof-nlnl": _crlf(_MIXED % "b" + "--b\n\none\n--b\n\n"),
    "close-only": _crlf(_MIXED % "b" + "--b--\n"),
    "no-delimiter": _crlf(_MIXED % "b" + "nothing\nhere\n"),
    "no-body": _crlf((_MIXED % "b").rstrip("\n") + "\n"),
    "adjacent": _crlf(_MIXED % "b" + "--b\n--b\n--b--\n"),
    "adjacent-empty": _crlf(_MIXED % "b" + "--b\n\n--b\n\n\n--b--\n"),
    "header-only-part": _crlf(_MIXED % "b" + "--b\nA: b\n--b\nA: b\n\n--b\nA: b\n\n\n--b--\n"),
    "header-no-colon": _crlf(_MIXED % "b" + "--b\njust text\n--b\njust text\n\nbody\n--b--\n"),
    "preamble": _crlf(_MIXED % "b" + "pre\n--c\n --b\n--b\n\none\n--b--\nepi\n--c--\n"),
    "delim-first": _crlf((_MIXED % "b")[:-1] + "--b\n\none\n--b--\n"),
    "digest": _crlf(
        "Content-Type: multipart/digest; boundary=b\n\n--b\n\nSubject: 1\n\none\n--b\nContent-Type: text/plain\n\ntwo\n--b\nX: y\n\nSubject: 3\n\nthree\n--b--\n"
    ),
    "digest-nested": _crlf(
        "Content-Type: multipart/digest; boundary=b\n\n--b\nContent-Type: multipart/mixed; boundary=c\n\n--c\n\nS: 1\n\none\n--c--\n--b--\n"
    ),
    "digest-bad-type": _crlf("Content-Type: multipart/digest; boundary=b\n\n--b\nContent-Type: nonsense\n\nS: 1\n\none\n--b--\n"),
    "digest-empty-type": _crlf("Content-Type: multipart/digest; boundary=b\n\n--b\nContent-Type:\n\nS: 1\n\none\n--b--\n"),
    "rfc822-b64": _crlf("Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nU3ViamVjdDogaGkKCmJvZHkK\n"),
    "rfc822-qp": _crlf("Content-Type: message/rfc822\nContent-Transfer-Encoding: quoted-printable\n\nSubject: =\nhi\n\nbody=\n"),
    "rfc822-b64-mp": _crlf(
        _MIXED % "b" + "--b\nContent-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nU3ViamVjdDogaGkKCmJvZHkK\n--b--\n"
    ),
    "rfc822-empty": _crlf(
        _MIXED % "b"
        + "--b\nContent-Type: message/rfc822\n\n--b\nContent-Type: message/rfc822\n\n\n--b\nContent-Type: message/rfc822\n--b--\n"
    ),
    "rfc822-header-only": _crlf(
        _MIXED % "b"
        + "--b\nContent-Type: message/rfc822\n\nSubject: x\n--b\nContent-Type: message/rfc822\n\nSubject: x\n\n--b\nContent-Type: message/rfc822\n\nSubject: x\n\n\n--b--\n"
    ),
    "rfc822-multipart": _crlf(
        _MIXED % "b"
        + "--b\nContent-Type: message/rfc822\n\n"
        + _MIXED % "c"
        + "--c\n\none\n--c--\n--b\nContent-Type: message/rfc822\n\n"
        + _MIXED % "c"
        + "--c\n\none\n--c--\n\n--b--\n"
    ),
    "rfc822-root": _crlf("Content-Type: message/rfc822\n\nSubject: x\nContent-Type: message/rfc822\n\nSubject: y\n\nbody\n"),
    "global": _crlf("Content-Type: message/global\n\nSubject: x\n\nbody\n"),
    "partial": _crlf("Content-Type: message/partial; id=x; number=1; total=2\n\nSubject: x\n\nbody\n"),
    "news": _crlf("Content-Type: message/news\n\nSubject: x\n\nbody\n"),
    "headers": _crlf("Content-Type: text/rfc822-headers\n\nSubject: x\n"),
    "dsn": _crlf("Content-Type: message/delivery-status\n\nA: b\n\nC: d\n"),
    "two-types": _crlf("Content-Type: text/plain\nContent-Type: text/html\n\nx\n"),
    "two-types-mp": _crlf(
        "Content-Type: multipart/mixed; boundary=a\nContent-Type: multipart/mixed; boundary=b\n\n--a\n\none\n--b\n\ntwo\n--b--\n--a--\n"
    ),
    "mp-b64": _crlf("Content-Type: multipart/mixed; boundary=b\nContent-Transfer-Encoding: base64\n\n--b\n\none\n--b--\n"),
    "boundary-blank-end": _crlf('Content-Type: multipart/mixed; boundary="b "\n\n--b \n\none\n--b--\n'),
    "boundary-empty": _crlf('Content-Type: multipart/mixed; boundary=""\n\n--\n\none\n----\n'),
    "long70": _crlf(_MIXED % ("b" * 70) + "--" + "b" * 70 + "\n\none\n--" + "b" * 70 + "--\n"),
    "long200": _crlf(_MIXED % ("b" * 200) + "--" + "b" * 200 + "\n\none\n--" + "b" * 200 + "--\n"),
    "long300": _crlf(_MIXED % ("b" * 300) + "--" + "b" * 300 + "\n\none\n--" + "b" * 300 + "--\n"),
    "long300-differ": _crlf(_MIXED % ("b" * 300) + "--" + "b" * 299 + "\n\none\n--" + "b" * 299 + "--\n"),
    "no-eol": _crlf("Subject: x\n\nbody"),
    "header-no-empty": _crlf("Subject: x\n"),
    "header-no-eol": _crlf("Subject: x"),
    "only-empty": _crlf("\n"),
    "empty-header": _crlf("\nbody\n"),
    "lines0": _crlf("\nbody"),
    "lines1": _crlf("\nbody\n"),
    "lines2": _crlf("\na\nb"),
    "cr-delim": b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\r\n\r\none\r--b\r\n\r\ntwo\r\n--b--\r\n",
    "deep40": _crlf("".join(_MIXED % n + f"--{n}\n" for n in range(40)) + "\nx\n"),
    "deep101": _crlf("".join(_MIXED % f"q{n}q" + f"--q{n}q\n" for n in range(101)) + "\nx\n"),
    "deep-rfc822": _crlf("Content-Type: message/rfc822\n\n" * 40 + "\nx\n"),
    "parts-2100": _crlf(_MIXED % "b" + "--b\n\n\n" * 2100 + "--b--\n"),
    "mp-unknown": _crlf("Content-Type: multipart/x-foo; boundary=b\n\n--b\n\none\n--b--\n"),
    "ws-line-ends-header": _crlf("Subject: x\n \nbody\n"),
    "folded-empty": _crlf("Subject: x\n \n y\n\nbody\n"),
    "mime-version-none": _crlf("Content-Type: text/html\n\nx"),
    "type-comment": _crlf("Content-Type: (c) multipart/mixed (d); (e) boundary=(f)b\n\n--b\n\none\n--b--\n"),
    "continuations": _crlf(
        "Content-Type: text/plain; name*0=a; name*1=b; title*0*=utf-8''x%20; title*1=\"y'% z\"; title*2*=%41\n\nx"
    ),
}
