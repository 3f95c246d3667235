"""In which pieces is a long body read, so that memory does not grow with it?"""

from collections.abc import Iterator

from mailward.formats.octets import PIECE_OCTETS, Octets

CHUNK_OCTETS = PIECE_OCTETS
"""A piece of a body; at least 8, so that a cut can keep clear of whatever is read as one."""


def pieces(octets: Octets, start: int, end: int) -> Iterator[bytes]:
    """The octets from start to end, cut anywhere."""
    for at in range(start, end, CHUNK_OCTETS):
        yield octets[at : min(at + CHUNK_OCTETS, end)]


def line_pieces(octets: Octets, start: int, end: int) -> Iterator[bytes]:
    """The octets from start to end, cut behind a line feed, and elsewhere only where a line is longer than a piece."""
    at = start
    while at < end:
        cut = line_cut(octets, at, end)
        yield octets[at:cut]
        at = cut


def line_cut(octets: Octets, at: int, end: int) -> int:
    """Where a piece that starts at `at` ends."""
    cut = at + CHUNK_OCTETS
    if cut >= end:
        return end
    return octets.rfind(b"\n", at, cut) + 1 or cut
