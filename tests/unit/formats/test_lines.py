"""Facts about lines are the same however the octets come (RFC 5322 section 2.1)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailward.formats.lines import LineCounter, LineFacts, line_facts

_PIECES = st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b"\0", b"a", b"bcd", b"\xff", b"."]), max_size=30)


@pytest.mark.parametrize(
    ("octets", "facts"),
    [
        (b"", LineFacts()),
        (b"ab\r\nabc\r\n", LineFacts(longest_octets=3)),
        (b"ab\r\nabcd", LineFacts(longest_octets=4)),
        (b"ab\n", LineFacts(bare_lf=True, longest_octets=2)),
        (b"ab\rc\r\n", LineFacts(bare_cr=True, longest_octets=4)),
        (b"\0\r\n", LineFacts(nul=True, longest_octets=1)),
        (b"\xc3\xa9\r\n", LineFacts(eight_bit=True, longest_octets=2)),
        (b"abc\r\r\n", LineFacts(bare_cr=True, longest_octets=4)),
    ],
)
def test_what_is_known_of_lines(octets: bytes, facts: LineFacts) -> None:
    assert line_facts(octets) == facts


@given(_PIECES)
def test_one_piece_or_many_make_no_difference(pieces: list[bytes]) -> None:
    counter = LineCounter()
    for piece in pieces:
        counter.feed(piece)
    whole = b"".join(pieces)
    assert counter.facts == line_facts(whole)
    lines = [line.removesuffix(b"\r") for line in whole.split(b"\n")]
    if not whole.endswith(b"\r"):  # which is no line end yet
        assert counter.facts.longest_octets == max(map(len, lines))
