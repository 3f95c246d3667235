"""Which UIDs is a client told to have vanished that comes back after a while (RFC 7162 section 3.2.10)?

Ranges stay ranges, and are made one by one: a mailbox may have lost millions of messages, between as many that are there.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from heapq import merge
from itertools import chain, islice

from mailward.protocol.imap.arguments import ranges_text
from mailward.store.base import Delta
from mailward.store.gone import Range

_BATCH = 10_000
"""Ranges in one response."""


def vanished_texts(delta: Delta, wanted: Sequence[Range] | None, held: Sequence[int]) -> Iterator[str]:
    """As sets, so many ranges in each. wanted: what the client asks about, in order and apart, None for all; held: UIDs, in
    order, that the session still counts."""
    later = ((uid, uid) for uid in merge(delta.gone, delta.passed) if uid > delta.long_gone.last)
    gone: Iterator[Range] = chain(delta.long_gone, later)
    told = _without(gone if wanted is None else _within(gone, wanted), held)
    while text := ranges_text(islice(told, _BATCH)):
        yield text


def _within(ranges: Iterable[Range], wanted: Sequence[Range]) -> Iterator[Range]:
    """The parts of these that are in those."""
    at = 0
    for first, last in ranges:
        while at < len(wanted) and wanted[at][1] < first:
            at += 1
        if at == len(wanted):
            return
        for other in range(at, len(wanted)):
            low, high = wanted[other]
            if low > last:
                break
            yield max(first, low), min(last, high)


def _without(ranges: Iterable[Range], held: Sequence[int]) -> Iterator[Range]:
    for first, last in ranges:
        for at in range(bisect_left(held, first), bisect_right(held, last)):
            if first < held[at]:
                yield first, held[at] - 1
            first = held[at] + 1
        if first <= last:
            yield first, last
