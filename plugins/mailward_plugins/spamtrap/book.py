"""Which hosts have written to a trap lately? The key-value store forgets them in time, and the first of too many (T-DOS-16)."""

import struct
from dataclasses import dataclass
from datetime import datetime, timedelta

from mailward.api import KeyValue

_ENTRY = struct.Struct(">IH")
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
        octets = (await self._kv.get_many([source.encode()])).get(source.encode())
        if octets is None:
            return None
        last_at, hits = _ENTRY.unpack(octets)
        age_s = int(now.timestamp()) - last_at
        if not 0 <= age_s < self._remember_s:  # the clock was set back, or the admin says a shorter time now
            return None
        return Known(hits, round(1 - age_s / self._remember_s, 2))

    async def add(self, source: str, now: datetime) -> int:
        """One more message; how many there are. Of two at the same instant one may be lost."""
        known = await self.find(source, now)
        hits = min(1 + (known.hits if known else 0), _MOST_HITS)
        octets = _ENTRY.pack(int(now.timestamp()), hits)
        await self._kv.put_many({source.encode(): octets}, expires_after_s=self._remember_s)
        return hits
