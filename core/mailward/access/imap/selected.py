"""The selected mailbox as one session knows it: which messages have which sequence numbers, and what it has not been told yet.

Arrays and no object a message. A message that others have expunged keeps its number until the session may be told
(RFC 3501 section 7.4.1); the store still has its octets for a while.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import cast

from mailward.access.imap.recent import Recent
from mailward.model.ids import Uid
from mailward.protocol.imap.arguments import SequenceSet
from mailward.store.base import SYSTEM_FLAGS, Delta, MailboxInfo, MailboxView
from mailward.store.flags import FlagChange, mask_of, names_of
from mailward.store.ops import Mode, OpResult


def taken(values: "array[int]", places: Sequence[int]) -> Sequence[int]:
    """The values at these places."""
    if isinstance(places, range):
        return values[places.start : places.stop]
    return [values[place] for place in places]


def _recent(names: bytes) -> bytes:
    return b"\\Recent " + names if names else b"\\Recent"


_PIECEWISE = 1000
"""Where no more entries go, the rest is taken in the pieces between them; else value by value."""
_MOST_COPIED = 100_000
"""Messages whose arrays are copied on the event loop, which takes a millisecond or two."""


def without(values: "array[int]", places: Sequence[int]) -> "array[int]":
    """The values but those at these places, which are in order."""
    if len(places) > _PIECEWISE:
        stays = bytearray(b"\1" * len(values))
        for place in places:
            stays[place] = 0
        return array(values.typecode, compress(values, stays))
    kept = array(values.typecode)
    start = 0
    for place in places:
        kept += values[start:place]
        start = place + 1
    return kept + values[start:]


@dataclass(frozen=True, slots=True)
class Changed:
    """What a session is to be told. expunged: sequence numbers in the order of telling; vanished: the same messages' UIDs.

    exists: None when unchanged. flags: places (sequence number - 1) of messages whose flags are new; touched: of those that
    have a new MODSEQ, these among them.
    """

    expunged: tuple[int, ...]
    vanished: tuple[int, ...]
    exists: int | None
    flags: frozenset[int]
    touched: tuple[int, ...]
    keywords: bool


class Selected:
    """One session's view.

    uids, flags, modseqs, messages: equally long, in UID order; a place is an index into them. They are the store's, which others
    have too, until the first change.

    stamp: the store's, when all that it had was taken in; None where that is not known.

    modseq: what the view holds is of then. told_modseq: up to then the session has been told everything, lower while it must
    not be told of messages that were expunged: a client that comes back asks for what is newer (RFC 7162 section 6).
    """

    def __init__(self, view: MailboxView, *, read_only: bool, whose: str = "") -> None:
        """whose: see `reach.Reached`."""
        self.info: MailboxInfo = view.mailbox
        self.whose = whose
        self.read_only = read_only
        self.keywords = view.keywords
        self.modseq = self.told_modseq = view.mailbox.highest_modseq
        self.uidnext = view.mailbox.uidnext
        self.stamp = view.stamp
        self.uids, self.flags, self.modseqs, self.messages = view.uids, view.flags, view.modseqs, view.messages
        self._are_shared = True
        self.recent = Recent()
        self.saved: array[int] = array("I")
        """UIDs that a search saved, "$" (RFC 5182); those of messages that are gone count for nothing."""
        self.rests = False
        """The arrays are empty until `wake`."""
        self._gone: set[int] = set()
        self._names: dict[int, bytes] = {}

    def save(self, places: Sequence[int]) -> None:
        """What "$" stands for from now on."""
        self.saved = array("I", (self.uids[place] for place in sorted(places)))

    def rest(self) -> None:
        """Let the arrays go, where the session has been told everything: they can be made again of what the store has."""
        if not self._gone:
            self.uids, self.flags, self.modseqs, self.messages = array("I"), array("Q"), array("Q"), array("Q")
            self._are_shared = False
            self.rests = True

    def wake(self, view: MailboxView, delta: Delta) -> None:
        """Have the arrays as they were, of a later view and of what has changed since, up to that view at least.

        What the flags of a changed message were is not known: they are others than now, so that `merge` tells of them.
        """
        end = bisect_left(view.uids, self.uidnext)
        columns: Iterable[Sequence[int]] = (view.uids[:end], view.flags[:end], view.modseqs[:end], view.messages[:end])
        if gone := {*delta.gone}.difference(view.uids):
            columns = zip(*sorted([*zip(*columns, strict=True), *((uid, 0, 0, 0) for uid in gone)]), strict=True)
        self.uids, self.flags, self.modseqs, self.messages = map(array, "IQQQ", columns)
        for uid, value in zip(delta.uids, delta.flags, strict=True):
            if (place := self.index_of(uid)) is not None:
                self.flags[place], self.modseqs[place] = value ^ 1, 0
        self.rests = False

    def is_up_to(self, stamp: int | None) -> bool:
        """Nothing has changed, by this stamp of the store, and the session has been told everything."""
        return stamp is not None and stamp == self.stamp and not self._gone

    def is_long_to_change(self, *, expunged: bool = False) -> bool:
        """Large arrays would have to be copied. expunged: messages go, too."""
        return (self._are_shared or expunged or bool(self._gone)) and len(self) > _MOST_COPIED

    def _begin_change(self) -> None:
        if self._are_shared:
            self.uids, self.flags, self.modseqs, self.messages = self.uids[:], self.flags[:], self.modseqs[:], self.messages[:]
            self._are_shared = False

    def __len__(self) -> int:
        return len(self.uids)

    def flag_names(self, places: Sequence[int]) -> list[bytes]:
        """`\\Seen $Junk` for the message at each place; kept, since few values occur."""
        names = self._names
        values = taken(self.flags, places)
        for value in set(values) - names.keys():
            names[value] = " ".join(names_of(value, self.keywords)).encode("ascii")
        shown = [names[value] for value in values]
        first, last = (self.uids[places[0]], self.uids[places[-1]]) if places else (0, 0)
        recent = self.recent
        if not recent.may_hold(last):
            return shown
        if recent.holds_all(first, last):
            with_recent = {value: _recent(names[value]) for value in set(values)}
            return [with_recent[value] for value in values]
        return [_recent(text) if uid in recent else text for uid, text in zip(taken(self.uids, places), shown, strict=True)]

    def index_of(self, uid: int) -> int | None:
        """The place of a UID, None when it is not here."""
        place = bisect_left(self.uids, uid)
        return place if place < len(self.uids) and self.uids[place] == uid else None

    def messages_of(self, uids: Iterable[int]) -> list[int]:
        """The store's numbers of those that are here."""
        return [self.messages[place] for place in self._places(uids)]

    def place_from(self, uid: int) -> int:
        """The place of the first message that has this UID or a higher one."""
        return bisect_left(self.uids, uid)

    def places_of(self, numbers: SequenceSet, *, uid: bool) -> Sequence[int]:
        """The places that a set names, in order. A UID set passes over what is not there.

        Raises IndexError for a sequence number that does not exist.
        """
        if numbers.is_saved:
            return [place for uid in self.saved if (place := self.index_of(uid)) is not None]
        if uid:
            pairs = numbers.resolve(self.uids[-1] if self.uids else 1)
            ranges = [range(bisect_left(self.uids, low), bisect_left(self.uids, high + 1)) for low, high in pairs]
        else:
            pairs = numbers.resolve(max(len(self), 1))
            if pairs[-1][1] > len(self):
                raise IndexError(pairs[-1][1])
            ranges = [range(low - 1, high) for low, high in pairs]
        if len(ranges) == 1:
            return ranges[0]
        return [place for some in ranges for place in some]

    def uids_at(self, places: Sequence[int]) -> Sequence[Uid]:
        """A range where they are one, which is much less work for the store."""
        if isinstance(places, range) and places and self.uids[places[-1]] - self.uids[places[0]] + 1 == len(places):
            return cast("Sequence[Uid]", range(self.uids[places[0]], self.uids[places[-1]] + 1))
        return tuple(cast("Sequence[Uid]", taken(self.uids, places)))

    def take_own(self, result: OpResult, places: Sequence[int], mode: Mode, flags: tuple[str, ...]) -> bool:
        """Take in what the session itself has stored, where nobody else has changed anything since it was told.

        False when it is otherwise, or when a flag is new to the mailbox; nothing is taken in then.
        """
        before, after = result.modseqs
        if before != self.modseq or self._gone or len(result.uids) != len(places) or not self._has_all(flags):
            return False
        self._begin_change()
        FlagChange.of(mode, mask_of(flags, self.keywords)).apply(self.flags, self.modseqs, places, after)
        self.modseq = self.told_modseq = after
        self.stamp = None
        return True

    def _has_all(self, flags: Sequence[str]) -> bool:
        known = {name.lower() for name in (*SYSTEM_FLAGS, *self.keywords)}
        return all(flag.lower() in known for flag in flags)

    def merge(self, delta: Delta, *, expunge: bool) -> Changed:
        """Take in what changed. expunge: the session may be told of expunged messages now; else they wait."""
        keywords_changed = delta.keywords != self.keywords
        if keywords_changed:
            self.keywords = delta.keywords
            self._names.clear()
        if delta.uids or delta.gone or delta.long_gone:
            self._begin_change()
        self.stamp = delta.stamp
        flagged: list[int] = []
        touched: list[int] = []
        arrived = False
        for uid, value, modseq, message in zip(delta.uids, delta.flags, delta.modseqs, delta.messages, strict=True):
            if not self.uids or uid > self.uids[-1]:
                self.uids.append(uid)
                self.flags.append(value)
                self.modseqs.append(modseq)
                self.messages.append(message)
                arrived = True
            elif (place := self.index_of(uid)) is not None and self.modseqs[place] != modseq:
                if self.flags[place] != value:
                    self.flags[place] = value
                    flagged.append(uid)
                self.modseqs[place] = modseq
                touched.append(uid)
        self._gone.update(uid for uid in delta.gone if self.index_of(uid) is not None)
        for first, last in delta.long_gone:
            self._gone.update(self.uids[bisect_left(self.uids, first) : bisect_right(self.uids, last)])
        self.modseq = max(self.modseq, delta.highest_modseq)
        self.uidnext = max(self.uidnext, delta.uidnext)
        vanished = self._gone_in_order() if expunge else ()
        expunged = self._take_gone(vanished) if vanished else ()
        if not self._gone:
            self.told_modseq = self.modseq
        return Changed(
            expunged,
            vanished,
            len(self) if arrived else None,
            frozenset(self._places(flagged)),
            tuple(self._places(touched)),
            keywords_changed,
        )

    def _places(self, uids: Iterable[int]) -> Iterator[int]:
        """Of those that are here."""
        return (place for uid in uids if (place := self.index_of(uid)) is not None)

    def _gone_in_order(self) -> tuple[int, ...]:
        """Their UIDs. Many are not sorted, which is one long call that no other thread gets a turn in."""
        if len(self._gone) <= _PIECEWISE:
            return tuple(sorted(self._gone))
        return tuple([uid for uid in self.uids if uid in self._gone])

    def _take_gone(self, uids: Sequence[int]) -> tuple[int, ...]:
        """Of these, in order. Highest number first, so that each number is right when it is told."""
        places = [*self._places(reversed(uids))]
        columns = (self.uids, self.flags, self.modseqs, self.messages)
        self.uids, self.flags, self.modseqs, self.messages = (without(column, places[::-1]) for column in columns)
        self._are_shared = False
        self._gone.clear()
        return tuple(place + 1 for place in places)
