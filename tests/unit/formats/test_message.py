"""The view of a message: one reading, lazily made, and the anomalies of its header (T-HDR)."""

import mmap
import time
from pathlib import Path

import pytest

from mailward.formats.message import MessageView
from mailward.model.address import Address

MESSAGE = (
    b"Received: by mx.example.org; Mon, 2 Nov 2026 10:00:00 +0000\r\n"
    b"From: =?utf-8?q?J=C3=B6rg?= <joerg@example.net>\r\n"
    b"To: Team: a@example.org, b@example.org;\r\n"
    b"Cc: c@example.org\r\n"
    b"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n from\r\n there\r\n"
    b"Message-ID: <1@example.net> (comment)\r\n"
    b"\r\n"
    b"Hello\r\n"
)


def test_what_a_view_tells() -> None:
    view = MessageView(MESSAGE)
    assert view.subject == "Grüße from there"
    assert view.message_id == "<1@example.net>"
    assert [(m.display_name, m.address) for m in view.authors] == [("Jörg", Address("joerg", "example.net"))]
    assert [str(m.address) for m in view.recipients_in_header] == ["a@example.org", "b@example.org", "c@example.org"]
    assert [f.name for f in view.fields] == ["Received", "From", "To", "Cc", "Subject", "Message-ID"]
    assert view.field("RECEIVED") is view.fields[0]
    assert view.field("X-None") is None
    assert view.header_octets + view.body_octets == MESSAGE == view.octets
    assert [part.text for part in view.texts()] == ["Hello\r\n"]
    assert list(view.attachments()) == []
    assert view.anomalies == ()


def test_a_mapped_file_is_read_like_octets(tmp_path: Path) -> None:
    path = tmp_path / "message"
    path.write_bytes(MESSAGE)
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        view = MessageView(mapped)
        assert (view.subject, view.size_octets, view.anomalies) == ("Grüße from there", len(MESSAGE), ())
        assert view.root.decode() == b"Hello\r\n"


def _anomalies(header: bytes) -> set[str]:
    return set(MessageView(header + b"\r\nbody\r\n").anomalies)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (b"From: a@x.test\r\nFrom: b@x.test\r\n", {"DUPLICATE_FROM"}),
        (b"From: a@evil.test\r\nFrom: ceo@bank.test\r\n", {"DUPLICATE_FROM", "MULTIPLE_FROM_DOMAINS"}),
        (
            b"From: ceo@bank.test\r\nfrom : a@evil.test\r\n",
            {"DUPLICATE_FROM", "MULTIPLE_FROM_DOMAINS", "MALFORMED_FROM", "MALFORMED_FIELD"},
        ),
        (b" From: a@x.test\r\n", {"MALFORMED_FROM", "MALFORMED_FIELD", "LEADING_CONTINUATION"}),
        (b"From\r\n : a@x.test\r\n", {"MALFORMED_FROM", "MALFORMED_FIELD"}),
        (b"From: a@evil.test, ceo@bank.test\r\n", {"MULTIPLE_FROM_DOMAINS"}),
        (b"From: team: a@evil.test, b@bank.test;\r\n", {"MULTIPLE_FROM_DOMAINS"}),
        (b"From: x:;\r\n", {"MISSING_FROM"}),
        (b"Subject: x\r\n", {"MISSING_FROM"}),
        (b"From: <any@evil.test>admin@legit.test\r\n", {"MALFORMED_FROM", "FROM_AMBIGUOUS"}),
        (b"From: <@evil.test:admin@legit.test>\r\n", {"MALFORMED_FROM", "FROM_AMBIGUOUS"}),
        (b"From: a@legit.test)x@evil.test\r\n", {"MALFORMED_FROM", "FROM_AMBIGUOUS"}),
        (b"From: =?utf-8?b?PGFkbWluQGxlZ2l0PjM=?=,<x@evil.test>\r\n", {"MALFORMED_FROM", "FROM_AMBIGUOUS"}),
        (b'From: "admin@legit"@evil.test\r\n', {"FROM_AMBIGUOUS"}),
        (b'From: "ceo@bank.test" <x@evil.test>\r\n', {"ADDRESS_IN_NAME"}),
        (b'From: "x@evil.test" <x@evil.test>\r\nDate: 21 Nov 97 09:55:06 GMT\r\n', set()),
        (b"From: a@x.test\r\nDate: Fri, 21 Nov 0 09:55:06 +9999\r\n", {"MALFORMED_DATE"}),
        (b"From: a@x.test\r\nDate: Fri, 21 Nov 1997 09:55:06\r\n", {"MALFORMED_DATE"}),
        (b"From: =?utf-8?q?=0A?= <a@x.test>\r\n", {"CONTROL_IN_WORDS"}),
        ("From: a@x.test\r\nSubject: pay\u200bpal\r\n".encode(), {"HEADER_8BIT", "INVISIBLE_IN_WORDS"}),
        (b"From: a@x.test\r\nSubject: " + b"=?utf-8?q?a?=" * 4990 + b" =?u?q??=" * 11 + b"\r\n", {"TOO_MANY_WORDS"}),
        (
            b"From: a@x.test\r\nSubject: 1\r\nSUBJECT: 2\r\nMessage-Id: 1\r\nMessage-ID: 2\r\n",
            {"DUPLICATE_SUBJECT", "DUPLICATE_MESSAGE_ID"},
        ),
        (
            b"From: a@x.test\r\nTo: x@y.test\r\nTo: z@y.test\r\nDate: 1\r\nDate: 2\r\n",
            {"DUPLICATE_TO", "DUPLICATE_DATE", "MALFORMED_DATE"},
        ),
        (b"From: a@x.test\r\nSubject: caf\xe9\r\n", {"HEADER_8BIT"}),
        (b"From: a@x.test\r\nno colon here\r\n", {"MALFORMED_FIELD"}),
        (b"From: a@x.test\nX: y\r\n", {"BARE_LF"}),
        (b"From: a@x.test\r\nX: y\rz\r\n", {"BARE_CR"}),
        (b"From: a@x.test\r\nX: y\0z\r\n", {"NUL"}),
        (b"From: a@x.test\r\n" + b"X: y\r\n" * 1000, {"TOO_MANY_FIELDS"}),
        (b"From: a@x.test\r\nX: " + b"y" * 300_000 + b"\r\n", {"HEADER_BLOCK_TOO_BIG", "FIELD_TOO_BIG"}),
        (b"From: a@x.test\r\nX: " + b"y" * 70_000 + b"\r\n", {"FIELD_TOO_BIG"}),
        (b"From: " + b"a@x.test," * 2001 + b"\r\n", {"TOO_MANY_ADDRESSES"}),
    ],
)
def test_t_hdr_anomalies(header: bytes, expected: set[str]) -> None:
    assert _anomalies(header) == expected


