"""The bad inputs of the threat list, one by one: each names an anomaly, and is read as far as anybody could read it.

T-MIME: whenever another reader may find other parts or other content, an anomaly of that kind says so. T-HDR: nobody is taken
for the author without a warning where others could take another.
"""

import pytest

from mailward.formats.anomalies import ANOMALIES, hide_content
from mailward.formats.message import MessageView

_TOP = b"From: a@example.org\r\nTo: b@example.net\r\nSubject: x\r\nDate: Tue, 24 Nov 2026 10:04:05 +0100\r\nMessage-ID: <1@example.org>\r\n"


def _message(*fields: bytes, body: bytes = b"text\r\n") -> bytes:
    return _TOP + b"".join(field + b"\r\n" for field in fields) + b"\r\n" + body


def _parts(content_type: bytes, boundary: bytes = b"B") -> bytes:
    """A multipart whose Content-Type is given as it stands behind the colon, with parts as one reading has them."""
    return _message(
        b"Content-Type:" + content_type,
        body=b"--%b\r\n\r\nfirst\r\n--%b\r\nContent-Type: application/x\r\n\r\nsecond\r\n--%b--\r\n" % (3 * (boundary,)),
    )


def _body(body: bytes, boundary: bytes = b"foo") -> bytes:
    return _message(b"Content-Type: multipart/mixed; boundary=" + boundary, body=body)


def _encoded(encoding: bytes, body: bytes) -> bytes:
    return _message(b"Content-Type: application/x", b"Content-Transfer-Encoding:" + encoding, body=body)


def _part_header(header: bytes) -> bytes:
    return _body(b"--foo\r\n" + header + b"QUJD\r\n--foo--\r\n")


