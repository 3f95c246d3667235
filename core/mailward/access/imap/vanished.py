"""Which UIDs is a client told to have vanished that comes back after a while (RFC 7162 section 3.2.10)?

Ranges stay ranges: a mailbox may have lost millions of messages, of which the log has but the first and the last.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence

from mailward.protocol.imap.arguments import ranges_text
from mailward.store.base import Delta
from mailward.store.gone import Range


def vanished_text(delta: Delta, wanted: Sequence[Range] | None, held: Sequence[int]) -> str:
    """As a set, "" for none. wanted: what the client asks about, in order and apart, None for all; held: UIDs, in order, that
    the session still counts."""
    gone = sorted([*((uid, uid) for uid in (*delta.gone, *delta.passed)), *delta.long_gone])
    return ranges_text(_without(gone if wanted is None else _within(gone, wanted), held))


def _within(ranges: Sequence[Range], wanted: Sequence[Range]) -> Iterator[Range]:
    """The parts of these that are in those."""
    for low, high in wanted:
        for at in range(bisect_left(ranges, low, key=_last), len(ranges)):
            first, last = ranges[at]
            if first > high:
                break
            yield max(first, low), min(last, high)


def _last(ends: Range) -> int:
    return ends[1]


def _without(ranges: Sequence[Range] | Iterator[Range], held: Sequence[int]) -> Iterator[Range]:
    for first, last in ranges:
        for at in range(bisect_left(held, first), bisect_right(held, last)):
            if first < held[at]:
                yield first, held[at] - 1
            first = held[at] + 1
        if first <= last:
            yield first, last
