"""UIDs that a list of ops has touched, as the log keeps them: ranges, since most lists touch one message or all."""

from array import array
from collections.abc import Iterable, Iterator, Sequence

from mailward.model.errors import StorageError
from mailward.store.ops import MAX_MESSAGES


def pack_ranges(parts: Iterable[Sequence[int]]) -> bytes:
    """parts: UIDs, best in order. The first and the last of each range, packed as native 32 bit integers."""
    ends = array("I")
    for uids in parts:
        if isinstance(uids, range):
            _add(ends, uids[0], uids[-1])
        else:
            for uid in uids:
                _add(ends, uid, uid)
    return ends.tobytes()


def _add(ends: "array[int]", first: int, last: int) -> None:
    if ends and ends[-1] + 1 == first:
        ends[-1] = last
    else:
        ends.append(first)
        ends.append(last)


def unpack_ranges(octets: bytes) -> Iterator[range]:
    """Raises StorageError for what `pack_ranges` does not make, before any range of it."""
    ends = array("I", octets[: len(octets) // 8 * 8])
    ranges = [range(first, last + 1) for first, last in zip(ends[::2], ends[1::2], strict=True)]
    if len(octets) % 8 or not all(ranges) or sum(map(len, ranges)) > MAX_MESSAGES:
        raise StorageError("a row of the log is damaged; mend it: mailward store check --repair", permanent=True)
    return iter(ranges)
