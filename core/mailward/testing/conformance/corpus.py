"""Which messages must a filter stand? Ordinary ones, huge ones, and those that somebody makes to break it; all made here."""

import base64
import io
import zipfile
from collections.abc import Callable, Mapping
from functools import cache
from typing import Literal

from mailward.testing.making import make_mail

Kind = Literal["ordinary", "huge", "hostile"]

_TOP = b"From: Ann <ann@example.net>\r\nTo: bob@example.org\r\nSubject: x\r\nDate: Thu, 1 Jan 2026 12:00:00 +0000\r\n"
_MIME = _TOP + b"MIME-Version: 1.0\r\n"
_MIXED = _MIME + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
MEGABYTE = 1 << 20


def messages(kind: Kind) -> Mapping[str, bytes]:
    """By name. They are made when they are first asked for: some have many megabytes."""
    return {name: _made(kind, name) for name in _MAKERS[kind]}


@cache
def _made(kind: Kind, name: str) -> bytes:
    return _MAKERS[kind][name]()


def _part(content: bytes, kind: bytes = b"text/plain", more: bytes = b"") -> bytes:
    return b"--b\r\nContent-Type: " + kind + b"\r\n" + more + b"\r\n" + content + b"\r\n"


def _mixed(*parts: bytes) -> bytes:
    return _MIXED + b"".join(parts) + b"--b--\r\n"


def _header(line: bytes) -> bytes:
    return line + b"\r\n" + _TOP + b"\r\ntext\r\n"


def _of_type(fields: bytes, body: bytes) -> bytes:
    return _MIME + fields + b"\r\n\r\n" + body + b"\r\n"


def _nested(levels: int, kind: bytes) -> bytes:
    return _MIME + b"".join(
        b"Content-Type: " + kind % n + b"\r\n\r\n" + (b"--b%d\r\n" % n if b"multipart" in kind else b"") for n in range(levels)
    )


