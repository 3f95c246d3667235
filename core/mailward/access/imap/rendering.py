"""The octets of FETCH answers. Everything here blocks on the store and runs in a thread, a piece at a time.

A request becomes a plan once: the columns to ask for, one template, and what fills it. ENVELOPE, BODYSTRUCTURE and header
blocks come ready from the store; only what asks for a body reads the message, and BODY[] passes through in chunks.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache, partial
from operator import itemgetter

import structlog

from mailward.access.imap.projection import projection
from mailward.access.imap.selected import Selected, taken
from mailward.formats.message import MessageView
from mailward.formats.sections import section, section_spans
from mailward.model.errors import StorageError
from mailward.protocol.imap.fetch import FetchItems, Section
from mailward.store.base import AccountStore, Column

log = structlog.get_logger("mailward.imap")

ROWS = 256
"""Messages whose columns are asked for at once."""
CHUNK_OCTETS = 256 * 1024

Value = int | bytes | str
Row = Sequence[Value]
"""Sequence number, UID, flags, the store's message number, then the plan's columns."""

_NUMBER, _UID, _FLAGS, _MESSAGE, _FIRST_COLUMN = range(5)
_COLUMNS: dict[str, tuple[bytes, Column]] = {
    "INTERNALDATE": (b"INTERNALDATE %b", "internal_date"),
    "RFC822.SIZE": (b"RFC822.SIZE %d", "size_octets"),
    "ENVELOPE": (b"ENVELOPE %b", "envelope"),
    "BODYSTRUCTURE": (b"BODYSTRUCTURE %b", "bodystructure"),
    "BODY": (b"BODY %b", "body"),
}
_HEADER_KINDS = ("HEADER", "HEADER.FIELDS", "HEADER.FIELDS.NOT")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(frozen=True, slots=True)
class _Field:
    """One item that a row answers. place: of its value in the row; make: turns the value into what the template takes."""

    template: bytes
    place: int
    make: Callable[[Value], bytes] | None = None

    def value(self, row: Row) -> Value:
        return row[self.place] if self.make is None else self.make(row[self.place])


class Plan:
    """How to answer one FETCH command. unreadable: messages left out because the store could not give them."""

    def __init__(self, items: FetchItems) -> None:
        self._columns: list[Column] = []
        self._fields: list[_Field] = []
        self._parts: list[_Field | Section] = []
        for item in items.items:
            part = self._part_for(item)
            self._parts.append(part)
            if isinstance(part, _Field):
                self._fields.append(part)
        self._reads = len(self._fields) < len(self._parts)
        if self._reads:
            self._size, self._header = self._column("size_octets"), self._column("header_octets")
        self._template = b"* %d FETCH (" + b" ".join([field.template for field in self._fields]) + b")\r\n"
        self.unreadable = 0

    def pieces(self, store: AccountStore, selected: Selected, places: Sequence[int]) -> Iterator[bytes]:
        """The answers of these messages in order, cut anywhere. Raises StorageError only where an answer has begun already."""
        for start in range(0, len(places), ROWS):
            some = places[start : start + ROWS]
            numbers, uids = [place + 1 for place in some], taken(selected.uids, some)
            rows: list[Row] = list(zip(numbers, uids, selected.flag_names(some), taken(selected.messages, some), strict=True))
            if self._columns:
                rows = list(self._with_columns(store, rows))
            if self._reads:
                for row in rows:
                    yield from self._in_chunks(store, row)
            else:
                yield self._at_once(rows)

    def _part_for(self, item: str | Section) -> _Field | Section:
        if isinstance(item, Section):
            if item.path or item.kind not in _HEADER_KINDS:
                return item
            return _Field(item.label.replace(b"%", b"%%") + b" %b", self._column("headers"), partial(_from_headers, item))
        if item == "UID":
            return _Field(b"UID %d", _UID)
        if item == "FLAGS":
            return _Field(b"FLAGS (%b)", _FLAGS)
        template, column = _COLUMNS[item]
        return _Field(template, self._column(column), internal_date if column == "internal_date" else None)

    def _column(self, column: Column) -> int:
        """The place of a column in the rows; it is asked for from now on."""
        if column not in self._columns:
            self._columns.append(column)
        return _FIRST_COLUMN + self._columns.index(column)

    def _with_columns(self, store: AccountStore, rows: Sequence[Row]) -> Iterator[Row]:
        messages = [int(row[_MESSAGE]) for row in rows]
        try:
            yield from [(*row, *meta) for row, meta in zip(rows, store.meta(messages, self._columns), strict=True)]
        except (StorageError, ValueError, LookupError):
            for row, message in zip(rows, messages, strict=True):
                try:
                    (meta,) = store.meta([message], self._columns)
                except (StorageError, ValueError, LookupError) as error:
                    self._cannot_read(message, error)
                else:
                    yield (*row, *meta)

    def _cannot_read(self, message: int, error: Exception) -> None:
        self.unreadable += 1
        log.error("unreadable message", message=message, error=str(error))

    def _at_once(self, rows: Sequence[Row]) -> bytes:
        template = self._template
        if any(field.make is not None for field in self._fields):
            return b"".join([template % (row[_NUMBER], *[field.value(row) for field in self._fields]) for row in rows])
        take = itemgetter(_NUMBER, *[field.place for field in self._fields])
        return b"".join([template % take(row) for row in rows])

    def _in_chunks(self, store: AccountStore, row: Row) -> Iterator[bytes]:
        """The answer of one message that has to be read; nothing large is held whole."""
        message, size, header = int(row[_MESSAGE]), int(row[self._size]), int(row[self._header])
        view: MessageView | None = None
        held, begun = b"* %d FETCH (" % int(row[_NUMBER]), False
        try:
            for part in self._parts:
                if isinstance(part, _Field):
                    held += part.template % part.value(row)
                else:
                    if part.path:
                        view = view or MessageView(store.octets(message))
                        spans, read = section_spans(view, part.path, part.kind, part.names, part.partial), _slicer(view)
                    else:
                        spans = (_window(part, header if part.kind == "TEXT" else 0, size),)
                        read = partial(_read, store, message)
                    held += part.label + b" {%d}\r\n" % sum(end - start for start, end in spans)
                    for start, end in spans:
                        for at in range(start, end, CHUNK_OCTETS):
                            held += read(at, min(end - at, CHUNK_OCTETS))
                            if len(held) >= CHUNK_OCTETS:
                                yield held
                                held, begun = b"", True
                held += b" "
        except StorageError as error:
            if begun:
                raise
            self._cannot_read(message, error)
        else:
            yield held[:-1] + b")\r\n"


def _window(item: Section, low: int, high: int) -> tuple[int, int]:
    """Which octets of the message a section is, the partial fetch cut to what there is."""
    if item.partial is None:
        return low, max(low, high)
    start, length = item.partial
    begin = min(low + start, high)
    return begin, min(begin + length, high)


def _read(store: AccountStore, message: int, offset: int, length: int) -> bytes:
    octets = store.read(message, offset, length)
    if len(octets) != length:
        raise StorageError(f"message {message} is shorter than its size says", permanent=True)
    return octets


def _from_headers(item: Section, headers: Value) -> bytes:
    if not isinstance(headers, bytes):
        raise TypeError(f"octets were expected, {type(headers).__name__} came")
    if item.names and item.partial is None:
        project = projection(item.names, without=item.kind == "HEADER.FIELDS.NOT")
        octets = project(headers) if project is not None else None
        if octets is not None:
            return b"{%d}\r\n%b" % (len(octets), octets)
    octets = section(MessageView(headers), (), item.kind, item.names, item.partial)
    return b"{%d}\r\n%b" % (len(octets), octets)


def _slicer(view: MessageView) -> Callable[[int, int], bytes]:
    return lambda at, length: view.octets[at : at + length]


def internal_date(seconds: Value) -> bytes:
    """ " 2-Nov-2026 10:00:00 +0000" in quotes."""
    day, second = divmod(int(seconds), 86400)
    minute, second = divmod(second, 60)
    return b'"%b %02d:%02d:%02d +0000"' % (_day(day), minute // 60, minute % 60, second)


@lru_cache(maxsize=4096)
def _day(days: int) -> bytes:
    at = datetime.fromtimestamp(days * 86400, UTC)
    return f"{at.day:2d}-{_MONTHS[at.month - 1]}-{at.year:04d}".encode("ascii")
