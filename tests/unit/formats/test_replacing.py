"""Parts replaced: the new content in, all other octets kept, no boundary inside (RFC 2045, RFC 2046 section 5.1.1)."""

import base64

import pytest

from mailward.formats.edits import render
from mailward.formats.message import MessageView
from mailward.formats.replacing import encode_content
from mailward.model.edits import Edit, PartEncoding, RemoveHeader, ReplacePart

HEADER = b"From: ann@example.org\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
TEXT = b"Content-Type: text/plain\r\n\r\nhello"
FILE = (
    b"Content-Type : application/x-msdownload; name=a.exe\r\nContent-ID: <1@example.org>\r\nContent-Type: text/html\r\n"
    b"CONTENT-TRANSFER-ENCODING: base64\r\nContent-Disposition: attachment;\r\n filename=a.exe\r\nContent-MD5: x\r\n\r\nTVo="
)
INNER = (
    b"Content-Type: message/rfc822\r\n\r\nSubject: in\r\nContent-Type: multipart/mixed; boundary=i\r\n\r\n--i\r\n\r\none\r\n--i--"
)
MESSAGE = HEADER + b"preamble\r\n--b\r\n" + TEXT + b"\r\n--b\r\n" + FILE + b"\r\n--b\r\n" + INNER + b"\r\n--b--\r\nepilogue"
NOTE = ReplacePart("2", "text/plain; charset=utf-8", "Removed: größer.\n".encode(), disposition="inline")


def test_a_part_is_replaced_and_nothing_else() -> None:
    expected = (
        b"Content-Type: text/plain; charset=utf-8\r\nContent-ID: <1@example.org>\r\n"
        b"Content-Transfer-Encoding: quoted-printable\r\nContent-Disposition: inline\r\n\r\nRemoved: gr=C3=B6=C3=9Fer.\r\n"
    )
    assert render(MESSAGE, [NOTE]) == MESSAGE.replace(FILE, expected)


def test_without_a_new_disposition_the_part_keeps_its_own() -> None:
    rendered = render(MESSAGE, [ReplacePart("2", "application/zip", b"PK\r\n\0", "base64")])
    part = MessageView(rendered).root.children[1]
    assert (part.content_type, part.filename, part.decode()) == ("application/zip", "a.exe", b"PK\r\n\0")


@pytest.mark.parametrize(("number", "old"), [("1", b"hello"), ("3.1", b"one")])
def test_a_part_is_found_by_its_imap_number(number: str, old: bytes) -> None:
    rendered = render(MESSAGE, [ReplacePart(number, "text/plain", b"new")])
    header = b"" if number == "3.1" else b"Content-Type: text/plain\r\n"
    new = b"Content-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nnew"
    assert rendered == MESSAGE.replace(header + b"\r\n" + old, new)


def test_a_whole_attached_message_can_go() -> None:
    rendered = render(MESSAGE, [ReplacePart("3", "text/plain", b"new")])
    assert rendered.startswith(MESSAGE[: MESSAGE.index(INNER)])
    assert rendered.endswith(b"\r\n\r\nnew\r\n--b--\r\nepilogue")


@pytest.mark.parametrize("number", ["", "1"])
def test_the_body_of_a_message_of_one_part(number: str) -> None:
    rendered = render(b"Subject: x\r\nContent-Type: text/html\r\n\r\n<p>old", [ReplacePart(number, "text/plain", b"new")])
    assert rendered == (
        b"Subject: x\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\nMIME-Version: 1.0\r\n\r\nnew\r\n"
    )
    assert render(b"Subject: x", [ReplacePart(number, "text/plain", b"new")]).endswith(
        b"Subject: x\r\nContent-Type: text/plain\r\n"
        b"Content-Transfer-Encoding: quoted-printable\r\nMIME-Version: 1.0\r\n\r\nnew\r\n"
    )


def test_a_message_of_several_parts_can_become_one_text() -> None:
    rendered = MessageView(render(MESSAGE, [ReplacePart("2", "text/plain", b"lost"), ReplacePart("", "text/plain", b"new")]))
    assert (rendered.root.content_type, len(rendered.root.children), rendered.root.decode()) == ("text/plain", 0, b"new\r\n")


def test_a_message_that_has_nothing_in_it_can_get_a_content() -> None:
    header = b"Content-Type: message/rfc822\r\n"
    new = b"\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n"
    edit = ReplacePart("1.1", "text/plain", b"new")
    assert render(HEADER + b"--b\r\n" + header + b"--b--", [edit]) == HEADER + b"--b\r\n" + header + new + b"\r\nnew\r\n--b--"
    assert render(header, [edit]) == header + new + b"\r\nnew\r\n"


def test_what_is_inside_an_encoded_message_has_no_place_to_be_replaced() -> None:
    inner = base64.encodebytes(b"Subject: in\n\ninside")
    message = (
        HEADER + b"--b\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\n" + inner + b"\r\n--b--\r\n"
    )
    inside = next(part for part in MessageView(message).parts() if part.body_octets == b"inside")
    with pytest.raises(ValueError, match="no part"):
        render(message, [ReplacePart(inside.number, "text/plain", b"new")])
    assert b"\r\n\r\nnew\r\n--b--" in render(message, [ReplacePart("1", "text/plain", b"new")])


