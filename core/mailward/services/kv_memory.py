"""A plugin's values in memory: for tests, and for whoever may keep nothing."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Generic, TypeVar

from mailward.api.services import Clock
from mailward.services.clock import SystemClock
from mailward.services.keeping import added, check_sizes, end_of, now_s

T = TypeVar("T")


class MemoryKeyValue:
    """`mailward.api.KeyValue` in memory. clock: by which values expire. However many do, none gives way to others."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._values: _Shelf[bytes] = _Shelf()
        self._counts: _Shelf[tuple[int, ...]] = _Shelf()

    @property
    def values(self) -> dict[bytes, bytes]:
        """All that is kept now; what is changed here is changed."""
        return self._values.at(now_s(self._clock))

    @property
    def counts(self) -> dict[bytes, tuple[int, ...]]:
        """The same of the counters."""
        return self._counts.at(now_s(self._clock))

    async def get_many(self, keys: Sequence[bytes]) -> Mapping[bytes, bytes]:
        return _those(keys, self.values)

    async def put_many(self, values: Mapping[bytes, bytes], *, expires_after_s: float | None = None) -> None:
        check_sizes(values)
        self._values.put(values, end_of(expires_after_s, self._clock))

    async def add_many(self, amounts: Mapping[bytes, tuple[int, ...]], *, expires_after_s: float | None = None) -> None:
        check_sizes(amounts)
        known = self.counts
        rows = {key: added(known.get(key, ()), row) for key, row in amounts.items()}
        self._counts.put(rows, end_of(expires_after_s, self._clock))

    async def counters(self, keys: Sequence[bytes]) -> Mapping[bytes, tuple[int, ...]]:
        return _those(keys, self.counts)

    async def find(self, prefix: bytes, *, after: bytes = b"", limit: int = 1000) -> Mapping[bytes, bytes]:
        known = self.values
        found = sorted(key for key in known if key.startswith(prefix) and key > after)
        return {key: known[key] for key in found[:limit]}

    async def remove(self, first: bytes, end: bytes) -> None:
        for kept in (self.values, self.counts):
            for key in [key for key in kept if first <= key < end]:
                del kept[key]

    async def change(self, key: bytes, expected: bytes | None, value: bytes | None) -> bool:
        check_sizes({key: value or b""})
        if self.values.get(key) != expected:
            return False
        if value is None:
            self.values.pop(key, None)
        else:
            self._values.put({key: value}, None)
        return True


class _Shelf(Generic[T]):
    """Values, and when some of them end."""

    def __init__(self) -> None:
        self._kept: dict[bytes, T] = {}
        self._ends_at: dict[bytes, float] = {}

    def at(self, now: float) -> dict[bytes, T]:
        """Those that are left then."""
        for key in [key for key, end in self._ends_at.items() if end <= now]:
            del self._ends_at[key]
            self._kept.pop(key, None)
        return self._kept

    def put(self, values: Mapping[bytes, T], ends_at: float | None) -> None:
        self._kept.update(values)
        for key in values:
            if ends_at is None:
                self._ends_at.pop(key, None)
            else:
                self._ends_at[key] = ends_at


def _those(keys: Iterable[bytes], known: Mapping[bytes, T]) -> dict[bytes, T]:
    return {key: known[key] for key in keys if key in known}
