"""A plugin's values when nothing may come of it: it reads what is there, and what it writes is gone with the process."""

from collections.abc import Mapping, Sequence

from mailward.api.services import Clock, KeyValue
from mailward.services.kv_memory import MemoryKeyValue

_ALL = 1_000_000


class UnkeptKeyValue:
    """`mailward.api.KeyValue` over another one, which is never written to: for `mailward scan` and live tests."""

    def __init__(self, below: KeyValue, clock: Clock | None = None) -> None:
        self._below = below
        self._clock = clock
        self.forget()

    def forget(self) -> None:
        """What was written is gone."""
        self._own = MemoryKeyValue(self._clock)
        self._set: set[bytes] = set()
        self._counted: set[bytes] = set()
        self._removed: list[tuple[bytes, bytes]] = []

    async def get_many(self, keys: Sequence[bytes]) -> Mapping[bytes, bytes]:
        below = await self._below.get_many([key for key in keys if not self._is_hidden(key)])
        return {**below, **await self._own.get_many(keys)}

    async def put_many(self, values: Mapping[bytes, bytes], *, expires_after_s: float | None = None) -> None:
        await self._own.put_many(values, expires_after_s=expires_after_s)
        self._set.update(values)

    async def add_many(self, amounts: Mapping[bytes, tuple[int, ...]], *, expires_after_s: float | None = None) -> None:
        await self._own.add_many(await self._counters_below(list(amounts)))
        await self._own.add_many(amounts, expires_after_s=expires_after_s)
        self._counted.update(amounts)

    async def counters(self, keys: Sequence[bytes]) -> Mapping[bytes, tuple[int, ...]]:
        return {**await self._counters_below(keys), **await self._own.counters(keys)}

    async def find(self, prefix: bytes, *, after: bytes = b"", limit: int = 1000) -> Mapping[bytes, bytes]:
        below = await self._below.find(prefix, after=after, limit=_ALL)
        found = {key: value for key, value in below.items() if not self._is_hidden(key)}
        found.update(await self._own.find(prefix, after=after, limit=_ALL))
        return dict(sorted(found.items())[:limit])

    async def remove(self, first: bytes, end: bytes) -> None:
        self._removed.append((first, end))
        await self._own.remove(first, end)

    async def change(self, key: bytes, expected: bytes | None, value: bytes | None) -> bool:
        known = (await self.get_many([key])).get(key)
        if known != expected or not await self._own.change(key, (await self._own.get_many([key])).get(key), value):
            return False
        self._set.add(key)
        return True

    async def _counters_below(self, keys: Sequence[bytes]) -> Mapping[bytes, tuple[int, ...]]:
        return await self._below.counters([key for key in keys if key not in self._counted and not self._is_removed(key)])

    def _is_hidden(self, key: bytes) -> bool:
        """What is below counts no more."""
        return key in self._set or self._is_removed(key)

    def _is_removed(self, key: bytes) -> bool:
        return any(first <= key < end for first, end in self._removed)