def test_of_two_edits_of_one_part_the_last_holds_and_what_is_inside_of_a_replaced_part_is_gone() -> None:
    last = ReplacePart("3", "text/plain", b"last")
    edits = [ReplacePart("3", "text/plain", b"first"), ReplacePart("3.1", "text/plain", b"inside"), last]
    assert render(MESSAGE, edits) == render(MESSAGE, [last])
    assert render(MESSAGE, [last, ReplacePart("3.1", "text/plain", b"inside")]) == render(MESSAGE, [last])


def test_field_edits_of_the_message_and_part_edits_do_not_disturb_each_other() -> None:
    edits: list[Edit] = [RemoveHeader("From"), NOTE, ReplacePart("1", "text/plain", b"new")]
    assert render(MESSAGE, edits) == render(render(render(MESSAGE, edits[:1]), edits[1:2]), edits[2:])


@pytest.mark.parametrize("number", ["4", "0", "1.1", "3.2", "x", "2.", ".2", "3.1.1"])
def test_a_part_that_is_not_there_is_missed(number: str) -> None:
    with pytest.raises(ValueError, match="no part"):
        render(MESSAGE, [ReplacePart(number, "text/plain", b"")])


@pytest.mark.parametrize(
    "content_type",
    ["multipart/mixed; boundary=x", "message/rfc822", "Multipart/mixed", "text", "text/plain\r\nBcc: x", "text/plain; n=ü", ""],
)
def test_t_hdr_11_a_type_that_cannot_be_written_is_refused(content_type: str) -> None:
    with pytest.raises(ValueError, match="type of a single part"):
        render(MESSAGE, [ReplacePart("2", content_type, b"")])


@pytest.mark.parametrize("disposition", ["", "inline\r\nX: y", "attachment; filename=ü"])
def test_t_hdr_11_a_disposition_that_cannot_be_written_is_refused(disposition: str) -> None:
    with pytest.raises(ValueError, match="not a disposition"):
        render(MESSAGE, [ReplacePart("2", "text/plain", b"", disposition=disposition)])


@pytest.mark.parametrize(
    "message",
    [
        HEADER + b"--b\r\nContent-Type: text/html\r\n--b\r\n\r\nnext\r\n--b--\r\n",
        HEADER + b"--b\r\n\r\n--b\r\n\r\nnext\r\n--b--\r\n",
        HEADER + b"--b\r\n--b\r\n\r\nnext\r\n--b--\r\n",
    ],
    ids=["header cut by a delimiter", "no body", "nothing at all"],
)
@pytest.mark.parametrize("encoding", ["quoted-printable", "base64"])
def test_a_delimiter_right_below_the_old_header_stays_one(message: bytes, encoding: PartEncoding) -> None:
    first, second = MessageView(render(message, [ReplacePart("1", "text/plain", b"new", encoding)])).root.children
    assert (first.decode(), second.decode()) == (b"new", b"next")


@pytest.mark.parametrize("ending", [b"", b"\r\n", b"\n"])
def test_the_last_part_of_a_message_without_an_end(ending: bytes) -> None:
    message = HEADER + b"--b\r\n\r\nold" + ending
    (part,) = MessageView(render(message, [ReplacePart("1", "text/plain", b"new")])).root.children
    assert part.octets == b"Content-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nnew\r\n"


@pytest.mark.parametrize("content", [b"--b", b"--b--\r\n", b"a\n--b\nb", b"-" * 300, b"--" + b"=" * 100, b"--" + b"\xff" * 99])
@pytest.mark.parametrize("encoding", ["quoted-printable", "base64"])
def test_t_mime_01_no_boundary_can_occur_in_new_content(content: bytes, encoding: PartEncoding) -> None:
    written = encode_content(content, encoding)
    assert not any(line.startswith(b"--") for line in written.split(b"\n"))
    root = MessageView(render(MESSAGE, [ReplacePart("2", "text/plain", content, encoding)])).root
    assert [child.decode() for child in root.children[:2]] == [
        b"hello",
        content if encoding == "base64" else content.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"),
    ]


def test_text_gets_crlf_line_ends_and_lines_of_76_octets_and_octets_stay_as_they_are() -> None:
    text = b"a\rb\nc\r\nd \n.\n" + b"x" * 200 + b"\t"
    written = encode_content(text, "quoted-printable")
    assert written.startswith(b"a\r\nb\r\nc\r\nd=20\r\n=2E\r\nxxx")
    for encoding in ("quoted-printable", "base64"):
        lines = encode_content(text, encoding).split(b"\r\n")
        assert all(
            len(line) <= 76 and b"\r" not in line and b"\n" not in line and not line.endswith((b" ", b"\t")) for line in lines
        )
    assert encode_content(b"", "base64") == encode_content(b"", "quoted-printable") == b""