MIME: dict[str, dict[str, bytes]] = {
    "t_mime_01": {
        "two boundaries": _parts(b" multipart/mixed; boundary=A; boundary=B"),
        "comma list": _parts(b" multipart/mixed; boundary=A, boundary=B"),
        "two fields": _parts(b" multipart/mixed; boundary=A\r\nContent-Type: multipart/mixed; boundary=B"),
        "type list": _parts(b" multipart/mixed, application/octet-stream; boundary=B"),
    },
    "t_mime_02": {
        "section and plain": _parts(b" multipart/mixed; boundary*0=A; boundary=B"),
        "charset and plain": _parts(b" multipart/mixed; boundary*=us-ascii''B; boundary=A"),
        "section twice": _parts(b" multipart/mixed; boundary*0=A; boundary*0=B"),
        "encoded sections": _parts(b" multipart/mixed; boundary*0*=us-ascii''%42; boundary*1*=%42", b"BB"),
        "sections": _parts(b" multipart/mixed; boundary*0=B; boundary*1=B", b"BB"),
        "sections in disorder": _parts(b" multipart/mixed; boundary*1=B; boundary*0=A", b"AB"),
    },
    "t_mime_03": {
        "encoded-word": _parts(b' multipart/mixed; boundary="=?us-ascii?Q?B?="'),
        "half encoded": _parts(b' multipart/mixed; boundary="A=?us-ascii?Q?B?="', b"AB"),
        "not quoted": _parts(b" multipart/mixed; boundary==?us-ascii?Q?B?="),
    },
    "t_mime_04": {
        "bad name": _parts(b" multipart/mixed; x:y=1; boundary=B"),
        "8-bit name": _parts(b" multipart/mixed; \xe4=1; boundary=B"),
        "no semicolon": _parts(b" multipart/mixed boundary=B"),
        "junk behind": _parts(b" multipart/mixed; boundary=foo;foo", b"foo"),
    },
    "t_mime_05": {
        "comment in name": _parts(b" multipart/mixed; boundary((c))=A; boundary=B"),
        "comment before value": _parts(b" multipart/mixed; boundary=(c)B"),
        "comment in value": _parts(b" multipart/mixed; boundary=A(c)B", b"AB"),
        "comment in field name": _message(b"Content-Type(c): multipart/mixed; boundary=B", body=b"--B\r\n\r\nx\r\n--B--\r\n"),
        "comment in encoding": _encoded(b" bas(com\r\n ment)e64", b"QUJD\r\n"),
        "half open": _parts(b" multipart/mixed; boundary=A (c; boundary=B"),
    },
    "t_mime_06": {
        "blank before": _parts(b' multipart/mixed; boundary=" B"'),
        "blank behind": _parts(b' multipart/mixed; boundary="B "'),
        "blank inside": _parts(b" multipart/mixed; boundary=B C"),
        "nul": _parts(b" multipart/mixed; boundary=\x00B"),
        "blank before sign": _parts(b" multipart/mixed; boundary =B"),
        "fold behind sign": _parts(b" multipart/mixed; boundary=\r\n B"),
    },
    "t_mime_07": {
        "empty quotes": _parts(b' multipart/mixed; boundary=""B'),
        "quoted and more": _parts(b' multipart/mixed; boundary="A"B'),
        "unclosed": _parts(b' multipart/mixed; boundary="B'),
        "single quotes": _parts(b" multipart/mixed; boundary='B'"),
        "quoted pair": _parts(b' multipart/mixed; boundary="\\B"'),
    },
    "t_mime_08": {
        "nothing": _parts(b" multipart/mixed; boundary=", b""),
        "nothing quoted": _parts(b' multipart/mixed; boundary=""', b""),
        "nothing and more": _parts(b" multipart/mixed; boundary=; x=y", b""),
        "none": _parts(b" multipart/mixed", b""),
    },
    "t_mime_09": {
        "blank before": _body(b" --foo\r\n\r\nfirst\r\n --foo--\r\n"),
        "junk behind": _body(b"--foo x\r\n\r\nfirst\r\n--foo--\r\n"),
        "junk behind the close": _body(b"--foo\r\n\r\nfirst\r\n--foo--x\r\n\r\nsecond\r\n--foo--\r\n"),
        "never closed": _body(b"--foo\r\n\r\nfirst\r\n"),
        "parts after the close": _body(b"--foo\r\n\r\nfirst\r\n--foo--\r\n--foo\r\n\r\nsecond\r\n--foo--\r\n"),
    },
    "t_mime_10": {
        "same": _body(b"--foo\r\nContent-Type: multipart/mixed; boundary=foo\r\n\r\n--foo\r\n\r\nx\r\n--foo--\r\n--foo--\r\n"),
        "longer inside": _body(
            b"--foo\r\nContent-Type: multipart/mixed; boundary=foobar\r\n\r\n--foobar\r\n\r\nx\r\n--foobar--\r\n--foo--\r\n"
        ),
        "longer outside": _body(
            b"--foobar\r\nContent-Type: multipart/mixed; boundary=foo\r\n\r\n--foo\r\n\r\nx\r\n--foo--\r\n--foobar--\r\n",
            b"foobar",
        ),
    },
    "t_mime_11": {"another boundary": _body(b"--faa\r\n\r\nfirst\r\n--faa--\r\n")},
    "t_mime_12": {
        "no subtype": _parts(b" multipart; boundary=B"),
        "empty subtype": _parts(b" multipart/; boundary=B"),
        "fold": _parts(b" multipart\r\n /mixed; boundary=B"),
        "blank before name": _part_header(b" Content-Transfer-Encoding: base64\r\n\r\n"),
        "blank behind name": _part_header(b"Content-Transfer-Encoding : base64\r\n\r\n"),
        "nul before name": _part_header(b"\x00Content-Transfer-Encoding: base64\r\n\r\n"),
        "nul in name": _part_header(b"Content-Transfer-\x00Encoding: base64\r\n\r\n"),
        "no name": _part_header(b": base64\r\n\r\n"),
        "no colon": _part_header(b"Content-Transfer-Encoding base64\r\n\r\n"),
        "name twice": _parts(b" Content-Type: multipart/mixed; boundary=B"),
        "two types": _parts(b" text/plain multipart/mixed; boundary=B"),
        "empty": _parts(b""),
    },
    "t_mime_13": {
        "two": _message(b"Content-Transfer-Encoding: 7bit", b"Content-Transfer-Encoding: base64", body=b"QUJD\r\n"),
        "two, other order": _message(b"Content-Transfer-Encoding: base64", b"Content-Transfer-Encoding: 7bit", body=b"QUJD\r\n"),
        "three": _message(
            *(b"Content-Transfer-Encoding: " + name for name in (b"8bit", b"quoted-printable", b"base64")), body=b"QUJD\r\n"
        ),
        "list": _encoded(b" base64, quoted-printable", b"QUJD\r\n"),
        "quoted": _encoded(b' "base64"', b"QUJD\r\n"),
        "digit behind": _encoded(b" base645", b"QUJD\r\n"),
        "hyphen behind": _encoded(b" base64-", b"QUJD\r\n"),
        "fold": _encoded(b" bas\r\n e64", b"QUJD\r\n"),
        "nul": _encoded(b" bas\x00e64", b"QUJD\r\n"),
        "blank": _encoded(b" b ase64", b"QUJD\r\n"),
        "parameter": _encoded(b" base64; x=1", b"QUJD\r\n"),
        "comment": _encoded(b" (c)base64", b"QUJD\r\n"),
        "unknown": _encoded(b" x-other", b"QUJD\r\n"),
    },
    "t_mime_14": {
        "multipart": _message(
            b"Content-Type: multipart/mixed; boundary=B", b"Content-Transfer-Encoding: base64", body=b"LS1C\r\n"
        ),
        "message": _message(
            b"Content-Type: message/rfc822", b"Content-Transfer-Encoding: base64", body=b"U3ViamVjdDogeA0KDQp4\r\n"
        ),
        "message, quoted-printable": _message(
            b"Content-Type: message/rfc822", b"Content-Transfer-Encoding: quoted-printable", body=b"Subject: =41\r\n\r\nx\r\n"
        ),
    },
    "t_mime_16": {
        "full stop": _encoded(b" base64", b"QU.JD\r\n"),
        "hyphen": _encoded(b" base64", b"QU-JD\r\n"),
        "number sign": _encoded(b" base64", b"QU#JD\r\n"),
        "padding inside": _encoded(b" base64", b"RUk=\r\nQ0FS\r\n"),
        "no padding": _encoded(b" base64", b"QUI\r\n"),
        "one letter more": _encoded(b" base64", b"QUJDR\r\n"),
        "url-safe": _encoded(b" base64", b"_-8=\r\n"),
        "data behind": _encoded(b" base64", b"QUI=\r\ntext\r\n"),
        "joined": _encoded(b" base64", b"QQ==QQ==\r\n"),
        "too much padding": _encoded(b" base64", b"QQ====\r\n"),
    },
    "t_mime_17": {
        "one digit": _encoded(b" quoted-printable", b"a=0\r\n"),
        "half an escape": _encoded(b" quoted-printable", b"a=0x\r\n"),
        "two signs": _encoded(b" quoted-printable", b"a==41\r\n"),
        "blank between": _encoded(b" quoted-printable", b"a= =41\r\n"),
        "tab": _encoded(b" quoted-printable", b"a=\t\r\nb\r\n"),
        "illegal": _encoded(b" quoted-printable", b"a=ZZ\r\n"),
        "lower case": _encoded(b" quoted-printable", b"a=3d\r\n"),
        "8-bit": _encoded(b" quoted-printable", b"a\xe4\r\n"),
    },
    "t_mime_18": {
        "uuencode": _message(body=b"text\r\nbegin 644 a.exe\r\n#0V%T\r\n`\r\nend\r\n"),
        "yenc": _message(body=b"=ybegin line=128 size=3 name=a.exe\r\nklm\r\n=yend size=3\r\n"),
    },
    "t_mime_19": {
        "partial": _message(
            b'Content-Type: message/partial; id="1@example.org"; number=1; total=3', body=b"Subject: x\r\n\r\nx\r\n"
        ),
        "external": _message(b"Content-Type: message/external-body; access-type=URL; URL=x", body=b"Content-Type: a/b\r\n\r\n"),
    },
}


