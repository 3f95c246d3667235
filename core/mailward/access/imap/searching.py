"""Which messages match a search? Sets of places, narrowed key by key, the cheap keys first. Blocking; runs in a thread.

Flags and numbers are answered from the session's arrays, sizes and days from stored columns, header fields from those that are
kept, or the stored header blocks; BODY and TEXT read the messages that are still in question, but for those whose texts the store
knows not to hold what is looked for. It learns that of every message that is read here.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import compress

import structlog

from mailward.access.imap.header_search import Find, finder
from mailward.access.imap.projection import projection
from mailward.access.imap.selected import Selected, taken
from mailward.access.imap.telling import Progress
from mailward.formats.header import FieldView, split_header
from mailward.formats.mailboxes import read_address_list
from mailward.formats.message import MessageView
from mailward.formats.searched import folded, searched_texts
from mailward.model.errors import StorageError
from mailward.protocol.imap.search import Age, And, Changed, Day, Flag, Key, Not, Numbers, Object, Or, Size, Text
from mailward.store.base import AccountStore, Column, EntryColumn

log = structlog.get_logger("mailward.imap")

_BATCH = 500
_NOTED_TOGETHER = 4 * 1024 * 1024
"""Characters of texts that are held until the store has made its marks of them."""
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DATE = re.compile(rb'\("[^"0-9]{0,30}(\d{1,2}) ([A-Za-z]{3}) (\d{4})\b')
_READ_OTHERWISE = bytes([*range(9), 11, 12, *range(14, 32), 0x5C, *range(127, 256)])
_BROKEN_NAME = re.compile(rb"\n[!-9;-~]+[ \t][^:\n]*:")
_BETWEEN = re.compile(r"[\s:@.]")
"""Where a reading may write more, or less, than stands there: folded lines, "name: value", comments within an address."""

Places = Sequence[int]
Value = int | bytes | str


class Search:
    """One search of one session's mailbox. now: what YOUNGER and OLDER count from. progress: counts messages, once for each key
    that looks into them."""

    def __init__(self, store: AccountStore, selected: Selected, now: datetime, progress: Progress) -> None:
        self._store = store
        self._selected = selected
        self._now = now
        self._progress = progress

    def run(self, key: Key) -> list[int]:
        """The places (sequence number - 1) of the messages that match, in order."""
        self._progress.goal = len(self._selected) * _looks(key)
        return list(self._among(key, range(len(self._selected))))

    def _among(self, key: Key, places: Places) -> Places:
        """Those of the places that match."""
        if not places:
            return places
        if isinstance(key, And):
            for part in sorted(key.keys, key=_cost):
                places = self._among(part, places)
            return places
        if isinstance(key, Or):
            first = set(self._among(key.first, places))
            second = set(self._among(key.second, [place for place in places if place not in first]))
            return [place for place in places if place in first or place in second]
        if isinstance(key, Not):
            matching = set(self._among(key.key, places))
            return [place for place in places if place not in matching]
        if isinstance(key, Flag):
            return self._with_flag(key, places)
        if isinstance(key, Numbers):
            return self._numbered(key, places)
        if isinstance(key, Changed):
            modseqs = self._selected.modseqs
            return [place for place in places if modseqs[place] >= key.modseq]
        if isinstance(key, Object) and key.number is None:
            return ()
        if (isinstance(key, Object) and key.kind == "M") or (isinstance(key, Day) and key.field == "saved"):
            return list(self._by_entry(key, places))
        return list(self._by_content(key, places))

    def _with_flag(self, key: Flag, places: Places) -> Places:
        selected = self._selected
        if key.name == "\\Recent":
            return [place for place in places if selected.uids[place] in selected.recent]
        mask, flags = selected.bits_of((key.name,)), selected.flags
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

    def _by_entry(self, key: Object | Day, places: Places) -> Iterator[int]:
        """What a message expunged by somebody else was called here is not known any more: it is not found."""
        column: EntryColumn = "email" if isinstance(key, Object) else "saved_at"
        for start in range(0, len(places), _BATCH):
            some = places[start : start + _BATCH]
            uids = [self._selected.uids[place] for place in some]
            rows = self._store.entry_meta(self._selected.info.id, uids, (column,))
            self._progress.done += len(some)
            for place, row in zip(some, rows, strict=True):
                value = row[0] if row else None
                if isinstance(value, int) and (value == key.number if isinstance(key, Object) else _is_on(key, value)):
                    yield place

    def _by_content(self, key: Size | Day | Age | Text | Object, places: Places) -> Iterator[int]:
        column, matches = self._test(key)
        find: Find | None = None
        if isinstance(key, Text) and key.where.startswith("header:"):
            find = finder(key.where.partition(":")[2], folded(key.text))
        for start in range(0, len(places), _BATCH):
            some = places[start : start + _BATCH]
            messages = taken(self._selected.messages, some)
            if find is not None:
                hits = self._in_common_fields(find, matches, messages)
            else:
                hits = [matches(value) for (value,) in self._store.meta(messages, (column,))]
            if isinstance(key, Text) and key.where in ("body", "text"):
                rest = [message for message, hit in zip(messages, hits, strict=True) if not hit]
                holding = self._holding(folded(key.text), rest)
                hits = [hit or message in holding for message, hit in zip(messages, hits, strict=True)]
            self._progress.done += len(some)
            yield from compress(some, hits)

    def _in_common_fields(self, find: Find, matches: Callable[[Value], bool], messages: Sequence[int]) -> list[bool]:
        """By the fields that are kept, or by the header where they do not say it for sure."""
        found = [find(kept) if isinstance(kept, bytes) else None for (kept,) in self._store.meta(messages, ("common_fields",))]
        unsure = [message for message, hit in zip(messages, found, strict=True) if hit is None]
        read = (matches(headers) for (headers,) in self._store.meta(unsure, ("headers",)))
        return [next(read) if hit is None else hit for hit in found]

    def _test(self, key: Size | Day | Age | Text | Object) -> tuple[Column, Callable[[Value], bool]]:
        """The column a key looks at, and the look. Of a text key, what its header decides."""
        if isinstance(key, Object):
            return "thread", lambda thread: thread == key.number
        if isinstance(key, Size):
            return "size_octets", lambda size: int(size) > key.octets if key.larger else int(size) < key.octets
        if isinstance(key, Age):
            since = (self._now - timedelta(seconds=key.seconds)).timestamp()
            return "internal_date", lambda at: (int(at) >= since) == key.younger
        if isinstance(key, Day):
            relation = _RELATIONS[key.relation]
            if key.field == "internal":
                return "internal_date", lambda at: _is_on(key, int(at))
            return "envelope", lambda envelope: (sent := _sent_on(envelope)) is not None and relation(sent, key.day)
        wanted = folded(key.text)
        if key.where.startswith("header:"):
            name = key.where.partition(":")[2]
            return "headers", lambda headers: may_be_in(headers, wanted) and _in_field(headers, name, wanted)
        if key.where == "text":
            return "headers", lambda headers: may_be_in(headers, wanted) and _in_header(headers, wanted)
        return "size_octets", lambda _: wanted == ""

    def _holding(self, wanted: str, messages: Sequence[int]) -> set[int]:
        """Those of the messages that have the text behind their header."""
        found: set[int] = set()
        new: dict[int, list[str]] = {}
        held = 0
        for message, may_hold in zip(messages, self._store.may_hold(messages, wanted), strict=True):
            if may_hold is False:
                continue
            try:
                texts: Iterable[str] = searched_texts(MessageView(self._store.octets(message)))
            except StorageError as error:
                log.error("unreadable message", message=message, error=str(error))
                continue
            if may_hold is None:
                texts = new[message] = list(texts)
                held += sum(map(len, texts))
            if any(wanted in text for text in texts):
                found.add(message)
            if held > _NOTED_TOGETHER:
                self._store.note_texts(new)
                new, held = {}, 0
        if new:
            self._store.note_texts(new)
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


def _looks(key: Key) -> int:
    """How many keys look into messages."""
    if isinstance(key, And):
        return sum(map(_looks, key.keys))
    if isinstance(key, Or):
        return _looks(key.first) + _looks(key.second)
    if isinstance(key, Not):
        return _looks(key.key)
    return int(_cost(key) > 0)


_RELATIONS: dict[str, Callable[[date, date], bool]] = {
    "before": lambda a, b: a < b,
    "on": lambda a, b: a == b,
    "since": lambda a, b: a >= b,
}


def _is_on(key: Day, at: int) -> bool:
    """Of seconds since 1970: before, on or since the day in UTC."""
    return _RELATIONS[key.relation](datetime.fromtimestamp(at, UTC).date(), key.day)


def _sent_on(envelope: Value) -> date | None:
    """The day the Date field names, in its own zone (RFC 3501: disregarding time and timezone); None when it names none."""
    found = _DATE.match(envelope) if isinstance(envelope, bytes) else None
    if found is None:
        return None
    day, month, year = int(found[1]), found[2].decode("ascii").lower(), int(found[3])
    if month not in _MONTHS:
        return None
    try:
        return date(year, _MONTHS.index(month) + 1, day)
    except ValueError:
        return None


def may_be_in(headers: Value, wanted: str) -> bool:
    """Whether a header block may hold the text, by a look at its octets: False is sure, and spares to read most headers.

    Only what stands in the block as it is compared can be looked for so: no encoded-words, nothing that a reading leaves out.
    """
    if not isinstance(headers, bytes) or not wanted.isascii() or b"=?" in headers:
        return True
    if len(headers.translate(None, _READ_OTHERWISE)) < len(headers) or _BROKEN_NAME.search(b"\n" + headers):
        return True
    upper = headers.upper()
    return all(piece.encode("ascii") in upper for piece in _BETWEEN.split(wanted))


def _in_field(headers: Value, name: str, wanted: str) -> bool:
    if not isinstance(headers, bytes) or name.lower().encode("utf-8", "replace") not in headers.lower():
        return False
    project = projection((name,), without=False) if name.isascii() else None
    fields = [
        field
        for field in _fields((project(headers) if project is not None else None) or headers)
        if field.name.lower() == name.lower()
    ]
    if any(wanted in folded(field.text) for field in fields):
        return True
    # "a (comment) @ b" is the address a@b however it is written.
    return "@" in wanted and any(wanted in _addresses(field.value) for field in fields)


def _fields(header: bytes) -> Iterator[FieldView]:
    return map(FieldView.of, split_header(header)[0])


def _addresses(value: bytes) -> str:
    found = (b"%b@%b" % (mailbox.local_part_octets, mailbox.domain_octets) for mailbox in read_address_list(value).mailboxes)
    return folded(b" ".join(found).decode("utf-8", "replace"))


def _in_header(headers: Value, wanted: str) -> bool:
    if not isinstance(headers, bytes):
        return False
    return any(wanted in folded(f"{field.name}: {field.text}") for field in _fields(headers))
