"""What has come before, and when? A table of fixed size in the key-value store, whoever fills it (T-DOS-16).

Every entry may stand in any of four slots, which its hash chooses. A new one takes a slot that is free or expired, else the one
of the four that is worth least: entries of senders who never came back are pushed out before those of senders who did, so a
flood of made-up senders costs others a second delay at worst. One lookup and one write, however many entries there are.
"""

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import blake2b

from mailward.api import KeyValue

SLOTS = 1 << 20
"""About 60 MB on disk when every one is taken."""
CHOICES = 4

_ENTRY = struct.Struct(">12sIIH")
_MOST_PASSES = 0xFFFF


@dataclass(frozen=True, slots=True)
class Entry:
    """first_at, last_at: seconds since 1970. passes: how often it came back in time; 0 while it waits."""

    first_at: int
    last_at: int
    passes: int = 0


@dataclass(frozen=True, slots=True)
class _Place:
    digest: bytes
    slots: tuple[bytes, ...]


class Table:
    """waits_s, keeps_s: how long an entry stays that has never passed, and one that has, after it was last seen."""

    def __init__(self, kv: KeyValue, waits_s: float, keeps_s: float) -> None:
        self._kv = kv
        self._waits_s = waits_s
        self._keeps_s = keeps_s

    async def find(self, keys: Iterable[str], now: int) -> tuple[dict[str, Entry], "Slots"]:
        """Those of the keys that are known and not expired; and the slots that were read, to be written with `keep`."""
        places = {key: _place(key) for key in keys}
        read = await self._kv.get_many(sorted({slot for place in places.values() for slot in place.slots}))
        held = {slot: _ENTRY.unpack(octets) for slot, octets in read.items() if len(octets) == _ENTRY.size}
        alive = {slot: (row[0], Entry(*row[1:])) for slot, row in held.items() if self._is_alive(Entry(*row[1:]), now)}
        found = {
            key: alive[slot][1]
            for key, place in places.items()
            for slot in place.slots
            if slot in alive and alive[slot][0] == place.digest
        }
        return found, Slots(places, alive)

    async def keep(self, entries: Mapping[str, Entry], slots: "Slots") -> None:
        """Write these entries, each in its old slot or in the one worth least. Two writers at once may lose one entry."""
        written: dict[bytes, bytes] = {}
        for key, entry in entries.items():
            slot = slots.take(key, entry)
            written[slot] = _ENTRY.pack(slots.digest(key), entry.first_at, entry.last_at, min(entry.passes, _MOST_PASSES))
        if written:
            await self._kv.put_many(written)

    def _is_alive(self, entry: Entry, now: int) -> bool:
        since, limit_s = (entry.last_at, self._keeps_s) if entry.passes else (entry.first_at, self._waits_s)
        return since <= now < since + limit_s


class Slots:
    """The slots of some keys as they were read, with what lives in them."""

    def __init__(self, places: Mapping[str, _Place], alive: Mapping[bytes, tuple[bytes, Entry]]) -> None:
        self._places = places
        self._alive = dict(alive)

    def digest(self, key: str) -> bytes:
        return self._places[key].digest

    def take(self, key: str, entry: Entry) -> bytes:
        """The slot for this entry, which holds it from now on."""
        place = self._places[key]
        slot = min(place.slots, key=lambda slot: self._worth(slot, place.digest))
        self._alive[slot] = (place.digest, entry)
        return slot

    def _worth(self, slot: bytes, digest: bytes) -> tuple[int, bool, int]:
        held = self._alive.get(slot)
        if held is None:
            return (1, False, 0)
        if held[0] == digest:
            return (0, False, 0)
        return (2, held[1].passes > 0, held[1].last_at)


def _place(key: str) -> _Place:
    hashed = blake2b(key.encode("utf-8", "surrogatepass"), digest_size=12 + 4 * CHOICES).digest()
    numbers = (int.from_bytes(hashed[at : at + 4], "big") % SLOTS for at in range(12, len(hashed), 4))
    return _Place(hashed[:12], tuple(number.to_bytes(3, "big") for number in numbers))
