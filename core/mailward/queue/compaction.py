"""Which segments are not worth keeping, and how a message gets out of one: copied as it is, with what its journal says.

A segment lives as long as one of its messages, and its journal grows with every attempt. So what is open in one that is mostly
finished, or in one of very many, moves to another. What moves is written and synced like mail that arrives.
"""

import zlib
from collections.abc import Iterable
from concurrent.futures import Future

from mailward.queue.jobs import Commit
from mailward.queue.record import HEADER_OCTETS, unpack_header
from mailward.queue.segment import Entry, Segment

MOST_SEGMENTS = 64
"""That stay open at once while others could be filled with their messages. (Full ones stay, however many.)"""
MOST_WASTE = 4
"""A segment this many times as large as what is open in it is mostly waste."""


def worth_moving(sealed: Iterable[Segment], segment_octets: int) -> list[Segment]:
    """The segments whose messages should move: worn ones, mostly wasted ones, then the smallest of too many."""
    segments = [segment for segment in sealed if segment.worn or not segment.abandoned]
    small_octets = segment_octets // 4
    picked = [s for s in segments if s.worn or s.size_octets > MOST_WASTE * s.open_octets + small_octets]
    others = set(segments).difference(picked)
    small = sorted((s for s in others if s.open_octets < small_octets), key=lambda s: s.open_octets)
    return picked + small[: max(0, len(segments) - len(picked) - MOST_SEGMENTS)]


def move(entry: Entry, octets: bytes) -> Commit | None:
    """The job that copies a message; None when it is damaged. octets: of its record. Raises NewerVersion."""
    segment = entry.segment
    header = unpack_header(octets, segment.mark)
    if header is None or len(octets) != entry.record_octets:
        return None
    body_at = HEADER_OCTETS + entry.meta_octets
    meta, body = octets[HEADER_OCTETS:body_at], octets[body_at:]
    if zlib.crc32(meta) != header.meta_crc or not (entry.large or zlib.crc32(body) == header.body_crc):
        return None
    return Commit(
        entry.id,
        meta,
        [] if entry.large else [body],
        header.body_octets,
        header.body_crc,
        entry.states,
        Future(),
        large=segment.large_path(entry.id) if entry.large else None,
    )
