"""A plugin's values when nothing may come of it: it reads what is there, and what it writes is gone with the process."""

from collections.abc import Mapping, Sequence
from itertools import zip_longest

from mailward.api.services import KeyValue
from mailward.services.kv import check_sizes


class UnkeptKeyValue:
    """`mailward.api.KeyValue` over another one, which is never written to: for `mailward scan` and live tests."""

    def __init__(self, below: KeyValue) -> None:
        self._below = below
        self._values: dict[bytes, bytes | None] = {}
        self._counters: dict[bytes, tuple[int, ...]] = {}

    async def get_many(self, keys: Sequence[bytes]) -> Mapping[bytes, bytes]:
        found = {**await self._below.get_many(keys), **{key: self._values[key] for key in keys if key in self._values}}
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
        return {**await self._below.counters(keys), **{key: self._counters[key] for key in keys if key in self._counters}}

    async def change(self, key: bytes, expected: bytes | None, value: bytes | None) -> bool:
        check_sizes({key: value or b""})
        if (await self.get_many([key])).get(key) != expected:
            return False
        self._values[key] = value
        return True
