"""What of a message is scanned, and what do the answers mean together?

The whole message as received, and every leaf part decoded by us: clamd reads MIME its own way, and where the two readings
differ only one of them may show what a mail client will show.
"""

import hashlib
import mmap
import quopri
import re
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from mailward.api import MessageView, PartView
from mailward_plugins.antivirus.instream import ScanReply
from mailward_plugins.antivirus.readings import other_readings, restarting_base64

_LIMIT_NAMES = "Heuristics.Limits.Exceeded"
"""clamd's AlertExceedsMax: something was too big, too deep or too many for it to look at."""
_ENCRYPTED_NAMES = "Heuristics.Encrypted"

_BASE64_LINES = re.compile(rb"(?:^[A-Za-z0-9+/=]++[ \t]*+(?:\r?\n|\Z))+", re.MULTILINE)
_BLIND_OCTETS = 40
"""Shorter runs of base64 lines are words."""

Octets = bytes | mmap.mmap


@dataclass(frozen=True, slots=True)
class ScanPlan:
    """streams: what to scan, the message first. left_out: why something is not scanned, "" when everything is."""

    streams: tuple[Octets, ...]
    left_out: str = ""


@dataclass(frozen=True, slots=True)
class ScanOutcome:
    """virus: the name found, "" for none. encrypted: of what cannot be looked into. left_out: what was not scanned."""

    virus: str = ""
    encrypted: str = ""
    left_out: str = ""


def plan(message: MessageView, max_octets: int, max_parts: int) -> ScanPlan:
    """The streams of a message: nothing twice, none above max_octets, those decoded by us together at most twice that."""
    streams: list[Octets] = []
    left_out = []
    if message.size_octets <= max_octets:
        streams.append(message.octets)
    else:
        left_out.append(f"the message of {message.size_octets} octets as a whole")
    seen: set[bytes] = set()
    budget_octets, skipped = 2 * max_octets, 0
    for decoding in _decodings(message):
        if decoding.size_octets == 0:
            continue
        if len(seen) >= max_parts or budget_octets <= 0 or decoding.size_octets > 2 * max_octets:
            skipped += decoding.is_part
            continue
        octets = decoding.decode()
        budget_octets -= len(octets)
        digest = hashlib.sha256(octets).digest()
        if digest in seen or not octets:
            continue
        seen.add(digest)
        if len(octets) > max_octets:
            skipped += decoding.is_part
        else:
            streams.append(octets)
    if skipped:
        left_out.append(f"{skipped} parts")
    return ScanPlan(tuple(streams), " and ".join(left_out))


class _Decoding(NamedTuple):
    """Something to decode. size_octets: before. is_part: the usual reading of a part, not one more guess."""

    size_octets: int
    decode: Callable[[], bytes]
    is_part: bool = False


def _decodings(message: MessageView) -> Iterator[_Decoding]:
    """Every leaf part, then what looks encoded without regard to structure."""
    for part in message.parts():
        if not part.is_multipart and not part.children:
            yield _Decoding(part.size_octets, part.decode, is_part=True)
            for reading in other_readings(part.encoding, part.problems):
                yield _Decoding(part.size_octets, partial(_reread, part, reading))
    for found in _BASE64_LINES.finditer(message.octets):
        # A reader that takes another boundary, header or encoding than we do may still decode this.
        if found.end() - found.start() >= _BLIND_OCTETS:
            yield _Decoding(found.end() - found.start(), partial(restarting_base64, found.group()))
    if message.anomalies:
        yield _Decoding(message.size_octets, lambda: quopri.decodestring(bytes(message.octets)))


def _reread(part: PartView, reading: Callable[[bytes], bytes]) -> bytes:
    return reading(part.body_octets)


async def scan_all(planned: ScanPlan, scan: Callable[[Octets], Awaitable[ScanReply]]) -> ScanOutcome:
    """Scan one stream after another, until a virus is found."""
    left_out = [planned.left_out] if planned.left_out else []
    encrypted = ""
    for stream in planned.streams:
        reply = await scan(stream)
        if not reply.is_complete:
            left_out.append(f"{len(stream)} octets, more than the scanner takes")
        elif reply.name.startswith(_LIMIT_NAMES):
            left_out.append(f"something beyond the scanner's limits ({reply.name})")
        elif reply.name.startswith(_ENCRYPTED_NAMES):
            encrypted = reply.name
        elif reply.name:
            return ScanOutcome(reply.name)
    return ScanOutcome("", encrypted, "; ".join(dict.fromkeys(left_out)))
