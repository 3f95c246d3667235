"""Which hosts have written to a trap lately? A table of fixed size in the key-value store, whoever fills it (T-DOS-16).

A host has one slot, which its hash chooses; who comes later takes it. Losing one of them costs a little of what a filter knows,
and filling the table costs a message to a trap for each slot.
"""

import struct
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import blake2b

from mailward.api import KeyValue

SLOTS = 1 << 16
"""About 3 MB on disk when every one is taken."""

_ENTRY = struct.Struct(">8sIH")
_MOST_HITS = 0xFFFF


@dataclass(frozen=True, slots=True)
class Known:
    """hits: messages to traps. strength: 1 when the last was just now, towards 0 when it is about to be forgotten."""

    hits: int
    strength: float


class Book:
    """remember: how long a host is known, counted from its last message to a trap."""

    def __init__(self, kv: KeyValue, remember: timedelta) -> None:
        self._kv = kv
        self._remember_s = remember.total_seconds()

    async def find(self, source: str, now: datetime) -> Known | None:
        """What is known of a host; None for nothing."""
        slot, digest = _place(source)
        octets = (await self._kv.get_many([slot])).get(slot, b"")
        if len(octets) != _ENTRY.size:
            return None
        owner, last_at, hits = _ENTRY.unpack(octets)
        age_s = int(now.timestamp()) - last_at
        if owner != digest or not 0 <= age_s < self._remember_s:
            return None
        return Known(hits, round(1 - age_s / self._remember_s, 2))

    async def add(self, source: str, now: datetime) -> int:
        """One more message; how many there are. Of two at the same instant one may be lost."""
        slot, digest = _place(source)
        known = await self.find(source, now)
        hits = min(1 + (known.hits if known else 0), _MOST_HITS)
        await self._kv.put_many({slot: _ENTRY.pack(digest, int(now.timestamp()), hits)})
        return hits


def _place(source: str) -> tuple[bytes, bytes]:
    hashed = blake2b(source.encode("utf-8", "surrogatepass"), digest_size=12).digest()
    return (int.from_bytes(hashed[8:], "big") % SLOTS).to_bytes(2, "big"), hashed[:8]