@pytest.mark.parametrize(("threat", "name"), [pytest.param(t, n, id=f"{t}-{n}") for t, rows in MIME.items() for n in rows])
def test_what_hides_content_is_said(threat: str, name: str) -> None:
    view = MessageView(MIME[threat][name])
    assert hide_content(view.anomalies), view.anomalies


def _line_ends(break_: bytes) -> bytes:
    return _part_header(b"Content-Type: application/x" + break_ + b"Content-Transfer-Encoding: base64\r\n\r\n")


@pytest.mark.parametrize(
    "octets",
    [
        pytest.param(_line_ends(b"\r"), id="t_mime_15-CR"),
        pytest.param(_line_ends(b"\n\r"), id="t_mime_15-LF CR"),
        pytest.param(_line_ends(b"\r\r\n"), id="t_mime_15-CR CR LF"),
        pytest.param(_line_ends(b"\n"), id="t_mime_15-LF"),
        pytest.param(_line_ends(b"\r\x01\n"), id="t_mime_15-CR control LF"),
        pytest.param(_line_ends(b"\r\n\r"), id="t_mime_15-CRLF CR"),
        pytest.param(_line_ends(b"\r\n\n"), id="t_mime_15-CRLF LF"),
    ],
)
def test_line_ends_of_headers_that_readers_take_differently_are_said(octets: bytes) -> None:
    found = MessageView(octets).anomalies
    assert any(ANOMALIES[name].kind == "lines" for name in found), found


