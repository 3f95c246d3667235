"""Recorded edits rendered: only what an edit names changes."""

import mmap
import tracemalloc
from pathlib import Path

import pytest

from mailward.formats.edits import render, render_pieces
from mailward.formats.message import MessageView
from mailward.model.edits import (
    AddHeader,
    PrefixSubject,
    RecordedEdit,
    RemoveFieldAt,
    RemoveHeader,
    ReplaceHeader,
    ReplacePart,
)

MESSAGE = (
    b"Received: one\r\nX-Spam:  yes\r\n\tfolded\r\nSubject:  Hello  \r\n there\r\nx-spam: again\r\n"
    b"\r\nbody\n\0\r\r\nX-Spam: body\r\n"
)


def test_no_edit_no_change() -> None:
    assert render(MESSAGE, ()) == MESSAGE


@pytest.mark.parametrize(
    ("edits", "expected"),
    [
        ([AddHeader("X-A", "1"), AddHeader("X-B", "2")], b"X-B: 2\r\nX-A: 1\r\n" + MESSAGE),
        ([RemoveHeader("X-SPAM")], MESSAGE.replace(b"X-Spam:  yes\r\n\tfolded\r\n", b"").replace(b"x-spam: again\r\n", b"")),
        ([RemoveHeader("x-spam", 0)], MESSAGE.replace(b"X-Spam:  yes\r\n\tfolded\r\n", b"")),
        ([RemoveHeader("X-Spam", 1)], MESSAGE.replace(b"x-spam: again\r\n", b"")),
        ([RemoveHeader("X-Spam", 2)], MESSAGE),
        ([ReplaceHeader("x-spam", "no")], MESSAGE.replace(b"X-Spam:  yes\r\n\tfolded\r\n", b"x-spam: no\r\n")),
        ([ReplaceHeader("X-Spam", "no", 1)], MESSAGE.replace(b"x-spam: again\r\n", b"X-Spam: no\r\n")),
        ([ReplaceHeader("Reply-To", "a@example.org")], MESSAGE),
        ([RemoveFieldAt(1)], MESSAGE.replace(b"X-Spam:  yes\r\n\tfolded\r\n", b"")),
        ([RemoveFieldAt(0), RemoveFieldAt(1)], MESSAGE[MESSAGE.index(b"Subject") :]),
        ([AddHeader("X-A", "1"), RemoveFieldAt(0)], b"X-A: 1\r\n" + MESSAGE[len(b"Received: one\r\n") :]),
        ([RemoveFieldAt(99)], MESSAGE),
        ([PrefixSubject("[x] ")], MESSAGE.replace(b"Subject:  Hello", b"Subject:  [x] Hello")),
    ],
)
def test_edits(edits: list[RecordedEdit], expected: bytes) -> None:
    assert render(MESSAGE, edits) == expected


@pytest.mark.parametrize(
    ("subject", "prefix", "text"),
    [
        (b"Hello", "[external] ", "[external] Hello"),
        (b"Hello", "[extérieur] ", "[extérieur] Hello"),
        (b"=?utf-8?q?Gr=C3=BC=C3=9Fe?=", "[external] ", "[external] Grüße"),
        (b"=?utf-8?q?Gr=C3=BC=C3=9Fe?=", "[extérieur] ", "[extérieur] Grüße"),
        (b"=?utf-8?q?Gr=C3=BC=C3=9Fe?=", "SPAM:", "SPAM: Grüße"),
        (b"", "[x] ", "[x]"),
        (b"long " * 14, "[extérieur] " * 5, ("[extérieur] " * 5 + "long " * 14).strip()),
        (b"long " * 14, "[external] ", ("[external] " + "long " * 14).strip()),
        (b"x", "=?utf-8?q?a?= ", "=?utf-8?q?a?= x"),
    ],
)
def test_prefixes_read_as_written(subject: bytes, prefix: str, text: str) -> None:
    rendered = render(b"Subject: " + subject + b"\r\n\r\n", [PrefixSubject(prefix)])
    assert MessageView(rendered).subject == text
    assert rendered.isascii()
    assert all(len(line) <= 80 for line in rendered.split(b"\r\n"))


def test_every_subject_gets_the_prefix_and_a_message_without_one_gets_it_too() -> None:
    assert render(b"Subject: a\r\nsubject: b\r\n\r\n", [PrefixSubject("[x] ")]) == b"Subject: [x] a\r\nsubject: [x] b\r\n\r\n"
    assert render(b"From: a\r\n\r\nbody", [PrefixSubject("[x] ")]) == b"Subject: [x]\r\nFrom: a\r\n\r\nbody"


