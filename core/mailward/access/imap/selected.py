"""The selected mailbox as one session knows it: which messages have which sequence numbers, and what it has not been told yet.

Arrays and no object a message. A message that others have expunged keeps its number until the session may be told
(RFC 3501 section 7.4.1); the store still has its octets for a while.
"""

from array import array
from bisect import bisect_left
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from mailward.model.ids import Uid
from mailward.protocol.imap.arguments import SequenceSet
from mailward.store.base import FIRST_KEYWORD_BIT, SYSTEM_FLAGS, Delta, MailboxInfo, MailboxView


@dataclass(frozen=True, slots=True)
class Changed:
    """What a session is to be told. expunged: sequence numbers in the order of telling. exists: None when unchanged.

    flags: (sequence number, UID, flags value) of messages whose flags are new.
    """

    expunged: tuple[int, ...]
    exists: int | None
    flags: tuple[tuple[int, int, int], ...]
    keywords: bool


class Selected:
    """One session's view."""

    def __init__(self, view: MailboxView, *, read_only: bool) -> None:
        self.info: MailboxInfo = view.mailbox
        self.read_only = read_only
        self.keywords = view.keywords
        self.modseq = view.mailbox.highest_modseq
        self.uids: array[int] = array("I", view.uids)
        self.flags: array[int] = array("Q", view.flags)
        self.messages: array[int] = array("Q", view.messages)
        self._gone: set[int] = set()
        self._names: dict[int, bytes] = {}

    def __len__(self) -> int:
        return len(self.uids)

    def flag_names(self, value: int) -> bytes:
        """`\\Seen $Junk` for a flags value; kept, since few values occur."""
        found = self._names.get(value)
        if found is None:
            names = [name for bit, name in enumerate(SYSTEM_FLAGS) if value >> bit & 1]
            names += [name for bit, name in enumerate(self.keywords) if value >> (bit + FIRST_KEYWORD_BIT) & 1]
            found = self._names[value] = " ".join(names).encode("ascii")
        return found

    def bit_of(self, flag: str) -> int:
        """The mask of a flag, 0 when no message of the mailbox has ever had it."""
        lowered = flag.lower()
        for bit, name in enumerate(SYSTEM_FLAGS):
            if name.lower() == lowered:
                return 1 << bit
        for bit, name in enumerate(self.keywords):
            if name.lower() == lowered:
                return 1 << (bit + FIRST_KEYWORD_BIT)
        return 0

    def index_of(self, uid: int) -> int | None:
        """The place of a UID, None when it is not here."""
        place = bisect_left(self.uids, uid)
        return place if place < len(self.uids) and self.uids[place] == uid else None

    def indexes(self, numbers: SequenceSet, *, uid: bool) -> Sequence[int]:
        """Places (sequence number - 1) that a set names. A UID set passes over what is not there.

        Raises IndexError for a sequence number that does not exist.
        """
        found: list[int] = []
        if uid:
            largest = self.uids[-1] if self.uids else 1
            for low, high in numbers.resolve(largest):
                found.extend(range(bisect_left(self.uids, low), bisect_left(self.uids, high + 1)))
            return found
        for low, high in numbers.resolve(max(len(self), 1)):
            if high > len(self):
                raise IndexError(high)
            found.extend(range(low - 1, high))
        return found

    def uids_at(self, indexes: Collection[int]) -> tuple[Uid, ...]:
        return tuple(Uid(self.uids[index]) for index in indexes)

    def merge(self, delta: Delta, *, expunge: bool) -> Changed:
        """Take in what changed. expunge: the session may be told of expunged messages now; else they wait."""
        keywords_changed = delta.keywords != self.keywords
        if keywords_changed:
            self.keywords = delta.keywords
            self._names.clear()
        changed: list[tuple[int, int]] = []
        arrived = False
        for uid, value, message in zip(delta.uids, delta.flags, delta.messages, strict=True):
            place = self.index_of(uid)
            if place is not None:
                if self.flags[place] != value:
                    self.flags[place] = value
                    changed.append((uid, value))
            elif not self.uids or uid > self.uids[-1]:
                self.uids.append(uid)
                self.flags.append(value)
                self.messages.append(message)
                arrived = True
        self._gone.update(uid for uid in delta.gone if self.index_of(uid) is not None)
        self.modseq = max(self.modseq, delta.highest_modseq)
        expunged = self._take_gone() if expunge else ()
        flags = tuple((place + 1, uid, value) for uid, value in changed if (place := self.index_of(uid)) is not None)
        return Changed(expunged, len(self) if arrived or expunged else None, flags, keywords_changed)

    def _take_gone(self) -> tuple[int, ...]:
        """Highest number first, so that each number is right when it is told and the arrays shift least."""
        places = sorted((place for uid in self._gone if (place := self.index_of(uid)) is not None), reverse=True)
        for place in places:
            del self.uids[place], self.flags[place], self.messages[place]
        self._gone.clear()
        return tuple(place + 1 for place in places)
