"""What a spool knows in memory of its segments and of the messages in them.

Values only; the rules are in `segments`, `log` and `compaction`, and only the spool's writer thread changes them once a message
is committed.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

from mailward.model.ids import QueueId
from mailward.queue.recipient import CLAIMED, OpenRecipient
from mailward.queue.record import HEADER_OCTETS

SEGMENT_SUFFIX = ".seg"
LARGE_SUFFIX = ".msg"
PART_SUFFIX = ".part"
"""A large message that is still being received; its writer holds its lock."""

ATTEMPTS_TO_CREATE = 3
"""A recovery may take a file for a leftover in the moment between its making and its lock."""

_STEM = re.compile(r"(?P<owner>.+)-(?P<mark>[0-9a-f]{16})")


def stem_of(owner: str, mark: bytes) -> str:
    """What the names of a segment and of its large messages begin with."""
    return f"{owner}-{mark.hex()}"


def mark_of(segment: Path) -> bytes | None:
    """The mark its records begin with; None when the name is not one we gave."""
    found = _STEM.fullmatch(segment.stem)
    return bytes.fromhex(found["mark"]) if found else None


def large_name(stem: str, queue_id: QueueId) -> str:
    """The file name of a large message that is committed."""
    return f"{stem}.{queue_id}{LARGE_SUFFIX}"


@dataclass(slots=True, eq=False)
class Segment:
    """A segment this process writes to or has messages in. size_octets: what is in it for certain; open_octets: of messages
    that are not finished. fd: -1 once it is closed; whoever reads takes no lock, but looks afterwards whether `fd` is still what
    it read from, since the number of a closed file may be another's.

    sealed: nothing is committed to it any more. abandoned: writing failed, so its journal is not written either.
    worn: damaged or abandoned by somebody else, so its messages move to another one. claims: of all its open recipients.
    """

    path: Path
    mark: bytes
    fd: int
    size_octets: int = 0
    open_octets: int = 0
    sealed: bool = False
    abandoned: bool = False
    worn: bool = False
    claims: int = 0
    entries: dict[QueueId, "Entry"] = field(default_factory=dict)

    def large_path(self, queue_id: QueueId) -> Path:
        """The file of a large message of this segment."""
        return self.path.with_name(large_name(self.path.stem, queue_id))


@dataclass(slots=True, eq=False)
class Entry:
    """One committed message. offset: of its record. states: of all its recipients, in the order of the item; open_count: of
    those who are not finished.

    A queue has a million of these: what the record says is not kept here.
    """

    id: QueueId
    segment: Segment
    offset: int
    meta_octets: int
    body_octets: int
    large: bool
    states: list[OpenRecipient]
    open_count: int

    @property
    def record_octets(self) -> int:
        """Of header, item and what of the message is in the segment."""
        return HEADER_OCTETS + self.meta_octets + (0 if self.large else self.body_octets)

    @property
    def claims(self) -> int:
        """On how many recipients this process means to act."""
        return sum([recipient.state in CLAIMED for recipient in self.states])

    def open_recipients(self) -> dict[int, OpenRecipient]:
        """Those that are not finished, by their index."""
        return {index: recipient for index, recipient in enumerate(self.states) if recipient.is_open}

    def put(self, index: int, recipient: OpenRecipient) -> None:
        """Change what is to be done for one, and what is counted of it."""
        before, self.states[index] = self.states[index], recipient
        self.open_count += recipient.is_open - before.is_open
        self.segment.claims += (recipient.state in CLAIMED) - (before.state in CLAIMED)