def _bomb() -> bytes:
    """A ZIP file of some kilobytes that holds ten megabytes of zeros."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros", bytes(10 * MEGABYTE))
    return made.getvalue()


_REPORT = (
    b"Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n"
    b"--b\r\n\r\nIt came back.\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example.net\r\n\r\n"
    b"Final-Recipient: rfc822; bob@example.org\r\nAction: failed\r\nStatus: 5.1.1\r\n\r\n--b--"
)
_MAKERS: Mapping[Kind, Mapping[str, Callable[[], bytes]]] = {
    "ordinary": {
        "plain text": make_mail,
        "text and HTML": lambda: make_mail(html="<p>Shall we have <a href='https://example.net/'>lunch</a>?</p>"),
        "an attached file": lambda: make_mail(attach={"minutes.pdf": b"%PDF-1.7\n" + bytes(range(256)) * 20}),
        "letters beyond ASCII": lambda: make_mail(
            "Grüße aus Köln\n", subject="Mittagessen für zwei", author="Ünal <u@example.net>"
        ),
        "Japanese": lambda: (
            b"From: b@example.jp\r\nSubject: =?iso-2022-jp?b?GyRCJDMkcyRLJEEkTxsoQg==?=\r\n"
            b"Content-Type: text/plain; charset=iso-2022-jp\r\n\r\n\x1b$B$3$s$K$A$O\x1b(B\r\n"
        ),
        "a mailing list": lambda: make_mail(fields={"List-Id": "<talk.lists.example.net>", "Precedence": "list"}),
        "a forwarded message": lambda: _mixed(_part(b"see below"), _part(make_mail(), b"message/rfc822")),
        "a delivery report": lambda: _of_type(b"Auto-Submitted: auto-replied", b"")[:-4] + _REPORT + b"\r\n",
        "an invitation": lambda: _mixed(
            _part(b"BEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\nEND:VCALENDAR", b"text/calendar; method=REQUEST")
        ),
        "quoted-printable": lambda: _of_type(
            b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable",
            b"a=20soft=\r\nbreak =C3=BC",
        ),
        "encrypted": lambda: _of_type(
            b'Content-Type: multipart/encrypted; protocol="application/pgp-encrypted"; boundary=b',
            _part(b"Version: 1", b"application/pgp-encrypted")
            + _part(b"-----BEGIN PGP MESSAGE-----", b"application/octet-stream")
            + b"--b--",
        ),
        "without a body": lambda: _TOP + b"\r\n",
    },
    "huge": {
        "eight megabytes of text": lambda: (
            _TOP + b"\r\n" + b"The quick brown fox jumps over the lazy dog.\r\n" * (8 * MEGABYTE // 46)
        ),
        "eight megabytes of attachment": lambda: _mixed(
            _part(base64.encodebytes(bytes(6 * MEGABYTE)), b"application/octet-stream", b"Content-Transfer-Encoding: base64\r\n")
        ),
        "one line of two megabytes": lambda: _TOP + b"\r\n" + b"a" * (2 * MEGABYTE) + b"\r\n",
        "three thousand parts": lambda: _mixed(*[_part(b"part %d" % n) for n in range(3000)]),
        "ten thousand header fields": lambda: b"".join(b"X-%d: %d\r\n" % (n, n) for n in range(10_000)) + _TOP + b"\r\ntext\r\n",
        "a header field of 200 kilobytes": lambda: _header(b"X-Long: " + b"word " * 40_000),
        "five thousand recipients in To": lambda: _header(b"To: " + b",\r\n ".join(b"u%d@example.org" % n for n in range(5000))),
        "HTML nested ten thousand deep": lambda: _of_type(b"Content-Type: text/html", b"<div>" * 10_000 + b"x"),
        "words without end": lambda: _TOP + b"\r\n" + b"".join(b"w%06d " % n for n in range(200_000)) + b"\r\n",
    },
    "hostile": {
        "nothing at all": lambda: b"",
        "an empty line": lambda: b"\r\n",
        "no header": lambda: b"\r\nbody alone\r\n",
        "a header without an end": lambda: b"From: a@example.net\r\nSubject: x",
        "octets at random": lambda: bytes((n * 167 + n // 7) % 256 for n in range(4096)),
        "NUL octets": lambda: _TOP + b"X-\0: \0\r\n\r\n\0a\0b\0\r\n",
        "bare CR and LF": lambda: b"From: a@example.net\nSubject: x\r\r\n\nbody\rwith\nboth\r\n.\r\n",
        "two authors": lambda: b"From: a@example.net\r\nFrom: b@example.org\r\n" + _TOP + b"\r\nx\r\n",
        "an author that is none": lambda: b"From: ;;<<>>@@,,(((\r\nTo: undisclosed\r\n\r\nx\r\n",
        "a domain that is none": lambda: b"From: a@" + b"x" * 300 + b".example\r\n\r\nx\r\n",
        "line ends in an encoded word": lambda: _header(b"Subject: =?utf-8?q?a=0D=0AX-Injected:_yes=0D=0A=0D=0Abody?="),
        "control characters for a terminal": lambda: _header(b"Subject: =?utf-8?q?=1B[2J=1B]0;pwned=07?="),
        "text that turns around": lambda: _header("Subject: \u202egnp.exe\u2066 \U000e0041".encode()),
        "surrogates": lambda: _of_type(b"Content-Type: text/plain; charset=utf-16", b"\xff\xfe\x00\xd8\x00\xdc\x00\xdd"),
        "charsets that nobody knows": lambda: _of_type(
            b"Content-Type: text/plain; charset=x-evil\r\nSubject: =?x-evil?b?AAAA?=", b"\xff\x80"
        ),
        "UTF-7": lambda: _of_type(b"Content-Type: text/html; charset=utf-7", b"+ADw-script+AD4-alert(1)+ADw-/script+AD4-"),
        "8-bit in a header": lambda: _header(b"Subject: \xff\xfe\xc3\x28"),
        "a boundary that is not there": lambda: _MIME + b"Content-Type: multipart/mixed; boundary=c\r\n\r\n--b\r\n\r\nx\r\n",
        "a multipart without a boundary": lambda: _of_type(b"Content-Type: multipart/mixed", b"--\r\n\r\nx"),
        "parts that never end": lambda: _MIXED + b"--b\r\n\r\none\r\n--b\r\nContent-Type: text/html\r\n",
        "base64 that is none": lambda: _of_type(b"Content-Transfer-Encoding: base64", b"!!!QQ==QQ=Q=\r\n===="),
        "quoted-printable that is none": lambda: _of_type(b"Content-Transfer-Encoding: quoted-printable", b"=\r\n=Z=0=GG=\0="),
        "two transfer encodings": lambda: _of_type(
            b"Content-Transfer-Encoding: base64\r\nContent-Transfer-Encoding: 8bit", b"QUJD"
        ),
        "parameters in pieces": lambda: _of_type(
            b"Content-Type: text/plain; name*1*=%00%0d; name*0*=utf-8''..%2f..%2f; name*999999999999=x; charset", b"x"
        ),
        "file names that climb": lambda: make_mail(
            attach={"../../etc/passwd": b"root", "a\u202e.exe ": b"MZ", "x" * 3000: b"", "CON": b""}
        ),
        "an archive that unfolds": lambda: make_mail(attach={"zeros.zip": _bomb()}),
        "messages in messages": lambda: _nested(200, b"message/rfc822; n=%d"),
        "multiparts in multiparts": lambda: _nested(200, b"multipart/mixed; boundary=b%d"),
        "comments in comments": lambda: _header(b"From: " + b"(" * 5000 + b" a@example.net"),
        "quotes and backslashes": lambda: _header(b'To: "' + b"\\" * 5001 + b'" <a@example.net>'),
        "what slow patterns dread": lambda: (
            _TOP + b"\r\n" + b"a" * 30_000 + b"!" + b" \t" * 20_000 + b"@" * 10_000 + b"4111 " * 10_000 + b"\r\n"
        ),
        "a date beyond all calendars": lambda: b"Date: Fri, 99 Foo 999999999 99:99:99 +9999\r\n" + _TOP + b"\r\nx\r\n",
        "numbers too large": lambda: _header(b"Content-Length: 99999999999999999999999\r\nX-Priority: -1e400\r\nLines: 0x"),
        "HTML that is none": lambda: _of_type(
            b"Content-Type: text/html", b"<a href='http://[::1'><<!--<![CDATA[<script>&#xFFFFFFFF;&#0;</ <a "
        ),
        "links that are none": lambda: make_mail("http://[ https://:99999/ http://\u3000.example/ mailto:%ff http://a@b@c/ //\n"),
        "an empty signature": lambda: _header(b"DKIM-Signature: v=1; a=rsa-sha256; d=; s=; h=; bh=!; b=!"),
        "results that it made itself": lambda: _header(
            b"Authentication-Results: mx.example.org; spf=pass; dkim=pass; dmarc=pass"
        ),
    },
}
