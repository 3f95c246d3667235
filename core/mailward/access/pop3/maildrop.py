"""INBOX as a maildrop (RFC 1939 section 4): what was there at login, by message-numbers that hold to the end of the session.

Sizes and unique-ids come from the index; only RETR and TOP open a message. Nothing changes in the store before `update`.
Totals, sizes and marks are in memory; all else blocks. It is called by one thread at a time.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from mailward.formats.mailbox_names import INBOX
from mailward.formats.surrogate import surrogate_header
from mailward.model.errors import StorageError
from mailward.model.ids import Uid
from mailward.store.base import AccountStore
from mailward.store.flags import SEEN
from mailward.store.ops import Expunge, SetFlags
from mailward.store.unique_ids import unique_ids

CHUNK_OCTETS = 256 * 1024
_LINES = 5000
"""So many lines of a listing are made at once."""


class NoSuchMessageError(Exception):
    """No message has this number, or it is marked as deleted, or another client has deleted it."""


@dataclass(frozen=True, slots=True)
class Totals:
    """What STAT tells, without messages marked as deleted."""

    messages: int
    octets: int


class Maildrop:
    """A snapshot of INBOX and the marks on it. marks_seen: as of `session.Desk`. Raises StorageError."""

    def __init__(self, store: AccountStore, *, marks_seen: bool = True) -> None:
        self._store = store
        self._marks_seen = marks_seen
        view = store.view(store.mailbox(INBOX).id)
        self._mailbox = view.mailbox
        self._modseq = view.mailbox.highest_modseq
        self._uids = view.uids
        self._messages = view.messages
        self._is_seen = bytearray(flags & SEEN for flags in view.flags)
        self._sizes, self._surrogate_sizes = array("Q"), array("Q")
        for size, growth in store.meta(view.messages, ["size_octets", "surrogate_growth"]):
            self._sizes.append(int(size))
            self._surrogate_sizes.append(int(size) + int(growth))
        self._all_octets = {utf8: sum(self._told_sizes(utf8)) for utf8 in (True, False)}
        self.reset()
        self._is_gone = bytearray(len(view.uids))
        self._retrieved: set[int] = set()
        self._ids: list[str] = []

    # --- figures: what is sent, without dot-stuffing (RFC 6856 section 2.1) ---

    def totals(self, *, utf8: bool) -> Totals:
        """utf8: as of `message`."""
        return Totals(self._left, self._left_octets[utf8])

    def size_octets(self, number: int, *, utf8: bool) -> int:
        """Of one message. Raises NoSuchMessageError."""
        return self._told_sizes(utf8)[self._place(number)]

    def unique_id(self, number: int) -> str:
        """Never used for another message of the account. Raises NoSuchMessageError."""
        return self._unique_id(self._place(number))

    def sizes(self, *, utf8: bool) -> Iterator[bytes]:
        """The lines of LIST, some thousands at a time."""
        sizes = self._told_sizes(utf8)
        return self._listing(lambda place: str(sizes[place]))

    def unique_ids(self) -> Iterator[bytes]:
        """The lines of UIDL, some thousands at a time."""
        return self._listing(self._unique_id)

    def _told_sizes(self, utf8: bool) -> "array[int]":
        return self._sizes if utf8 else self._surrogate_sizes

    def _unique_id(self, place: int) -> str:
        if not self._ids:
            self._ids = unique_ids(self._store, self._mailbox, self._uids)
        return self._ids[place]

    def _listing(self, value: Callable[[int], str]) -> Iterator[bytes]:
        for start in range(0, len(self._uids), _LINES):
            places = range(start, min(start + _LINES, len(self._uids)))
            lines = (f"{place + 1} {value(place)}\r\n" for place in places if not self._is_deleted[place])
            yield "".join(lines).encode("ascii")

    # --- messages ---

    def message(self, number: int, *, utf8: bool) -> Iterator[bytes]:
        """The octets of one message in chunks; its errors come with the first. Raises NoSuchMessageError, StorageError.

        utf8: the client takes a header in UTF-8; else it gets what stands in its place.
        """
        place = self._readable(number)
        header, header_octets = (b"", 0) if utf8 else self._header(place)
        if header.isascii():
            yield from self._octets(place, 0)
        else:
            body = self._octets(place, header_octets)
            yield surrogate_header(header) + next(body, b"")
            yield from body
        if self._marks_seen:
            self._retrieved.add(place)

    def header_and_body(self, number: int, *, utf8: bool) -> Iterator[bytes]:
        """As `message`, but the header comes alone, without opening the body."""
        place = self._readable(number)
        header, header_octets = self._header(place)
        yield header if utf8 or header.isascii() else surrogate_header(header)
        yield from self._octets(place, header_octets)

    def _header(self, place: int) -> tuple[bytes, int]:
        """With its empty line, and the octets it has."""
        ((header, octets),) = self._store.meta([self._messages[place]], ["headers", "header_octets"])
        return bytes(header) if isinstance(header, bytes) else b"", int(octets)

    def _octets(self, place: int, start: int) -> Iterator[bytes]:
        size = self._sizes[place]
        for at in range(start, size, CHUNK_OCTETS):
            octets = self._store.read(self._messages[place], at, CHUNK_OCTETS)
            if len(octets) != min(CHUNK_OCTETS, size - at):
                raise StorageError(f"message {self._messages[place]} is shorter than its size says", permanent=True)
            yield octets

    def _readable(self, number: int) -> int:
        place = self._place(number)
        delta = self._store.delta(self._mailbox.id, self._modseq)
        self._modseq = delta.highest_modseq
        for first, last in (*((uid, uid) for uid in delta.gone), *delta.long_gone):
            for at in range(bisect_left(self._uids, first), bisect_right(self._uids, last)):
                self._is_gone[at] = 1
        if self._is_gone[place]:
            raise NoSuchMessageError
        return place

    # --- marks ---

    def delete(self, number: int) -> None:
        """Mark. Raises NoSuchMessageError."""
        place = self._place(number)
        self._is_deleted[place] = 1
        self._left -= 1
        for utf8 in (True, False):
            self._left_octets[utf8] -= self._told_sizes(utf8)[place]

    def reset(self) -> None:
        """Take all marks away."""
        self._is_deleted = bytearray(len(self._uids))
        self._left = len(self._uids)
        self._left_octets = self._all_octets.copy()

    def update(self) -> int:
        """Expunge what is marked, and note as seen what was retrieved, where that is wanted. How many messages went: others may
        have expunged some of them before.

        All or nothing, and durable when it returns. Raises StorageError and StoreRefusal, and then nothing has changed.
        """
        seen = [place for place in sorted(self._retrieved) if not self._is_seen[place] and not self._is_deleted[place]]
        deleted = [place for place, marked in enumerate(self._is_deleted) if marked]
        id, uids = self._mailbox.id, self._uids
        ops: list[SetFlags | Expunge] = []
        if seen:
            ops.append(SetFlags(id, tuple(Uid(uids[place]) for place in seen), "add", ("\\Seen",)))
        if deleted:
            ops.append(Expunge(id, tuple(Uid(uids[place]) for place in deleted)))
        results = self._store.apply(ops)
        return len(results[-1].uids) if deleted else 0

    def _place(self, number: int) -> int:
        if not 1 <= number <= len(self._uids) or self._is_deleted[number - 1]:
            raise NoSuchMessageError
        return number - 1
