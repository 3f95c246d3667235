"""FETCH answers: which columns a request needs, and the octets of one message's answer. Blocking; runs in a thread.

ENVELOPE, BODYSTRUCTURE and header blocks come ready from the store; the message itself is read only for what needs it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from mailward.formats.imap import section, string
from mailward.formats.message import MessageView
from mailward.protocol.imap.fetch import FetchItems, Section
from mailward.store.base import AccountStore, Column

_COLUMNS: dict[str, Column] = {
    "INTERNALDATE": "internal_date",
    "RFC822.SIZE": "size_octets",
    "ENVELOPE": "envelope",
    "BODYSTRUCTURE": "bodystructure",
    "BODY": "body",
}
_HEADER_KINDS = ("HEADER", "HEADER.FIELDS", "HEADER.FIELDS.NOT")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(frozen=True, slots=True)
class Row:
    """One message to answer for. flags: rendered names."""

    number: int
    uid: int
    message: int
    flags: bytes


def internal_date(seconds: int) -> bytes:
    """ " 2-Nov-2026 10:00:00 +0000" in quotes."""
    at = datetime.fromtimestamp(seconds, UTC)
    return f'"{at.day:2d}-{_MONTHS[at.month - 1]}-{at.year:04d} {at:%H:%M:%S} +0000"'.encode("ascii")


class Renderer:
    """Answers for one FETCH command."""

    def __init__(self, store: AccountStore, items: FetchItems) -> None:
        self._store = store
        self._items = items.items
        sections = [item for item in items.items if isinstance(item, Section)]
        self._needs_octets = any(item.path or item.kind not in _HEADER_KINDS for item in sections)
        self._needs_header = not self._needs_octets and bool(sections)
        self._columns: list[Column] = [_COLUMNS[item] for item in items.items if isinstance(item, str) and item in _COLUMNS]
        if self._needs_header:
            self._columns.append("headers")

    def render(self, rows: Sequence[Row]) -> bytes:
        """The untagged FETCH answers of these messages, in order."""
        return b"".join(self._answers(rows))

    def _answers(self, rows: Sequence[Row]) -> Iterator[bytes]:
        if self._columns:
            meta = list(self._store.meta([row.message for row in rows], self._columns))
        else:
            meta = [()] * len(rows)
        for row, values in zip(rows, meta, strict=True):
            by_column = dict(zip(self._columns, values, strict=True))
            view = None
            if self._needs_octets:
                view = MessageView(self._store.read(row.message))
            elif self._needs_header:
                view = MessageView(_octets(by_column["headers"]))
            parts = [self._part(item, row, by_column, view) for item in self._items]
            yield b"* %d FETCH (%b)\r\n" % (row.number, b" ".join(parts))

    def _part(self, item: str | Section, row: Row, values: dict[Column, int | bytes | str], view: MessageView | None) -> bytes:
        if isinstance(item, Section):
            assert view is not None
            octets = section(view, item.path, item.kind, item.names)
            if item.partial is not None:
                start, length = item.partial
                octets = octets[start : start + length]
            return item.label + b" " + literal(octets)
        if item == "FLAGS":
            return b"FLAGS (%b)" % row.flags
        if item == "UID":
            return b"UID %d" % row.uid
        value = values[_COLUMNS[item]]
        if item == "INTERNALDATE":
            return b"INTERNALDATE " + internal_date(int(value))
        if item == "RFC822.SIZE":
            return b"RFC822.SIZE %d" % int(value)
        return item.encode("ascii") + b" " + _octets(value)


def literal(octets: bytes) -> bytes:
    """Octets of a message: as a literal whatever they are, the empty ones as an empty string."""
    return b"{%d}\r\n%b" % (len(octets), octets) if octets else string(b"")


def _octets(value: int | bytes | str) -> bytes:
    if not isinstance(value, bytes):
        raise TypeError(f"octets were expected, {type(value).__name__} came")
    return value