HEADERS: dict[str, list[tuple[str, bytes, str]]] = {
    "t_hdr_01": [
        ("evil first", b"From: <a@evil.example>\r\nFrom: <ceo@bank.example>\r\n", "DUPLICATE_FROM"),
        ("evil last", b"From: <ceo@bank.example>\r\nFrom: <a@evil.example>\r\n", "DUPLICATE_FROM"),
    ],
    "t_hdr_02": [
        ("leading blank", b" From: <a@evil.example>\r\nFrom: <ceo@bank.example>\r\n", "LEADING_CONTINUATION"),
        ("blank behind", b"From : <a@evil.example>\r\nFrom: <ceo@bank.example>\r\n", "DUPLICATE_FROM"),
        ("folded name", b"From\r\n : <a@evil.example>\r\nFrom: <ceo@bank.example>\r\n", "DUPLICATE_FROM"),
        ("nul", b"From\x00: <a@evil.example>\r\nFrom: <ceo@bank.example>\r\n", "DUPLICATE_FROM"),
        ("upper case", b"FROM: <a@evil.example>\r\nFrom: <ceo@bank.example>\r\n", "DUPLICATE_FROM"),
        ("cyrillic", "Fr\u043em: <a@evil.example>\r\nFrom: <ceo@bank.example>\r\n".encode(), "MALFORMED_FIELD"),
    ],
    "t_hdr_03": [
        (name, b"From: a@example.org\r\n" + 2 * f"{name}: 1\r\n".encode(), f"DUPLICATE_{name.upper().replace('-', '_')}")
        for name in (
            *("Subject", "Date", "To", "Cc", "Reply-To", "Sender", "Message-ID", "In-Reply-To", "References", "MIME-Version"),
            *("Content-Type", "Content-Transfer-Encoding", "Content-Disposition"),
        )
    ],
    "t_hdr_04": [("two domains", b"From: <a@evil.example>, <ceo@bank.example>\r\n", "MULTIPLE_FROM_DOMAINS")],
    "t_hdr_05": [
        ("group", b"From: team: a@evil.example, b@bank.example;\r\n", "MULTIPLE_FROM_DOMAINS"),
        ("empty group", b"From: x:;\r\n", "MISSING_FROM"),
        ("unfinished", b"From: x: a@evil.example\r\n", "MALFORMED_FROM"),
        ("nested", b"From: x: y: a@evil.example;;\r\n", "MALFORMED_FROM"),
    ],
    "t_hdr_06": [("encoded address", b"From: =?utf-8?b?PGFkbWluQGxlZ2l0PjM=?=,<x@evil.example>\r\n", "MALFORMED_FROM")],
    "t_hdr_07": [
        ("route", b"From: <@evil.example,@any.example:admin@legit.example>\r\n", "FROM_AMBIGUOUS"),
        ("quoted pair", b"From: <admin@legit.example>\\,<x@evil.example>\r\n", "FROM_AMBIGUOUS"),
        ("precedence", b"From: admin@legit.example,<x@evil.example>\r\n", "MULTIPLE_FROM_DOMAINS"),
        ("address behind", b"From: <any@evil.example>admin@legit.example\r\n", "FROM_AMBIGUOUS"),
        ("bracket", b"From: a@legit.example)x@evil.example\r\n", "FROM_AMBIGUOUS"),
    ],
    "t_hdr_12": [
        ("latin-1", b"From: a@example.org\r\nSubject: \xe4\r\n", "HEADER_8BIT"),
        ("invalid UTF-8", b"From: a@example.org\r\nSubject: \xc3\x28\r\n", "HEADER_8BIT"),
        ("UTF-8 address", "From: ü@example.org\r\n".encode(), "HEADER_8BIT"),
    ],
    "t_hdr_15": [
        ("direction", "From: a@example.org\r\nSubject: a\u202eb\r\n".encode(), "INVISIBLE_IN_WORDS"),
        ("zero width", b"From: =?utf-8?b?YeKAi2I=?= <a@example.org>\r\n", "INVISIBLE_IN_WORDS"),
    ],
    "t_hdr_16": [
        ("deep", b"From: " + b"(" * 500 + b")" * 500 + b" <a@example.org>\r\n", "MALFORMED_FROM"),
        ("very deep", b"From: " + b"(" * 50_000 + b" <a@example.org>\r\n", "MALFORMED_FROM"),
        ("open", b"From: <a@example.org> (\r\n", "MALFORMED_FROM"),
        ("open quotes", b'From: "a <a@example.org>\r\n', "MALFORMED_FROM"),
    ],
    "t_hdr_18": [("many authors", b"From: " + b",".join([b"a@example.org"] * 3000) + b"\r\n", "TOO_MANY_ADDRESSES")],
    "t_hdr_20": [
        (value.decode(), b"From: a@example.org\r\nDate: " + value + b"\r\n", "MALFORMED_DATE")
        for value in (b"Tue, 24 Nov 0000 10:04:05 +0000", b"9999999999", b"Tue, 24 Nov 2026 10:04:05 +9999", b"-1", b"")
    ],
}