def test_line_ends_are_counted_across_pieces() -> None:
    body = b"x" * (1024 * 1024 - 1)
    assert MessageView(body + b"\r\n" + body + b"\r\n").anomalies.count("BARE_LF") == 0
    assert {"BARE_LF", "BARE_CR"} <= set(MessageView(body + b"\r" + body + b"\n").anomalies)


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"\r\n",
        b"\n",
        b"\0",
        b":",
        b" ",
        b"\r\n--\r\n",
        b"To: " + b"a@b.test, " * 300_000,
        b"Subject: " + b"=?utf-8?q?a?= " * 32_000,
        b"From: " + b"(" * 100_000,
        b"Content-Type: multipart/mixed;" + b" boundary*0=a;" * 10_000,
        b"\r" * 500_000,
        b"a\n" * 500_000,
        b" \n" * 200_000,
        b"x: y\r\n" * 100_000,
    ],
    ids=lambda value: repr(value[:16]),
)
def test_nothing_raises_and_everything_is_linear(octets: bytes) -> None:
    started = time.process_time()
    view = MessageView(octets)
    seen = (view.subject, view.message_id, view.authors, view.recipients_in_header, view.anomalies, view.attachment_types)
    texts = [part.text for part in view.texts()]
    assert len(seen) + len(texts) >= 6
    assert time.process_time() - started < 8


def test_html_is_made_to_text() -> None:
    html = "<head><title>t</title></head><p>one&nbsp;<b>two</b><br>three<script>no</script><ul><li>a<li>b</ul><style>no</style>"
    view = MessageView(b"Content-Type: text/html; charset=utf-8\r\n\r\n" + html.encode())
    assert [part.text for part in view.texts()] == ["one two\nthree\na\nb"]


@pytest.mark.parametrize("tag", ["<div>", "<b>", "<table><tr><td>", "<", "<!--", "&", "</div>", "<p>", "<a b"])
def test_t_dos_nested_html_takes_bounded_time(tag: str) -> None:
    started = time.process_time()
    view = MessageView(b"Content-Type: text/html\r\n\r\n" + tag.encode() * 100_000 + b"<p>END</p>")
    assert len([part.text for part in view.texts()]) == 1
    assert time.process_time() - started < 12


def test_t_mime_18_a_file_in_the_text_counts_among_the_attachment_types() -> None:
    view = MessageView(b"From: a@b.example\r\n\r\nsee\r\nbegin 644 x.exe\r\n#86)C\r\n`\r\nend\r\n")
    assert view.attachment_types == ("exe",)


@pytest.mark.parametrize(
    ("value", "message_id"),
    [
        (b"<a@b.example>", "<a@b.example>"),
        (b'(<x@y.example>) <"a"@b.example>', "<a@b.example>"),
        (b"foo bar", "foo bar"),
        (b"", ""),
    ],
)
def test_t_hdr_21_the_message_id_is_an_identifier_and_no_comment(value: bytes, message_id: str) -> None:
    assert MessageView(b"Message-ID: " + value + b"\r\n\r\n").message_id == message_id
