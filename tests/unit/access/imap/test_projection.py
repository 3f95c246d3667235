"""HEADER.FIELDS by the short way is HEADER.FIELDS by the one reading of messages."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailward.access.imap.projection import projection
from mailward.formats.message import MessageView
from mailward.formats.sections import section

NAMES = st.lists(st.sampled_from(["From", "to", "Subject", "X-A", "X", "Date", "Fro"]), min_size=1, max_size=4).map(tuple)
SOUND = (
    b"From: a\r\n",
    b"FROM: to: b\r\n",
    b"To:\r\n x\r\n\tto: y\r\n",
    b"Subject: from: z\r\n",
    b"X-A:1\r\n",
    b"X:2\r\n",
    b"Date: \r\n \r\n",
)
ODD = (b"Y: \xff\r\n", b"From : odd\r\n", b"nothing\r\n", b"Fr\x00om: x\r\n", b" first\r\n", b": x\r\n", b"bare\nTo: x\r\n")
LINES = st.sampled_from(SOUND + ODD)


@given(st.lists(LINES, max_size=12).map(b"".join), NAMES, st.booleans())
def test_both_ways_are_the_same(lines: bytes, names: tuple[str, ...], without: bool) -> None:
    project = projection(names, without=without)
    assert project is not None
    found = project(lines + b"\r\n")
    if found is not None:
        assert found == section(MessageView(lines + b"\r\n"), (), "HEADER.FIELDS.NOT" if without else "HEADER.FIELDS", names)


@pytest.mark.parametrize("block", [b"", b"From: a\r\n", b"\r\nFrom: a\r\n\r\n", b"a b: c\r\n\r\n"])
def test_what_is_left_to_the_long_way(block: bytes) -> None:
    project = projection(("From",), without=False)
    assert project is not None and project(block) is None
    assert projection(tuple(f"x{n}" for n in range(41)), without=False) is None


def test_fields_in_their_order() -> None:
    project = projection(("Subject", "From"), without=False)
    assert project is not None
    assert (
        project(b"From: a\r\nTo: b\r\nsubject: c\r\n d\r\nFROM: e\r\n\r\n") == b"From: a\r\nsubject: c\r\n d\r\nFROM: e\r\n\r\n"
    )