@pytest.mark.parametrize(
    ("fields", "anomaly"),
    [pytest.param(fields, name, id=f"{threat}-{what}") for threat, rows in HEADERS.items() for what, fields, name in rows],
)
def test_what_makes_a_header_doubtful_is_said(fields: bytes, anomaly: str) -> None:
    found = MessageView(fields + b"\r\ntext\r\n").anomalies
    assert anomaly in found


def _nested(level: bytes, depth: int) -> bytes:
    return b"".join(level % {b"n": number} if b"%" in level else level for number in range(depth))


@pytest.mark.parametrize("depth", [100, 1_000, 10_000])
@pytest.mark.parametrize(
    "level",
    [
        b"Content-Type: multipart/mixed; boundary=b%(n)d\r\n\r\n--b%(n)d\r\n",
        b"Content-Type: message/rfc822\r\n\r\n",
        b"Content-Type: multipart/digest; boundary=b%(n)d\r\n\r\n--b%(n)d\r\nContent-Type: message/rfc822\r\n\r\n",
    ],
    ids=["multiparts", "messages", "in turns"],
)
def test_t_mime_20_depth_beyond_the_budget_is_said(level: bytes, depth: int) -> None:
    view = MessageView(_TOP + _nested(level, depth))
    assert "MIME_DEEP" in view.anomalies
    assert max(part.depth for part in view.parts()) <= 33


def test_t_mime_21_parts_beyond_the_budget_are_said_and_none_of_their_octets_is_lost() -> None:
    empty = b"--foo\r\n\r\n"
    octets = _body(100_000 * empty + b"--foo\r\nContent-Type: message/rfc822\r\n\r\nSubject: last\r\n\r\nx\r\n--foo--\r\n")
    view = MessageView(octets)
    assert "MIME_PARTS" in view.anomalies
    parts = list(view.root.walk())
    assert len(parts) <= 2_000
    assert parts[-1].body_octets.endswith(b"Subject: last\r\n\r\nx\r\n--foo--\r\n")
