"""The octets of FETCH answers. Everything here blocks on the store and runs in a thread, a piece at a time.

A request becomes a plan once: the columns to ask for, one template, and what fills it. ENVELOPE, BODYSTRUCTURE and header
blocks come ready from the store; only what asks for a body reads the message (`bodies`).
"""

from collections.abc import Iterator, Sequence

from mailward.access.imap.bodies import CHUNK_OCTETS, Bodies, LeftOut, Part
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
from mailward.model.errors import StorageError
from mailward.model.ids import MailboxId
from mailward.protocol.imap.fetch import Decoded, FetchItems, Item, Section
from mailward.store.base import AccountStore, Column

ROWS = 256
"""Messages whose columns are asked for at once."""


class Plan:
    """How to answer one FETCH command."""

    def __init__(
        self,
        items: FetchItems,
        *,
        utf8: bool = False,
        reads_headers: bool = False,
        whose: str = "",
        left_out: LeftOut | None = None,
    ) -> None:
        """utf8: ENVELOPE has UTF-8 as it stands in the message, what is stored is 7-bit.

        reads_headers: they pass through in chunks, as bodies do. whose: see `reach.Reached`. left_out: where to count what
        messages there is no answer for.
        """
        self._items, self._reads_headers, self._whose = items, reads_headers, whose
        self._entry_columns = [column for item, (_, column) in ENTRY_COLUMNS.items() if item in items.items]
        self._first_column = FIRST_ENTRY_COLUMN + len(self._entry_columns)
        self._columns: list[Column] = []
        self._fields: list[Field] = []
        self._parts: list[Part] = []
        for item in items.items:
            part = self._part_for(item)
            self._parts.append(part)
            if isinstance(part, Field):
                self._fields.append(part)
        self.left_out = left_out or LeftOut()
        self._bodies: Bodies | None = None
        if len(self._fields) < len(self._parts):
            size, header = self._column("size_octets"), self._column("header_octets")
            self._bodies = Bodies(self._parts, size, header, self.left_out)
        self._template = b"* %d FETCH (" + b" ".join([field.template for field in self._fields]) + b")\r\n"
        self._utf8 = (self._column("envelope"), self._column("headers")) if utf8 and "ENVELOPE" in items.items else None

    @property
    def asks_store(self) -> bool:
        """Whether there is more to tell than the session knows."""
        return bool(self._columns or self._entry_columns or self._bodies)

    def pieces(self, store: AccountStore, selected: Selected, places: Sequence[int]) -> Iterator[bytes]:
        """The answers of these messages in order, cut anywhere. Raises StorageError only where an answer has begun already."""
        for some, is_large in self._windows(store, selected, places):
            if is_large:
                plan = Plan(self._items, reads_headers=True, whose=self._whose, left_out=self.left_out)
                yield from plan.pieces(store, selected, some)
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
            if self._bodies is None:
                yield self._at_once(window)
            else:
                yield from self._bodies.pieces(store, window)

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

    def _part_for(self, item: Item) -> Part:
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
        self.left_out.expunged += len(rows) - len(found)
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
                self.left_out.cannot_read(row[MESSAGE], error)
            else:
                yield (*row, *meta)

    def _at_once(self, window: Window) -> bytes:
        """All answers of a window by one template: a call for each message would take as long as all the rest."""
        count = len(window[NUMBER])
        width = len(self._fields) + 1
        values: list[Value] = [b""] * (count * width)
        values[::width] = window[NUMBER]
        for at, field in enumerate(self._fields, 1):
            values[at::width] = field.values(window)
        return self._template * count % tuple(values)


def _header_octets(store: AccountStore, messages: Sequence[int]) -> Iterator[int]:
    """Of each message; what cannot be read is told when it is asked for."""
    try:
        yield from [int(octets) for (octets,) in store.meta(messages, ("header_octets",))]
    except (StorageError, ValueError, LookupError):
        yield from [CHUNK_OCTETS] * len(messages)
