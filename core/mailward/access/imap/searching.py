"""Which messages match a search? Sets of places, narrowed key by key, the cheap keys first. Blocking; runs in a thread.

Flags and numbers are answered from the session's arrays, sizes, days and header fields from columns of the mailbox; BODY and TEXT
read the header blocks and then the messages that are still in question, but for those whose texts the store knows not to hold
what is looked for. It learns that of every message that is read here.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from itertools import compress
from math import ceil
from typing import Literal

from mailward.access.imap.contents import Contents
from mailward.access.imap.header_texts import field_texts, header_blocks, is_in_header
from mailward.access.imap.selected import taken
from mailward.access.imap.working import Progress
from mailward.formats.common_fields import NAMES
from mailward.formats.searched import folded
from mailward.model.errors import StorageError
from mailward.model.ids import AccountId
from mailward.protocol.imap.search import And, Changed, Day, Flag, Key, Not, Numbers, Object, Or, Size, Text
from mailward.store.base import AccountStore, Column, EntryColumn
from mailward.store.flags import mask_of
from mailward.store.marking import look_into

_BATCH = 500
_NOTED_TOGETHER_OCTETS = 4 * 1024 * 1024
"""Of messages, the texts of which are held until the store has made its marks of them: it takes long to do it for each alone."""
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DATE = re.compile(rb'\("[^"0-9]{0,30}(\d{1,2}) ([A-Za-z]{3}) (\d{4})\b')
_DAY_S = 24 * 3600
_EVER = 1 << 62
_NEVER = -_EVER - 1

Places = Sequence[int]
Span = tuple[int, int]
"""The first and the last number that match."""


class Search:
    """One search of one session's mailbox. owner: whose it is. now: what YOUNGER and OLDER count from. progress: counts messages,
    once for each key that looks into them. unreadable: the messages that BODY or TEXT could not look into, as if empty."""

    def __init__(self, contents: Contents, owner: AccountId, now: datetime, progress: Progress) -> None:
        self._contents = contents
        self._store = contents.store
        self._selected = contents.selected
        self._owner = owner
        self._now = now
        self._progress = progress
        self.unreadable: set[int] = set()

    def run(self, key: Key) -> Places:
        """The places (sequence number - 1) of the messages that match, in order."""
        self._progress.goal = len(self._selected) * looks(key)
        return self.among(key, range(len(self._selected)))

    def among(self, key: Key, places: Places) -> Places:
        """Those of the places, which are in order, that match."""
        if not places:
            return places
        if isinstance(key, And):
            for part in sorted(key.keys, key=_cost):
                places = self.among(part, places)
            return places
        if isinstance(key, Or):
            first = set(self.among(key.first, places))
            second = set(self.among(key.second, [place for place in places if place not in first]))
            return [place for place in places if place in first or place in second]
        if isinstance(key, Not):
            matching = set(self.among(key.key, places))
            return [place for place in places if place not in matching]
        if isinstance(key, Flag):
            return self._with_flag(key, places)
        if isinstance(key, Numbers):
            return self._numbered(key, places)
        if isinstance(key, Changed):
            modseqs = self._selected.modseqs
            return [place for place in places if modseqs[place] >= key.modseq]
        if isinstance(key, Object):
            if key.number is None or key.whose != self._selected.whose:
                return ()
            span = (key.number, key.number)
            return self._by_entry("email", span, places) if key.kind == "M" else self._by_number("thread", span, places)
        if isinstance(key, Text):
            return self._with_text(key, places)
        if isinstance(key, Day):
            return self._by_day(key, places)
        if isinstance(key, Size):
            return self._by_number("size_octets", (key.octets + 1, _EVER) if key.larger else (-_EVER, key.octets - 1), places)
        since = ceil((self._now - timedelta(seconds=key.seconds)).timestamp())
        return self._by_number("internal_date", (since, _EVER) if key.younger else (-_EVER, since - 1), places)

    def _with_flag(self, key: Flag, places: Places) -> Places:
        selected = self._selected
        if key.name == "\\Recent":
            return [place for place in places if selected.uids[place] in selected.recent]
        mask, flags = mask_of((key.name,), selected.keywords), selected.flags
        return [place for place in places if flags[place] & mask]

    def _numbered(self, key: Numbers, places: Places) -> Places:
        """Numbers that are not there match nothing, sequence numbers too."""
        if key.numbers.is_saved:
            saved = set(self._selected.places_of(key.numbers, uid=key.uid))
            return [place for place in places if place in saved]
        uids = self._selected.uids
        largest = (uids[-1] if uids else 1) if key.uid else len(uids)
        ranges = key.numbers.resolve(largest)
        wanted: list[int] = []
        at = 0
        for place in places:
            number = uids[place] if key.uid else place + 1
            while at < len(ranges) and ranges[at][1] < number:
                at += 1
            if at == len(ranges):
                break
            if ranges[at][0] <= number:
                wanted.append(place)
        return wanted

    def _by_entry(self, column: EntryColumn, span: Span, places: Places) -> Places:
        """What a message expunged by somebody else was called here is not known any more: it is not found."""
        found: list[int] = []
        for start in range(0, len(places), _BATCH):
            some = places[start : start + _BATCH]
            uids = [self._selected.uids[place] for place in some]
            rows = self._store.entry_meta(self._selected.info.id, uids, (column,))
            self._progress.done += len(some)
            values = (row[0] if row else None for row in rows)
            found += _within(some, (value if isinstance(value, int) else _NEVER for value in values), span)
        return found

    def _by_number(self, column: Column, span: Span, places: Places) -> Places:
        self._progress.done += len(places)
        return _within(places, self._contents.numbers(column, places), span)

    def _by_day(self, key: Day, places: Places) -> Places:
        if key.field == "saved":
            return self._by_entry("saved_at", _span(key.relation, _midnight(key.day), _DAY_S), places)
        if key.field == "internal":
            return self._by_number("internal_date", _span(key.relation, _midnight(key.day), _DAY_S), places)
        self._progress.done += len(places)
        days = self._contents.values("sent day", partial(_sent_days, self._store), places)
        return _within(places, days, _span(key.relation, key.day.toordinal(), 1))

    def _with_text(self, key: Text, places: Places) -> Places:
        wanted = folded(key.text)
        if key.where.startswith("header:"):
            name = key.where.partition(":")[2].lower()
            read = partial(field_texts, self._store, name)
            if name in NAMES:
                texts = self._contents.values(f"header {name}", read, places)
            else:  # a client may ask for any number of names: nothing is kept of those that few ask for
                texts = read(taken(self._selected.messages, places))
            sought = wanted or "\n"  # RFC 3501 section 6.4.4: an empty text is in every message that has the field
            found = [place for place, text in zip(places, texts, strict=True) if sought in text]
            self._progress.done += len(places)
            return found
        if not wanted:
            return places
        holding: set[int] = set()
        for start in range(0, len(places), _BATCH):
            some = places[start : start + _BATCH]
            messages = taken(self._selected.messages, some)
            if key.where == "text":
                hits = (is_in_header(headers, wanted) for headers in header_blocks(self._store, messages))
                holding.update(compress(messages, hits))
            holding |= self._holding(wanted, [message for message in messages if message not in holding])
            self._progress.done += len(some)
        messages = taken(self._selected.messages, places)
        return [place for place, message in zip(places, messages, strict=True) if message in holding]

    def _holding(self, wanted: str, messages: Sequence[int]) -> set[int]:
        """Those of the messages that have the text behind their header."""
        known = {
            message: may_hold
            for message, may_hold in zip(messages, self._store.marks.may_hold(messages, wanted), strict=True)
            if may_hold is not False
        }
        found: set[int] = set()
        new: dict[int, Iterable[str] | None] = {}
        read_octets = 0
        for (message, may_hold), octets in zip(known.items(), self._store.bodies([*known]), strict=True):
            holds = look_into(message, octets, wanted, account=self._owner, note=new.update if may_hold is None else None)
            if holds:
                found.add(message)
            elif holds is None:
                self.unreadable.add(message)
            read_octets += 0 if isinstance(octets, StorageError) else len(octets)
            if new and read_octets > _NOTED_TOGETHER_OCTETS:
                self._store.marks.add(new)
                new, read_octets = {}, 0
        if new:
            self._store.marks.add(new)
        return found


def _cost(key: Key) -> int:
    """Reading messages costs most, header blocks less, columns little, arrays nearly nothing."""
    if isinstance(key, And):
        return max(map(_cost, key.keys), default=0)
    if isinstance(key, Or):
        return max(_cost(key.first), _cost(key.second))
    if isinstance(key, Not):
        return _cost(key.key)
    if isinstance(key, Flag | Numbers | Changed):
        return 0
    if isinstance(key, Text):
        return 2 if key.where.startswith("header:") else 3
    return 1


def looks(key: Key) -> int:
    """How many keys look into messages."""
    if isinstance(key, And):
        return sum(map(looks, key.keys))
    if isinstance(key, Or):
        return looks(key.first) + looks(key.second)
    if isinstance(key, Not):
        return looks(key.key)
    return int(_cost(key) > 0)


def _span(relation: Literal["before", "on", "since"], start: int, length: int) -> Span:
    """The first and the last number that are before, on or since what begins at `start`."""
    if relation == "before":
        return -_EVER, start - 1
    return start, start + length - 1 if relation == "on" else _EVER


def _within(places: Places, numbers: Iterable[int], span: Span) -> Places:
    first, last = span
    return [place for place, number in zip(places, numbers, strict=True) if first <= number <= last]


def _midnight(day: date) -> int:
    """When a day begins in UTC, in seconds since 1970."""
    return int(datetime.combine(day, time(), UTC).timestamp())


def _sent_days(store: AccountStore, messages: Sequence[int]) -> Iterator[int]:
    """The ordinal of the day that the Date field names, in its own zone (RFC 3501: disregarding time and timezone)."""
    for (envelope,) in store.meta(messages, ("envelope",)):
        found = _DATE.match(envelope) if isinstance(envelope, bytes) else None
        yield _NEVER if found is None else _ordinal(int(found[1]), found[2].decode("ascii").lower(), int(found[3]))


def _ordinal(day: int, month: str, year: int) -> int:
    try:
        return date(year, _MONTHS.index(month) + 1, day).toordinal()
    except ValueError:
        return _NEVER