def test_fields_are_counted_in_the_message_as_it_was_given() -> None:
    edits: list[RecordedEdit] = [
        RemoveHeader("X-Spam", 0),
        ReplaceHeader("X-Spam", "b", 1),
        AddHeader("X-Spam", "c"),
        RemoveHeader("X-Spam", 0),
    ]
    assert render(b"X-Spam: 0\r\nX-Spam: 1\r\n\r\n", edits) == b"X-Spam: c\r\nX-Spam: b\r\n\r\n"
    edits = [RemoveFieldAt(0), RemoveHeader("X-Spam", 1)]
    assert render(b"X-Spam: 0\r\nX-Spam: 1\r\nX-Spam: 2\r\n\r\n", edits) == b"X-Spam: 2\r\n\r\n"
    assert render(b"X-Spam: 0\r\n\r\n", [RemoveHeader("X-Spam"), ReplaceHeader("X-Spam", "back")]) == b"\r\n"
    assert render(b"X-Spam: 0\r\n\r\n", [AddHeader("X-Spam", "1"), RemoveHeader("X-Spam")]) == b"\r\n"


@pytest.mark.parametrize(
    "edit",
    [AddHeader("X-A", "a\r\nBcc: b"), AddHeader("X A", "b"), PrefixSubject("a\nb"), ReplaceHeader("Received", "a\0b")],
)
def test_t_hdr_11_an_edit_that_would_inject_is_never_written(edit: RecordedEdit) -> None:
    with pytest.raises(ValueError, match=r"CR|field name"):
        render(MESSAGE, [edit])


def test_t_hdr_10_a_line_end_in_an_encoded_word_is_no_line_end_where_its_text_is_written_again() -> None:
    view = MessageView(b"Subject: =?utf-8?q?x=0d=0aBcc:_victim=40example.org?=\r\n\r\nbody\r\n")
    for edit in (ReplaceHeader("Subject", f"Re: {view.subject}"), AddHeader("X-Subject", view.subject), PrefixSubject("[x] ")):
        rendered = MessageView(render(view.octets, [edit]))
        assert rendered.field("Bcc") is None
        assert rendered.body_octets == b"body\r\n"


@pytest.mark.parametrize(
    ("message", "edits", "expected"),
    [
        (b"A: 1\r", [AddHeader("X", "y")], b"X: y\r\nA: 1\r"),
        (b"A: 1\r", [ReplacePart("", "text/plain", b"")], None),
        (b"A: 1", [ReplaceHeader("A", "2")], b"A: 2\r\n"),
        (b" x\r\nA: 1\r\n\r\n", [AddHeader("X", "y"), AddHeader("Z", "y")], b" x\r\nZ: y\r\nX: y\r\nA: 1\r\n\r\n"),
        (b" x\r", [AddHeader("X", "y")], b" x\r\r\nX: y\r\n"),
        (b" x\r\nA: 1\r\n", [RemoveFieldAt(0), AddHeader("X", "y")], b"X: y\r\nA: 1\r\n"),
    ],
    ids=["above", "below", "in its place", "continuation", "continuation without end", "no continuation any more"],
)
def test_t_smtp_11_what_is_inserted_never_joins_a_stored_line(
    message: bytes, edits: list[RecordedEdit], expected: bytes | None
) -> None:
    rendered = render(message, edits)
    if expected is None:
        assert rendered.startswith(b"A: 1\r\r\nContent-Type: text/plain\r\n")
    else:
        assert rendered == expected


def test_a_mapped_body_is_not_copied_for_a_header_field(tmp_path: Path) -> None:
    path = tmp_path / "message"
    with path.open("wb") as made:
        made.write(b"Subject: x\r\n\r\n")
        made.truncate(100 * 1024 * 1024)
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as octets:
        tracemalloc.start()
        pieces = render_pieces(octets, [AddHeader("X-A", "1"), PrefixSubject("[x] ")])
        peak_octets = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert pieces[0] == b"X-A: 1\r\nSubject: [x] x\r\n\r\n"
        assert sum(map(len, pieces)) == len(octets) + len(b"X-A: 1\r\n[x] ")
        pieces.clear()
    assert peak_octets < 1024 * 1024
