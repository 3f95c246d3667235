"""What is one way to read a part of a message, and how many ways are kept? (T-MIME, the rows that hide a payload)

A reading is a span of octets and a decoder, so it costs nothing before its chunks are asked for. The gathering knows the budget
and keeps nothing twice; which readings there are is said by `union`.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import overload

from mailward.formats.budgets import READING_OCTETS, READING_TIMES, READINGS
from mailward.formats.hidden import is_binary
from mailward.formats.octets import Octets
from mailward.formats.transfer import Decoder, Decoding, decode_chunks

BLANKS = b" \t\r\n\0\x0b\x0c"
_EDGE_OCTETS = 4096
_PIECE_OCTETS = 64 * 1024
_NOT_KEPT = -1
"""Instead of a place among the other readings: it is declared, or there was no room for it."""


@dataclass(frozen=True, eq=False, slots=True)
class Reading:
    """One way to read a part.

    part: its number as IMAP counts ("" is the message itself), or what it is. how: for people. content_type, filenames: as the
    header says that belongs to this reading. is_declared: the reading that we take ourselves. is_rival: another reader may show
    this as a part where the declared readings show something else. size_octets: encoded; the content is no longer than that.
    """

    part: str
    how: str
    content_type: str
    filenames: tuple[str, ...]
    is_declared: bool
    is_rival: bool
    size_octets: int
    _chunks: Callable[[], Iterator[bytes]] = field(repr=False)

    def chunks(self) -> Iterator[bytes]:
        """The content in pieces, decoded while they are taken; may be taken more than once."""
        return self._chunks()


@dataclass(frozen=True, eq=False)
class Readings(Sequence[Reading]):
    """The readings of a message, the declared ones first.

    is_cut: there would have been more than the budget allows. has_encrypted: something can be read by its recipient only.
    """

    items: tuple[Reading, ...]
    is_cut: bool = False
    has_encrypted: bool = False

    def __len__(self) -> int:
        return len(self.items)

    @overload
    def __getitem__(self, index: int) -> Reading: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Reading, ...]: ...
    def __getitem__(self, index: int | slice) -> Reading | tuple[Reading, ...]:
        return self.items[index]


@dataclass(frozen=True, slots=True)
class Header:
    """What a header says, for the readings of the body behind it. part: how the part is called."""

    part: str
    content_type: str = "application/octet-stream"
    filenames: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Body:
    """Encoded octets and the header that stands before them."""

    header: Header
    octets: Octets
    start: int
    end: int


class Gathering:
    """The readings so far, each once, and how much more may be read.

    What is declared is always kept: there are no more of those than parts. Everything else counts against the budget.
    """

    def __init__(self, message_octets: int) -> None:
        self.is_cut = False
        self.has_encrypted = False
        self._declared: list[Reading] = []
        self._others: list[Reading] = []
        self._octets_left = READING_OCTETS + READING_TIMES * message_octets
        self._seen: dict[tuple[int, int, int, str], int] = {}
        self._buffers: list[Octets] = []

    def readings(self) -> Readings:
        return Readings((*self._declared, *self._others), self.is_cut, self.has_encrypted)

    def keep(self, octets: Octets) -> None:
        """Readings are told apart by the id of their buffer too, so no other buffer may get it while we gather."""
        self._buffers.append(octets)

    def spend(self, octets: int) -> bool:
        """Whether so much more may be decoded; if so, it counts as done."""
        if octets > self._octets_left:
            self.is_cut = True
            return False
        self._octets_left -= octets
        return True

    def add_declared(self, body: Body, how: str, encoding: str) -> None:
        self._seen.setdefault(_key(body, encoding), _NOT_KEPT)
        size = body.end - body.start
        chunks = partial(decode_chunks, body.octets, body.start, body.end, encoding)
        self._declared.append(_reading(body.header, how, size, chunks, is_declared=True))
        self._add_with_line_feeds(body, how, encoding, partial(_decoder, encoding=encoding))

    def add(self, body: Body, how: str, encoding: str, other: Decoding | None = None, *, is_rival: bool = False) -> None:
        """One more reading, of the body without blanks around it. other: a way to decode beside the usual one."""
        octets = body.octets
        start, end = trimmed(octets, body.start, body.end)
        body = Body(body.header, octets, start, end)
        if start >= end:
            return
        key = _key(body, f"{encoding} {other.name}" if other else encoding)
        known = self._seen.get(key)
        if known is not None:
            if is_rival and known >= 0:
                self._others[known] = replace(self._others[known], is_rival=True)
            return
        self._seen[key] = len(self._others)
        decoder = other.chunks if other else partial(_decoder, encoding=encoding)
        if not self.add_chunks(body.header, how, end - start, partial(decoder, octets, start, end), is_rival=is_rival):
            self._seen[key] = _NOT_KEPT
            return
        self._add_with_line_feeds(body, how, encoding, decoder)

    def add_chunks(
        self, header: Header, how: str, size_octets: int, chunks: Callable[[], Iterator[bytes]], *, is_rival: bool = False
    ) -> bool:
        """A reading that is made in a way of its own; whether there was room for it."""
        if len(self._others) >= READINGS:
            self.is_cut = True
        elif self.spend(size_octets):
            self._others.append(_reading(header, how, size_octets, chunks, is_rival=is_rival))
            return True
        return False

    def _add_with_line_feeds(self, body: Body, how: str, encoding: str, decoder: Decoder) -> None:
        """Binary content that was not encoded as such: SMTP gave it CRLF, and systems that store lines with LF take them away."""
        if encoding == "base64" or body.header.content_type.startswith("text/"):
            return
        if is_binary(body.octets, body.start, body.end, encoding):
            chunks = partial(_with_line_feeds, decoder, body.octets, body.start, body.end)
            self.add_chunks(body.header, f"{how}, line feeds alone", body.end - body.start, chunks)


def _key(body: Body, way: str) -> tuple[int, int, int, str]:
    """By this readings are told apart. Encodings that change nothing are one way to read."""
    start, end = trimmed(body.octets, body.start, body.end)
    return (id(body.octets), start, end, "7bit" if way in ("8bit", "binary") else way)


def trimmed(octets: Octets, start: int, end: int) -> tuple[int, int]:
    """The span without blanks and line ends around it, as far as a few kilobytes."""
    head = bytes(octets[start : min(end, start + _EDGE_OCTETS)])
    start += len(head) - len(head.lstrip(BLANKS))
    tail = bytes(octets[max(start, end - _EDGE_OCTETS) : end])
    return start, end - (len(tail) - len(tail.rstrip(BLANKS)))


def _reading(
    header: Header,
    how: str,
    size_octets: int,
    chunks: Callable[[], Iterator[bytes]],
    *,
    is_declared: bool = False,
    is_rival: bool = False,
) -> Reading:
    return Reading(header.part, how, header.content_type, header.filenames, is_declared, is_rival, size_octets, chunks)


def _decoder(octets: Octets, start: int, end: int, encoding: str) -> Iterator[bytes]:
    return decode_chunks(octets, start, end, encoding)


def _with_line_feeds(decoder: Decoder, octets: Octets, start: int, end: int) -> Iterator[bytes]:
    """Some lines at a time, every CRLF among the encoded octets an LF before they are decoded."""
    while start < end:
        stop = min(start + _PIECE_OCTETS, end)
        if stop < end:
            line_end = octets.rfind(b"\n", start, stop)
            stop = line_end + 1 if line_end >= 0 else stop
        piece = bytes(octets[start:stop]).replace(b"\r\n", b"\n")
        yield from decoder(piece, 0, len(piece))
        start = stop
