"""A plugin's values when nothing may come of it: it reads what is there, and what it writes is gone with the process."""

from collections.abc import Mapping, Sequence
from itertools import zip_longest

from mailward.api.services import KeyValue
from mailward.services.kv import check_sizes

_ALL = 1_000_000


class UnkeptKeyValue:
    """`mailward.api.KeyValue` over another one, which is never written to: for `mailward scan` and live tests."""

    def __init__(self, below: KeyValue) -> None:
        self._below = below
        self._values: dict[bytes, bytes | None] = {}
        self._counters: dict[bytes, tuple[int, ...]] = {}
        self._removed: list[tuple[bytes, bytes]] = []

    async def get_many(self, keys: Sequence[bytes]) -> Mapping[bytes, bytes]:
        below = await self._below.get_many([key for key in keys if not self._is_removed(key)])
        found = {**below, **{key: self._values[key] for key in keys if key in self._values}}
        return {key: value for key, value in found.items() if value is not None}

    async def put_many(self, values: Mapping[bytes, bytes]) -> None:
        check_sizes(values)
        self._values.update(values)

    async def add_many(self, amounts: Mapping[bytes, tuple[int, ...]]) -> None:
        check_sizes(amounts)
        known = await self.counters(list(amounts))
        for key, row in amounts.items():
            self._counters[key] = tuple(max(a + b, 0) for a, b in zip_longest(known.get(key, ()), row, fillvalue=0))

    async def counters(self, keys: Sequence[bytes]) -> Mapping[bytes, tuple[int, ...]]:
        below = await self._below.counters([key for key in keys if not self._is_removed(key)])
        return {**below, **{key: self._counters[key] for key in keys if key in self._counters}}

    async def find(self, prefix: bytes, *, after: bytes = b"", limit: int = 1000) -> Mapping[bytes, bytes]:
        below = await self._below.find(prefix, after=after, limit=_ALL)
        found: dict[bytes, bytes | None] = {key: value for key, value in below.items() if not self._is_removed(key)}
        found.update((key, value) for key, value in self._values.items() if key.startswith(prefix) and key > after)
        there = [(key, value) for key, value in sorted(found.items()) if value is not None]
        return dict(there[:limit])

    async def remove(self, first: bytes, end: bytes) -> None:
        self._removed.append((first, end))
        self._values = {key: value for key, value in self._values.items() if not first <= key < end}
        self._counters = {key: row for key, row in self._counters.items() if not first <= key < end}

    def _is_removed(self, key: bytes) -> bool:
        return any(first <= key < end for first, end in self._removed)

    async def change(self, key: bytes, expected: bytes | None, value: bytes | None) -> bool:
        check_sizes({key: value or b""})
        if (await self.get_many([key])).get(key) != expected:
            return False
        self._values[key] = value
        return True
