"""What has come before, and when? Kept in the key-value store, which forgets it in time, and the first of too much (T-DOS-16).

Who never came back is forgotten sooner than who did, so a flood of made-up senders pushes out others of their kind, and costs
those a second delay at worst.
"""

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import blake2b

from mailward.api import KeyValue

_ENTRY = struct.Struct(">IIH")
_MOST_PASSES = 0xFFFF


@dataclass(frozen=True, slots=True)
class Entry:
    """first_at, last_at: seconds since 1970. passes: how often it came back in time; 0 while it waits."""

    first_at: int
    last_at: int
    passes: int = 0


class Table:
    """waits_s, keeps_s: how long an entry stays that has never passed, and one that has, after it was last kept."""

    def __init__(self, kv: KeyValue, waits_s: float, keeps_s: float) -> None:
        self._kv = kv
        self._waits_s = waits_s
        self._keeps_s = keeps_s

    async def find(self, keys: Iterable[str], now: int) -> dict[str, Entry]:
        """Those of the keys that are known; none of a time to come, of which a clock that was set back knows."""
        names = {key: _name(key) for key in keys}
        read = await self._kv.get_many(list(names.values()))
        found = {key: Entry(*_ENTRY.unpack(read[name])) for key, name in names.items() if name in read}
        return {key: entry for key, entry in found.items() if entry.last_at <= now}

    async def keep(self, entries: Mapping[str, Entry]) -> None:
        """Of two who write the same at once the later counts."""
        for has_passed, stays_s in ((False, self._waits_s), (True, self._keeps_s)):
            some = {_name(key): _written(entry) for key, entry in entries.items() if bool(entry.passes) is has_passed}
            if some:
                await self._kv.put_many(some, expires_after_s=stays_s)


def _written(entry: Entry) -> bytes:
    return _ENTRY.pack(entry.first_at, entry.last_at, min(entry.passes, _MOST_PASSES))


def _name(key: str) -> bytes:
    return blake2b(key.encode("utf-8", "surrogatepass"), digest_size=12).digest()
