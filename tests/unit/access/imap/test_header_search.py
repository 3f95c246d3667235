"""What is found in the kept fields is what a reading of the header finds, and only what they leave open is read."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailward.access.imap import searching
from mailward.access.imap.header_search import finder
from mailward.formats.common_fields import common_fields
from mailward.formats.searched import folded

PIECES = [
    "a",
    "Bob",
    "@",
    ".",
    "example",
    " ",
    "  ",
    "(x)",
    "\\",
    '"',
    "<",
    ">",
    ",",
    ":",
    "=?utf-8?q?b=6Fb?=",
    "\r\n ",
    "\r\n\t",
    "\t",
    "\x01",
    "ä",
    "To",
]
TEXTS = st.lists(st.sampled_from(PIECES), max_size=8).map("".join)
NAMES = st.sampled_from(["To", "to", "To ", "Cc", "X-Note"])


@given(fields=st.lists(st.tuples(NAMES, TEXTS), max_size=4), wanted=TEXTS, name=st.sampled_from(["To", "TO", "Cc"]))
@settings(deadline=None)
def test_what_is_sure_is_what_a_reading_says(fields: list[tuple[str, str]], wanted: str, name: str) -> None:
    headers = "".join(f"{name}:{value}\r\n" for name, value in fields).encode() + b"\r\n"
    text = folded(wanted)
    find = finder(name, text)
    if find is None:
        assert not text.isascii()
    elif (found := find(common_fields(headers))) is not None:
        assert found == searching._in_field(headers, name, text)


@pytest.mark.parametrize(
    ("value", "wanted", "found"),
    [
        ("Ann Example <ann@example.org>", "example.org", True),
        ("Ann Example <ann@example.org>", "ann@example.com", False),
        ("Meeting at\r\n noon", "at noon", True),
        ("Meeting", "mee", True),
        ("Ann (x) <ann (x) @example.org>", "ann@example.org", None),
        ("=?utf-8?q?Ann?=", "ann", None),
        ("caf\u00e9", "cafe", None),
    ],
)
def test_plain_fields_are_sure(value: str, wanted: str, found: bool | None) -> None:
    find = finder("From", folded(wanted))
    assert find is not None
    assert find(common_fields(f"Subject: {wanted}\r\nFrom: {value}\r\n\r\n".encode())) is found


def test_fields_that_are_not_kept_are_read() -> None:
    assert finder("X-Note", "A") is None
    find = finder("From", "A")
    assert find is not None
    assert find(b"") is None
    assert find(common_fields(b"Subject: a\r\n\r\n")) is False
