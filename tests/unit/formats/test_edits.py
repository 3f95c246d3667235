"""Recorded edits rendered: only what an edit names changes."""

import pytest

from mailward.formats.edits import check, render
from mailward.formats.message import MessageView
from mailward.model.edits import AddHeader, PrefixSubject, RecordedEdit, RemoveFieldAt, RemoveHeader

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


@pytest.mark.parametrize("edit", [AddHeader("X-A", "a\r\nBcc: b"), AddHeader("X A", "b"), PrefixSubject("a\nb")])
def test_t_hdr_11_an_edit_that_would_inject_is_found_before_custody(edit: RecordedEdit) -> None:
    with pytest.raises(ValueError, match=r"CR|field name"):
        check(edit)
    with pytest.raises(ValueError, match=r"CR|field name"):
        render(MESSAGE, [edit])
