"""What of a message is given to the scanner, piece by piece?

The message as received, then every reading of its parts: clamd reads MIME its own way, and where readings differ only one of them
may show what a mail client will show. No content is held whole: pieces are decoded on the way to the scanner.
"""

import hashlib
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from itertools import chain

from mailward.api import MessageView, Reading, RunBlocking

PIECE_OCTETS = 256 * 1024


class TooMuch(Exception):
    """A stream is longer than the scanner takes."""


@dataclass(frozen=True, slots=True)
class Stream:
    """One thing to scan. size_octets: no less than there is. is_declared: not a guess. is_message: all of it, as received."""

    name: str
    size_octets: int
    is_declared: bool
    pieces: Callable[[], Iterator[bytes]]
    is_message: bool = False


def streams_of(message: MessageView) -> list[Stream]:
    """The message, what it declares to hold, and what else it may be read as."""
    octets = message.octets

    def as_received() -> Iterator[bytes]:
        return (octets[start : start + PIECE_OCTETS] for start in range(0, len(octets), PIECE_OCTETS))

    return [Stream("the message as a whole", len(octets), True, as_received, True), *map(_of_reading, message.readings())]


def _of_reading(reading: Reading) -> Stream:
    return Stream(f"part {reading.part or '1'} {reading.how}", reading.size_octets, reading.is_declared, reading.chunks)


class Feed:
    """Takes the pieces of streams off the event loop, at most max_octets of each, and knows what was there before."""

    def __init__(self, run_blocking: RunBlocking, max_octets: int) -> None:
        self._run_blocking = run_blocking
        self._max_octets = max_octets
        self._seen: set[bytes] = set()

    async def open(self, stream: Stream) -> AsyncIterator[bytes] | None:
        """Its pieces; None for nothing, or the same again. What fits into one piece is compared, longer streams are not.

        Taking the pieces raises TooMuch beyond max_octets.
        """
        pieces = _joined(stream.pieces())
        first = await self._run_blocking(lambda: next(pieces, b""))
        if len(first) < PIECE_OCTETS:
            digest = hashlib.sha256(first).digest()
            if not first or digest in self._seen:
                return None
            self._seen.add(digest)
        return self._rest(first, pieces)

    async def _rest(self, first: bytes, pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
        piece, octets = first, 0
        while piece:
            octets += len(piece)
            if octets > self._max_octets:
                raise TooMuch
            yield piece
            piece = await self._run_blocking(lambda: next(pieces, b"")) if len(piece) >= PIECE_OCTETS else b""


def _joined(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Pieces of at least PIECE_OCTETS, but for the last one."""
    waiting: list[bytes] = []
    size = 0
    for piece in chain(pieces, (b"",)):
        waiting.append(piece)
        size += len(piece)
        if size >= PIECE_OCTETS or (not piece and size):
            yield b"".join(waiting)
            waiting, size = [], 0
