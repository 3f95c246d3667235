"""The octets of FETCH answers. Everything here blocks on the store and runs in a thread, a piece at a time.

A request becomes a plan once: the columns to ask for, one template, and what fills it. ENVELOPE, BODYSTRUCTURE and header
blocks come ready from the store; only what asks for a body reads the message, and BODY[] passes through in chunks.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import repeat

import structlog

from mailward.access.imap.items import (
    COLUMNS,
    ENTRY_COLUMNS,
    FIRST_ENTRY_COLUMN,
    FLAGS,
    HEADER_KINDS,
    MESSAGE,
    MODSEQ,
    NUMBER,
    UID,
    Field,
    Row,
    Value,
    Window,
    header_field,
    maker_of,
)
from mailward.access.imap.selected import Selected, taken
from mailward.formats.common_fields import UNKNOWN
from mailward.formats.imap import utf8_envelope
from mailward.formats.message import MessageView
from mailward.formats.sections import decoded, section_spans
from mailward.model.errors import StorageError
from mailward.model.ids import MailboxId
from mailward.protocol.imap.fetch import Decoded, FetchItems, Item, Section
from mailward.store.base import AccountStore, Column

log = structlog.get_logger("mailward.imap")

ROWS = 256
"""Messages whose columns are asked for at once."""
CHUNK_OCTETS = 256 * 1024


class Plan:
    """How to answer one FETCH command. Messages left out are counted. unreadable: those that the store could not give. expunged:
    those by somebody else, where what belonged to their place in the mailbox is asked for. undecodable: those with a part in an
    unknown encoding that is to be undone."""

    def __init__(self, items: FetchItems, *, utf8: bool = False, reads_headers: bool = False, whose: str = "") -> None:
        """utf8: ENVELOPE has UTF-8 as it stands in the message, what is stored is 7-bit.

        reads_headers: they pass through in chunks, as bodies do. whose: see `reach.Reached`.
        """
        self._items, self._reads_headers, self._whose = items, reads_headers, whose
        self._entry_columns = [column for item, (_, column) in ENTRY_COLUMNS.items() if item in items.items]
        self._first_column = FIRST_ENTRY_COLUMN + len(self._entry_columns)
        self._columns: list[Column] = []
        self._fields: list[Field] = []
        self._parts: list[Field | Section | Decoded] = []
        for item in items.items:
            part = self._part_for(item)
            self._parts.append(part)
            if isinstance(part, Field):
                self._fields.append(part)
        self._reads = len(self._fields) < len(self._parts)
        if self._reads:
            self._size, self._header = self._column("size_octets"), self._column("header_octets")
        self._template = b"* %d FETCH (" + b" ".join([field.template for field in self._fields]) + b")\r\n"
        self._whole = _whole(self._parts)
        self._utf8 = (self._column("envelope"), self._column("headers")) if utf8 and "ENVELOPE" in items.items else None
        self.unreadable = 0
        self.expunged = 0
        self.undecodable = 0

    def pieces(self, store: AccountStore, selected: Selected, places: Sequence[int]) -> Iterator[bytes]:
        """The answers of these messages in order, cut anywhere. Raises StorageError only where an answer has begun already."""
        for some, is_large in self._windows(store, selected, places):
            if is_large:
                plan = Plan(self._items, reads_headers=True, whose=self._whose)
                yield from plan.pieces(store, selected, some)
                self.unreadable, self.expunged = self.unreadable + plan.unreadable, self.expunged + plan.expunged
                self.undecodable += plan.undecodable
                continue
            window: Window = [
                [place + 1 for place in some],
                taken(selected.uids, some),
                selected.flag_names(some),
                taken(selected.modseqs, some),
                taken(selected.messages, some),
            ]
            if self._entry_columns:
                window = self._with_entries(store, selected.info.id, window)
            if not window[NUMBER]:
                continue
            if self._columns:
                window = self._with_columns(store, window)
            if not self._reads:
                yield self._at_once(window)
            elif self._whole is not None:
                yield from self._with_bodies(store, window, self._whole)
            else:
                for row in zip(*window, strict=True):
                    yield from self._in_chunks(store, row)

    def _windows(self, store: AccountStore, selected: Selected, places: Sequence[int]) -> Iterator[tuple[Sequence[int], bool]]:
        """Places to answer together, and whether it is one message whose header is too large to be held as often as asked for."""
        times = [field.place for field in self._fields].count(self._place_of("headers")) + (self._utf8 is not None)
        for start in range(0, len(places), ROWS):
            some = places[start : start + ROWS]
            if not times:
                yield some, False
                continue
            first, held = 0, 0
            for at, octets in enumerate(_header_octets(store, taken(selected.messages, some))):
                if held and held + octets * times > CHUNK_OCTETS:
                    yield some[first:at], False
                    first, held = at, 0
                held += octets * times
                if held > CHUNK_OCTETS:
                    yield some[at : at + 1], True
                    first, held = at + 1, 0
            if first < len(some):
                yield some[first:], False

    def _part_for(self, item: Item) -> Field | Section | Decoded:
        if isinstance(item, Decoded):
            return item
        if isinstance(item, Section):
            if item.path or item.kind not in HEADER_KINDS or self._reads_headers:
                return item
            template, column, make = header_field(item)
            return Field(template, self._column(column), make)
        if item == "UID":
            return Field(b"UID %d", UID)
        if item == "FLAGS":
            return Field(b"FLAGS (%b)", FLAGS)
        if item == "MODSEQ":
            return Field(b"MODSEQ (%d)", MODSEQ)
        if item in ENTRY_COLUMNS:
            template, entry_column = ENTRY_COLUMNS[item]
            place = FIRST_ENTRY_COLUMN + self._entry_columns.index(entry_column)
            return Field(template, place, maker_of(entry_column, self._whose))
        template, column = COLUMNS[item]
        return Field(template, self._column(column), maker_of(column, self._whose))

    def _place_of(self, column: Column) -> int:
        """-1 when it is not asked for."""
        return self._first_column + self._columns.index(column) if column in self._columns else -1

    def _column(self, column: Column) -> int:
        """The place of a column in the rows; it is asked for from now on."""
        if column not in self._columns:
            self._columns.append(column)
        return self._first_column + self._columns.index(column)

    def _with_entries(self, store: AccountStore, mailbox: MailboxId, window: Window) -> Window:
        rows = list(zip(*window, strict=True))
        entries = store.entry_meta(mailbox, window[UID], self._entry_columns)
        found = [(*row, *entry) for row, entry in zip(rows, entries, strict=True) if entry is not None]
        self.expunged += len(rows) - len(found)
        return [*zip(*found, strict=True)] or [()] * self._first_column

    def _with_columns(self, store: AccountStore, window: Window) -> Window:
        messages = window[MESSAGE]
        try:
            window = [*window, *zip(*self._meta(store, messages), strict=True)]
        except (StorageError, ValueError, LookupError):
            window = [*zip(*self._readable(store, window), strict=True)] or [()] * (len(window) + len(self._columns))
        if self._utf8 is not None:
            envelopes, headers = (window[place] for place in self._utf8)
            window[self._utf8[0]] = [
                stored if header.isascii() else utf8_envelope(MessageView(header))
                for stored, header in zip(envelopes, headers, strict=True)
            ]
        return window

    def _meta(self, store: AccountStore, messages: Sequence[int]) -> Sequence[Sequence[Value]]:
        """The columns of each message; in place of common fields that are not known, the header to cut them from."""
        rows = [*store.meta(messages, self._columns)]
        if "common_fields" not in self._columns:
            return rows
        at = self._columns.index("common_fields")
        unknown = [place for place, row in enumerate(rows) if row[at] == UNKNOWN]
        found: list[Sequence[Value]] = [*rows]
        for place, (headers,) in zip(unknown, store.meta([messages[place] for place in unknown], ("headers",)), strict=True):
            assert isinstance(headers, bytes)
            found[place] = (*rows[place][:at], MessageView(headers), *rows[place][at + 1 :])
        return found

    def _readable(self, store: AccountStore, window: Window) -> Iterator[Row]:
        for row in zip(*window, strict=True):
            try:
                (meta,) = self._meta(store, [row[MESSAGE]])
            except (StorageError, ValueError, LookupError) as error:
                self._cannot_read(row[MESSAGE], error)
            else:
                yield (*row, *meta)

    def _cannot_read(self, message: int, error: Exception) -> None:
        self.unreadable += 1
        log.error("unreadable message", message=message, error=str(error))

    def _at_once(self, window: Window) -> bytes:
        """All answers of a window by one template: a call for each message would take as long as all the rest."""
        count = len(window[NUMBER])
        width = len(self._fields) + 1
        values: list[Value] = [b""] * (count * width)
        values[::width] = window[NUMBER]
        for at, field in enumerate(self._fields, 1):
            values[at::width] = field.values(window)
        return self._template * count % tuple(values)

    def _with_bodies(self, store: AccountStore, window: Window, whole: "_Whole") -> Iterator[bytes]:
        """The answers where the message itself is all that has to be read."""
        before = zip(window[NUMBER], *[field.values(window) for field in whole.before], strict=True)
        after = zip(*[field.values(window) for field in whole.after], strict=True) if whole.after else repeat(())
        held: list[bytes] = []
        size = 0
        for message, octets, some, others in zip(window[MESSAGE], store.bodies(window[MESSAGE]), before, after, strict=False):
            if isinstance(octets, StorageError):
                self._cannot_read(message, octets)
                continue
            held.append(whole.begin % (*some, len(octets)))
            for at in range(0, len(octets), CHUNK_OCTETS):
                held.append(octets[at : at + CHUNK_OCTETS])
                size += len(held[-1])
                if size >= CHUNK_OCTETS:
                    yield b"".join(held)
                    held, size = [], 0
            held.append(whole.end % others)
        yield b"".join(held)

    def _in_chunks(self, store: AccountStore, row: Row) -> Iterator[bytes]:
        """The answer of one message that has to be read; nothing large is held whole."""
        message, size, header = int(row[MESSAGE]), int(row[self._size]), int(row[self._header])
        view: MessageView | None = None
        contents: dict[tuple[int, ...], bytes] = {}
        held, begun = b"* %d FETCH (" % int(row[NUMBER]), False
        try:
            for path in {part.path for part in self._parts if isinstance(part, Decoded)}:
                view = view or MessageView(store.octets(message))
                content = decoded(view, path)
                if content is None:
                    self.undecodable += 1
                    return
                contents[path] = content
            for part in self._parts:
                if isinstance(part, Field):
                    held += part.template % part.value(row)
                elif isinstance(part, Decoded):
                    head, octets = _shown(contents[part.path], part)
                    held += part.label + b" " + head
                    for at in range(0, len(octets), CHUNK_OCTETS):
                        held += octets[at : at + CHUNK_OCTETS]
                        if len(held) >= CHUNK_OCTETS:
                            yield held
                            held, begun = b"", True
                else:
                    if part.path or part.kind in HEADER_KINDS:
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


@dataclass(frozen=True, slots=True)
class _Whole:
    """How to answer what asks for BODY[] or RFC822, and otherwise only for what is known.

    begin, end: templates around the octets, filled by `before` and the number of octets, and by `after`.
    """

    begin: bytes
    before: Sequence[Field]
    end: bytes
    after: Sequence[Field]


def _whole(parts: Sequence[Field | Section | Decoded]) -> _Whole | None:
    """None where more, or other octets, have to be read."""
    sections = [at for at, part in enumerate(parts) if not isinstance(part, Field)]
    if len(sections) != 1:
        return None
    (at,) = sections
    section = parts[at]
    if not isinstance(section, Section) or section.path or section.kind or section.partial is not None:
        return None
    before = [part for part in parts[:at] if isinstance(part, Field)]
    after = [part for part in parts[at + 1 :] if isinstance(part, Field)]
    begin = b"".join([field.template + b" " for field in before]) + section.label + b" {%d}\r\n"
    return _Whole(b"* %d FETCH (" + begin, before, b"".join([b" " + field.template for field in after]) + b")\r\n", after)


def _header_octets(store: AccountStore, messages: Sequence[int]) -> Iterator[int]:
    """Of each message; what cannot be read is told when it is asked for."""
    try:
        yield from [int(octets) for (octets,) in store.meta(messages, ("header_octets",))]
    except (StorageError, ValueError, LookupError):
        yield from [CHUNK_OCTETS] * len(messages)


def _shown(content: bytes, item: Decoded) -> tuple[bytes, memoryview]:
    """How long the content is, or how (a part of) it begins, with a NUL in it as a literal8, and the octets of it."""
    if item.is_size:
        return b"%d" % len(content), memoryview(b"")
    if item.partial is not None:
        start, length = item.partial
        content = content[start : start + length]
    return b"%b{%d}\r\n" % (b"~" if b"\x00" in content else b"", len(content)), memoryview(content)


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


def _slicer(view: MessageView) -> Callable[[int, int], bytes]:
    return lambda at, length: view.octets[at : at + length]
