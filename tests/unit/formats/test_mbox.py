"""Where messages lie in an mbox file; `tests/unit/app/test_mailfiles.py` compares with Python's own module."""

import pytest

from mailward.formats.mbox import message_spans

LINE = b"From a@example.net Mon Nov  2 10:00:00 2026\n"


@pytest.mark.parametrize(
    ("octets", "expected"),
    [
        (b"", []),
        (b"Subject: x\n\ntext\n", []),
        (b"From here it is text\n", []),
        (LINE + b"A: 1\n\none\n\n" + LINE + b"A: 2\n\ntwo\n\n", [b"A: 1\n\none\n", b"A: 2\n\ntwo\n"]),
        (LINE + b"A: 1\n\none\n\n\n" + LINE + b"A: 2\n", [b"A: 1\n\none\n\n", b"A: 2\n"]),
        (LINE + b"A: 1\n\nx\nFrom a\n\nFrom b to c\n", [b"A: 1\n\nx\nFrom a\n\nFrom b to c\n"]),
        ((LINE + b"A: 1\n\none\n\n").replace(b"\n", b"\r\n") * 2, [b"A: 1\r\n\r\none\r\n"] * 2),
    ],
)
def test_each_message_without_its_line_and_the_empty_one(octets: bytes, expected: list[bytes]) -> None:
    assert [octets[begin:end] for begin, end in message_spans(octets)] == expected
