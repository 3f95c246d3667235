"""What do the scanner's answers about the streams of a message mean together?"""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from mailward.api import MessageView, RunBlocking
from mailward_plugins.antivirus.instream import ScanReply
from mailward_plugins.antivirus.streams import Feed, Stream, TooMuch, streams_of

_LIMIT_NAMES = "Heuristics.Limits.Exceeded"
"""clamd's AlertExceedsMax: something was too big, too deep or too many for it to look at."""
_ENCRYPTED_NAMES = "Heuristics.Encrypted"
_TIMES_AS_MUCH = 8
"""All streams of a message together have at most so many times the octets that one may have."""

Scan = Callable[[AsyncIterator[bytes]], Awaitable[ScanReply]]


@dataclass(frozen=True, slots=True)
class ScanOutcome:
    """virus: the name found, "" for none. encrypted: of what cannot be looked into. left_out: what was not scanned."""

    virus: str = ""
    encrypted: str = ""
    left_out: str = ""


async def scan_all(message: MessageView, scan: Scan, run_blocking: RunBlocking, max_octets: int, max_parts: int) -> ScanOutcome:
    """Scan one stream after another, nothing twice, until a virus is found. What is declared comes before what is guessed."""
    readings = await run_blocking(message.readings)
    left = _LeftOut(["more ways to read it than are tried"] if readings.is_cut else [])
    feed = Feed(run_blocking, max_octets)
    encrypted, scanned, octets_left = "", 0, _TIMES_AS_MUCH * max_octets
    for stream in streams_of(message):
        if scanned > max_parts or octets_left <= 0:
            left.add(stream)
            continue
        pieces = await feed.open(stream)
        if pieces is None:
            continue
        scanned += 1
        octets_left -= stream.size_octets
        try:
            reply = await scan(pieces)
        except TooMuch:
            left.add(stream)
            continue
        if not reply.is_complete:
            left.notes.append(f"{stream.name}, more than the scanner takes")
        elif reply.name.startswith(_LIMIT_NAMES):
            left.notes.append(f"something beyond the scanner's limits ({reply.name})")
        elif reply.name.startswith(_ENCRYPTED_NAMES):
            encrypted = reply.name
        elif reply.name:
            return ScanOutcome(reply.name)
    return ScanOutcome("", encrypted, left.sentence())


@dataclass(slots=True)
class _LeftOut:
    """Counts what is not scanned."""

    notes: list[str]
    parts: int = 0
    guesses: int = 0

    def add(self, stream: Stream) -> None:
        if stream.is_message:
            self.notes.append(f"{stream.name}, {stream.size_octets} octets")
        elif stream.is_declared:
            self.parts += 1
        else:
            self.guesses += 1

    def sentence(self) -> str:
        counts = [f"{self.parts} parts"] if self.parts else []
        counts += [f"{self.guesses} other ways to read parts"] if self.guesses else []
        return "; ".join(dict.fromkeys([*self.notes, *counts]))
