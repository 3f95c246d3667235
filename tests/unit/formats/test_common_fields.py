"""What is cut out of the kept fields is what BODY[HEADER.FIELDS (...)] is by the one reading of a header."""

from hypothesis import given
from hypothesis import strategies as st

from mailward.formats.common_fields import NAMES, UNKNOWN, common_fields, cut
from mailward.formats.message import MessageView
from mailward.formats.sections import section

MAIL = (
    b"Received: from a\r\n by b\r\nFrom: Ann\r\n <ann@example.org>\r\nsubject: one\r\nX-Other: y\r\nSUBJECT: two\r\n"
    b"To : bob@example.org\r\nno field\r\n\r\nSubject: not this\r\n"
)

LINES = st.lists(
    st.sampled_from(
        [b"From: a", b"To : b", b"subject:", b" folded", b"\tto: x", b"X-A: b", b"nothing", b"Cc\r\n : x", b"Date: \xe9\r", b""]
    ),
    max_size=12,
)
BLOCK = st.builds(
    lambda lines, ends: b"".join(a + b for a, b in zip(lines, ends, strict=False)),
    LINES,
    st.lists(st.sampled_from([b"\r\n", b"\n"]), min_size=12, max_size=12),
)


def _cut(octets: bytes, *names: str) -> bytes:
    taken = cut(names)
    assert taken is not None
    return taken(common_fields(MessageView(octets).header_octets))


def test_fields_come_in_the_order_of_the_message_with_every_line_of_theirs() -> None:
    assert _cut(MAIL, "Subject", "FROM") == b"From: Ann\r\n <ann@example.org>\r\nsubject: one\r\nSUBJECT: two\r\n\r\n"
    assert _cut(MAIL, "To") == b"To : bob@example.org\r\n\r\n", "as everybody reads it"
    assert _cut(MAIL, "Bcc") == b"\r\n"


def test_what_is_not_kept_is_not_known() -> None:
    assert cut(("Subject", "X-Other")) is None
    assert common_fields(b"Subject: no empty line\r\n") == UNKNOWN
    assert common_fields(b"Subject: a\0b\r\n\r\n") == UNKNOWN
    assert common_fields(b"X-Other: a\0b\r\n\r\n") != UNKNOWN


@given(BLOCK | st.binary(), st.sets(st.sampled_from(NAMES), min_size=1))
def test_it_is_what_the_reading_of_the_header_gives(octets: bytes, names: set[str]) -> None:
    view = MessageView(octets)
    if (kept := common_fields(view.header_octets)) != UNKNOWN:
        taken = cut(tuple(names))
        assert taken is not None
        assert taken(kept) == section(view, (), "HEADER.FIELDS", names)
