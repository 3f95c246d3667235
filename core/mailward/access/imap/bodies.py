"""The answers of FETCH for which messages have to be read: bodies, parts, and headers too large to be held as often as asked for.

They leave in chunks, so that nothing large is held whole, however often a command asks for it.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from itertools import repeat

import structlog

from mailward.access.imap.items import HEADER_KINDS, MESSAGE, NUMBER, Field, Row, Window
from mailward.formats.message import MessageView
from mailward.formats.sections import decoded, section_spans
from mailward.model.errors import StorageError
from mailward.protocol.imap.fetch import Decoded, Section
from mailward.store.base import AccountStore

log = structlog.get_logger("mailward.imap")

CHUNK_OCTETS = 256 * 1024

Part = Field | Section | Decoded
"""What one item of a command is answered from: the row, or the message."""


@dataclass(slots=True)
class LeftOut:
    """What one command has no answer for. unreadable: messages that the store could not give. expunged: so many by somebody else,
    where what belonged to their place in the mailbox is asked for. undecodable: a part in an unknown encoding is to be undone."""

    unreadable: set[int] = field(default_factory=set)
    expunged: int = 0
    undecodable: int = 0

    def cannot_read(self, message: int, error: Exception) -> None:
        self.unreadable.add(message)
        log.error("unreadable message", message=message, error=str(error))


class Bodies:
    """How to answer what needs messages. size, header: where rows have the octets of the message, and of its header."""

    def __init__(self, parts: Sequence[Part], size: int, header: int, left_out: LeftOut) -> None:
        self._parts, self._size, self._header, self._left_out = parts, size, header, left_out
        self._paths = {part.path for part in parts if isinstance(part, Decoded)}
        self._whole = _whole(parts)

    def pieces(self, store: AccountStore, window: Window) -> Iterator[bytes]:
        """The answers of these messages in order, cut anywhere. Raises StorageError only where an answer has begun already."""
        if self._whole is not None:
            yield from _gathered(self._with_whole(store, window, self._whole))
            return
        for row in zip(*window, strict=True):
            reading = Reading(store, int(row[MESSAGE]), int(row[self._size]), int(row[self._header]))
            has_begun = False
            try:
                for chunk in _gathered(self._with_parts(reading, row)):
                    yield chunk
                    has_begun = True
            except StorageError as error:
                if has_begun:
                    raise
                self._left_out.cannot_read(reading.message, error)

    def _with_whole(self, store: AccountStore, window: Window, whole: "_Whole") -> Iterator[bytes]:
        """The answers where the message itself is all that has to be read."""
        before = zip(window[NUMBER], *[field.values(window) for field in whole.before], strict=True)
        after = zip(*[field.values(window) for field in whole.after], strict=True) if whole.after else repeat(())
        for message, octets, some, others in zip(window[MESSAGE], store.bodies(window[MESSAGE]), before, after, strict=False):
            if isinstance(octets, StorageError):
                self._left_out.cannot_read(message, octets)
                continue
            begin, end = whole.begin % (*some, len(octets)), whole.end % others
            if len(octets) < CHUNK_OCTETS:  # nearly all: one piece a message is quicker than three
                yield b"".join((begin, octets, end))
                continue
            yield begin
            for at in range(0, len(octets), CHUNK_OCTETS):
                yield octets[at : at + CHUNK_OCTETS]
            yield end

    def _with_parts(self, reading: "Reading", row: Row) -> Iterator[bytes | memoryview]:
        """The answer of one message; none where a part of it cannot be decoded. Raises StorageError."""
        contents: dict[tuple[int, ...], bytes] = {}
        for path in self._paths:
            content = decoded(reading.view, path)
            if content is None:
                self._left_out.undecodable += 1
                return
            contents[path] = content
        between = b"* %d FETCH (" % int(row[NUMBER])
        for part in self._parts:
            yield between
            between = b" "
            if isinstance(part, Field):
                yield part.template % part.value(row)
            elif isinstance(part, Decoded):
                head, octets = _shown(contents[part.path], part)
                yield part.label + b" " + head
                for at in range(0, len(octets), CHUNK_OCTETS):
                    yield octets[at : at + CHUNK_OCTETS]
            else:
                spans, read = reading.section(part)
                yield part.label + b" {%d}\r\n" % sum(end - start for start, end in spans)
                for start, end in spans:
                    for at in range(start, end, CHUNK_OCTETS):
                        yield read(at, min(end - at, CHUNK_OCTETS))
        yield b")\r\n"


class Reading:
    """One message that is read, as little of it as will do."""

    def __init__(self, store: AccountStore, message: int, size_octets: int, header_octets: int) -> None:
        self._store, self.message = store, message
        self._size_octets, self._header_octets = size_octets, header_octets

    @cached_property
    def view(self) -> MessageView:
        """Raises StorageError."""
        return MessageView(self._store.octets(self.message))

    def section(self, item: Section) -> tuple[Sequence[tuple[int, int]], Callable[[int, int], bytes]]:
        """The spans of octets that it is, and what gives octets by where they begin and how many; both raise StorageError."""
        if item.path or item.kind in HEADER_KINDS:
            view = self.view
            return section_spans(view, item.path, item.kind, item.names, item.partial), partial(_slice, view)
        low = self._header_octets if item.kind == "TEXT" else 0
        return (_window(item, low, self._size_octets),), self._read

    def _read(self, offset: int, length: int) -> bytes:
        octets = self._store.read(self.message, offset, length)
        if len(octets) != length:
            raise StorageError(f"message {self.message} is shorter than its size says", permanent=True)
        return octets


@dataclass(frozen=True, slots=True)
class _Whole:
    """How to answer what asks for BODY[] or RFC822, and otherwise only for what is known.

    begin, end: templates around the octets, filled by `before` and the number of octets, and by `after`.
    """

    begin: bytes
    before: Sequence[Field]
    end: bytes
    after: Sequence[Field]


def _whole(parts: Sequence[Part]) -> _Whole | None:
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


def _gathered(pieces: Iterable[bytes | memoryview]) -> Iterator[bytes]:
    """The same octets, in chunks."""
    held: list[bytes | memoryview] = []
    size = 0
    for piece in pieces:
        held.append(piece)
        size += len(piece)
        if size >= CHUNK_OCTETS:
            yield b"".join(held)
            held, size = [], 0
    if held:
        yield b"".join(held)


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


def _slice(view: MessageView, at: int, length: int) -> bytes:
    return view.octets[at : at + length]
