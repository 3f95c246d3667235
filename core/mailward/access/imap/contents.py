"""What the messages of a mailbox are found, sorted and threaded by: columns of values, kept in memory for the next time.

What is made of a message never changes, and a UID stands for one message as long as its UIDVALIDITY does. So what is kept is
right for ever; only messages that a column does not know are read when a session asks for it again. All sessions of a process
share the columns, in bounded memory: what was used last stays, and what is too large is read from the store each time.
"""

import sys
import threading
from array import array
from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Generic, TypeVar
from weakref import WeakValueDictionary

from mailward.access.imap.selected import Selected, taken
from mailward.access.imap.turns import sorted_in_turns
from mailward.model.ids import MailboxId
from mailward.store.base import AccountStore, Column

_MOST_OCTETS = 64 * 1024 * 1024
_EACH_OCTETS = 28
"""A UID, where its value is, and its rank; the different values come on top."""
_FEW = 8
"""Where a smaller part of a mailbox than this is in question, a column that is not kept is not made."""

V = TypeVar("V", bound=Hashable)
Key = tuple[AccountStore, MailboxId, int, str]
"""Whose mailbox of which UIDVALIDITY, and what is kept of it."""
Read = Callable[[Sequence[int]], Iterable[V]]
"""Gives a value for each of some message numbers."""


@dataclass(slots=True)
class Kept(Generic[V]):
    """values: of the messages with these UIDs, or what was worked out from all of them; None where they take too much.

    octets: about what it takes, ranks included. ranks: made when they are asked for.
    """

    uids: "array[int]"
    values: list[V] | None
    octets: int
    ranks: list[int] = field(default_factory=list)


def _kept(uids: "array[int]", values: Iterable[V], most_octets: int) -> Kept[V]:
    """Equal values as one object. Reading ends where they take too much."""
    octets = _EACH_OCTETS * len(uids)
    known: dict[V, V] = {}
    found: list[V] = []
    if octets <= most_octets:
        for value in values:
            same = known.get(value)
            if same is None:
                same = known[value] = value
                octets += sys.getsizeof(value)
                if octets > most_octets:
                    break
            found.append(same)
    if octets > most_octets:
        return Kept(uids, None, _EACH_OCTETS * len(uids))
    return Kept(uids, found, octets)


class Shelf:
    """What is kept, in so many octets together: half of them at most for one thing. Who has a fourth makes room of its own."""

    def __init__(self, most_octets: int = _MOST_OCTETS) -> None:
        self._most_octets = most_octets
        self.column_octets = most_octets // 2
        self._lock = threading.Lock()
        self._kept: OrderedDict[Key, Kept[Any]] = OrderedDict()
        self._held: Counter[AccountStore] = Counter()
        self._making: WeakValueDictionary[AccountStore, threading.Lock] = WeakValueDictionary()

    @property
    def octets(self) -> int:
        return self._held.total()

    def making(self, account: AccountStore) -> threading.Lock:
        """To be held while a column is made: an account's are made one after another."""
        with self._lock:
            return self._making.setdefault(account, threading.Lock())

    def get(self, key: Key) -> Kept[Any] | None:
        with self._lock:
            if key not in self._kept:
                return None
            self._kept.move_to_end(key)
            return self._kept[key]

    def put(self, key: Key, kept: Kept[Any]) -> None:
        """In place of what was kept under the key."""
        account = key[0]
        with self._lock:
            if key in self._kept:
                self._drop(key)
            self._kept[key] = kept
            self._held[account] += kept.octets
            while self.octets > self._most_octets:
                only_own = self._held[account] > self._most_octets // 4
                self._drop(next(key for key in self._kept if key[0] is account or not only_own))

    def _drop(self, key: Key) -> None:
        self._held[key[0]] -= self._kept.pop(key).octets
        if not self._held[key[0]]:
            del self._held[key[0]]


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
        """One value for each place, perhaps read as they are taken."""
        kept = self._column(name, read, places)
        if kept is None or kept.values is None:
            return read(taken(self.selected.messages, places))
        return _at(kept.values, places)

    def ranks(self, name: str, read: Read[str], places: Sequence[int]) -> Sequence[int] | Sequence[str]:
        """What sorts the places as their texts would; equal where those are."""
        kept = self._column(name, read, places)
        if kept is None or kept.values is None:
            return [*read(taken(self.selected.messages, places))]
        if not kept.ranks and len(places) * _FEW < len(kept.values):
            return _at(kept.values, places)
        if not kept.ranks:
            rank = {text: rank for rank, text in enumerate(sorted_in_turns([*set(kept.values)], str))}
            kept.ranks = [*map(rank.__getitem__, kept.values)]
        return _at(kept.ranks, places)

    def once(self, name: str, places: Sequence[int], work_out: Callable[[], bytes]) -> bytes:
        """What is worked out from the messages at these places; the last answer of this name is kept."""
        uids = array("I", taken(self.selected.uids, places))
        kept = self._shelf.get(key := self._key(name))
        if kept is not None and kept.values and kept.uids == uids:
            return bytes(kept.values[0])
        answer = work_out()
        self._shelf.put(key, _kept(uids, [answer], self._shelf.column_octets))
        return answer

    def _column(self, name: str, read: Read[V], places: Sequence[int]) -> Kept[V] | None:
        """None where it is not worth making."""
        uids = self.selected.uids
        kept = self._shelf.get(key := self._key(name))
        if kept is None and len(places) * _FEW < len(uids):
            return None
        if kept is None or not _is_of(kept, uids):
            with self._shelf.making(self.store):
                kept = self._shelf.get(key)  # somebody else may have made it meanwhile
                if kept is None or not _is_of(kept, uids):
                    kept = _kept(uids[:], self._read(kept, read), self._shelf.column_octets)
                    self._shelf.put(key, kept)
        return kept

    def _read(self, kept: Kept[V] | None, read: Read[V]) -> Iterable[V]:
        """Of all messages, of those from the store that are not known."""
        uids, messages = self.selected.uids, self.selected.messages
        if kept is None or kept.values is None:
            return read(messages)
        if uids[: len(kept.uids)] == kept.uids:
            return chain(kept.values, read(messages[len(kept.uids) :]))
        known = dict(zip(kept.uids, kept.values, strict=True))
        new = iter(read([message for uid, message in zip(uids, messages, strict=True) if uid not in known]))
        return (known[uid] if uid in known else next(new) for uid in uids)

    def _key(self, name: str) -> Key:
        return self.store, self.selected.info.id, self.selected.info.uidvalidity, name


def _is_of(kept: Kept[V], uids: "array[int]") -> bool:
    """What was too large is so until the mailbox has become smaller."""
    return kept.uids == uids if kept.values is not None else len(uids) >= len(kept.uids)


def _at(values: list[V], places: Sequence[int]) -> list[V]:
    if isinstance(places, range):
        return values[places.start : places.stop]
    return [values[place] for place in places]
