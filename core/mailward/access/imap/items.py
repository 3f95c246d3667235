"""Which item of FETCH is answered from which column, and how a value is written."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache, partial
from typing import Any

from mailward.access.imap.projection import projection
from mailward.formats.common_fields import Cut, cut
from mailward.formats.imap import string
from mailward.formats.message import MessageView
from mailward.formats.sections import section
from mailward.protocol.imap.fetch import Section
from mailward.protocol.imap.objectid import Kind, object_id
from mailward.store.base import Column, EntryColumn

Value = Any
"""int, octets or text, as the column is; for common fields that are not kept, the view of the header to cut them from."""
Row = Sequence[Value]
"""Sequence number, UID, flags, MODSEQ, the store's message number, then what the plan asks of the entry and of the message."""
Window = list[Sequence[Value]]
"""The rows of some messages, turned: one sequence a column, so that each is taken or formatted at once."""

NUMBER, UID, FLAGS, MODSEQ, MESSAGE, FIRST_ENTRY_COLUMN = range(6)
"""Places in a row."""

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
COLUMNS: dict[str, tuple[bytes, Column]] = {
    "INTERNALDATE": (b"INTERNALDATE %b", "internal_date"),
    "RFC822.SIZE": (b"RFC822.SIZE %d", "size_octets"),
    "ENVELOPE": (b"ENVELOPE %b", "envelope"),
    "BODYSTRUCTURE": (b"BODYSTRUCTURE %b", "bodystructure"),
    "BODY": (b"BODY %b", "body"),
    "BINARY.SIZE[]": (b"BINARY.SIZE[] %d", "size_octets"),
    "PREVIEW": (b"PREVIEW %b", "preview"),
    "THREADID": (b"THREADID (%b)", "thread"),
}
ENTRY_COLUMNS: dict[str, tuple[bytes, EntryColumn]] = {
    "EMAILID": (b"EMAILID (%b)", "email"),
    "SAVEDATE": (b"SAVEDATE %b", "saved_at"),
}
HEADER_KINDS = ("HEADER", "HEADER.FIELDS", "HEADER.FIELDS.NOT")


@dataclass(frozen=True, slots=True)
class Field:
    """One item that a row answers. place: of its value in the row; make: turns the value into what the template takes."""

    template: bytes
    place: int
    make: Callable[[Value], bytes] | None = None

    def value(self, row: Row) -> Value:
        return row[self.place] if self.make is None else self.make(row[self.place])

    def values(self, window: Window) -> Iterable[Value]:
        return window[self.place] if self.make is None else map(self.make, window[self.place])


def header_field(item: Section) -> tuple[bytes, Column, Callable[[Value], bytes]]:
    """Template, column and maker of a section that is the message's header or some fields of it."""
    template = item.label.replace(b"%", b"%%") + b" %b"
    if item.kind == "HEADER.FIELDS" and item.partial is None and (take := cut(item.names)) is not None:
        return template, "common_fields", partial(_from_common_fields, item, take)
    return template, "headers", partial(_from_headers, item)


def _from_common_fields(item: Section, take: Cut, kept: Value) -> bytes:
    octets = take(kept) if isinstance(kept, bytes) else section(kept, (), item.kind, item.names)
    return b"{%d}\r\n%b" % (len(octets), octets)


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


def internal_date(seconds: Value) -> bytes:
    """ " 2-Nov-2026 10:00:00 +0000" in quotes."""
    day, second = divmod(int(seconds), 86400)
    minute, second = divmod(second, 60)
    return b'"%b %02d:%02d:%02d +0000"' % (_day(day), minute // 60, minute % 60, second)


@lru_cache(maxsize=4096)
def _day(days: int) -> bytes:
    at = datetime.fromtimestamp(days * 86400, UTC)
    return f"{at.day:2d}-{_MONTHS[at.month - 1]}-{at.year:04d}".encode("ascii")


_KINDS: dict[Column | EntryColumn, Kind] = {"email": "M", "thread": "T"}
_MAKERS: dict[Column | EntryColumn, Callable[[Value], bytes]] = {
    "internal_date": internal_date,
    "saved_at": internal_date,
    "preview": lambda text: string(str(text).encode()),
}


def maker_of(column: Column | EntryColumn, whose: str) -> Callable[[Value], bytes] | None:
    """What turns a value of this column into what the client is told; None where it is that already."""
    if column in _KINDS:
        return lambda number: object_id(_KINDS[column], int(number), whose).encode("ascii")
    return _MAKERS.get(column)
