"""What the messages of a mailbox are found, sorted and threaded by: columns of values, kept in memory for the next time.

What is made of a message never changes, and a UID stands for one message as long as its UIDVALIDITY does. So what is kept is
right for ever; only messages that a column does not know are read when a session asks for it again. All sessions of a process
share the columns, in bounded memory: what was used last stays.
"""

import sys
import threading
from array import array
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from mailward.access.imap.selected import Selected, taken
from mailward.store.base import AccountStore, Column

_MOST_OCTETS = 64 * 1024 * 1024
_MOST_MESSAGES = 400_000
"""Of larger mailboxes no columns are kept: they are read each time, and let go of message by message where that can be."""
_FEW = 8
"""Where a smaller part of a mailbox than this is in question, a column that is not kept is not made."""

V = TypeVar("V", bound=Hashable)
W = TypeVar("W", bound=Hashable)
Read = Callable[[Sequence[int]], Iterable[V]]
"""Gives a value for each of some message numbers."""


@dataclass(slots=True)
class Kept(Generic[V]):
    """values: of the messages with these UIDs, or what was worked out from all of them. ranks: made when they are asked for."""

    uids: "array[int]"
    values: list[V]
    ranks: list[int] = field(default_factory=list)

    def octets(self) -> int:
        """About what it takes, ranks included."""
        return 20 * len(self.uids) + 8 * len(self.values) + sum(map(sys.getsizeof, set(self.values)))


class Shelf:
    """What is kept, in so many octets together."""

    def __init__(self, most_octets: int = _MOST_OCTETS) -> None:
        self._most_octets = most_octets
        self._lock = threading.Lock()
        self._kept: OrderedDict[Hashable, tuple[Kept[Any], int]] = OrderedDict()
        self.octets = 0

    def get(self, key: Hashable) -> Kept[Any] | None:
        with self._lock:
            if key not in self._kept:
                return None
            self._kept.move_to_end(key)
            return self._kept[key][0]

    def put(self, key: Hashable, kept: Kept[Any]) -> None:
        """In place of what was kept under the key."""
        octets = kept.octets()
        with self._lock:
            if key in self._kept:
                self.octets -= self._kept.pop(key)[1]
            self._kept[key] = (kept, octets)
            self.octets += octets
            while self.octets > self._most_octets:
                self.octets -= self._kept.popitem(last=False)[1][1]


class Contents:
    """The columns of one session's mailbox, by the names that they are kept under. Blocking; runs in a thread."""

    def __init__(self, shelf: Shelf, store: AccountStore, selected: Selected) -> None:
        self._shelf = shelf
        self.store = store
        self.selected = selected

    def numbers(self, column: Column, places: Sequence[int]) -> Iterable[int]:
        """A column of the store, one number for each place."""
        return self.values(column, lambda messages: (int(value) for (value,) in self.store.meta(messages, (column,))), places)

    def values(self, name: str, read: Read[V], places: Sequence[int]) -> Iterable[V]:
        """One value for each place."""
        kept = self._column(name, read, places)
        return read(taken(self.selected.messages, places)) if kept is None else _at(kept.values, places)

    def ranks(self, name: str, read: Read[str], places: Sequence[int]) -> Sequence[int] | Sequence[str]:
        """What sorts the places as their texts would; equal where those are."""
        kept = self._column(name, read, places)
        if kept is None:
            return [*read(taken(self.selected.messages, places))]
        if not kept.ranks:
            rank = {text: rank for rank, text in enumerate(sorted(set(kept.values)))}
            kept.ranks = [*map(rank.__getitem__, kept.values)]
        return _at(kept.ranks, places)

    def once(self, name: str, places: Sequence[int], work_out: Callable[[], bytes]) -> bytes:
        """What is worked out from the messages at these places; the last answer of this name is kept."""
        uids = array("I", taken(self.selected.uids, places))
        kept = self._shelf.get(key := self._key(name))
        if kept is None or kept.uids != uids:
            kept = Kept(uids, [work_out()])
            self._shelf.put(key, kept)
        return bytes(kept.values[0])

    def _column(self, name: str, read: Read[V], places: Sequence[int]) -> Kept[V] | None:
        """None where it is not worth making."""
        uids, messages = self.selected.uids, self.selected.messages
        kept = self._shelf.get(key := self._key(name))
        if len(uids) > _MOST_MESSAGES or (kept is None and len(places) * _FEW < len(uids)):
            return None
        if kept is None:
            kept = Kept(uids[:], _same_once(read(messages)))
        elif kept.uids == uids:
            return kept
        elif uids[: len(kept.uids)] == kept.uids:
            kept = Kept(uids[:], _same_once([*kept.values, *read(messages[len(kept.uids) :])]))
        else:
            known = dict(zip(kept.uids, kept.values, strict=True))
            new = iter(read([message for uid, message in zip(uids, messages, strict=True) if uid not in known]))
            kept = Kept(uids[:], _same_once(known[uid] if uid in known else next(new) for uid in uids))
        self._shelf.put(key, kept)
        return kept

    def _key(self, name: str) -> Hashable:
        return self.store, self.selected.info.id, self.selected.info.uidvalidity, name


def _same_once(values: Iterable[W]) -> list[W]:
    """Equal ones as one object."""
    known: dict[W, W] = {}
    return [known.setdefault(value, value) for value in values]


def _at(values: list[W], places: Sequence[int]) -> list[W]:
    if isinstance(places, range):
        return values[places.start : places.stop]
    return [values[place] for place in places]
