"""What a spool knows in memory of its segments, of the messages in them and of what is still to be done for each.

Values only; the rules are in `spool`, and only its writer thread changes them once a message is committed.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

from mailward.model.ids import QueueId
from mailward.queue.record import HEADER_OCTETS
from mailward.queue.schedule import HOLD_AFTER

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


@dataclass(slots=True)
class OpenRecipient:
    """A recipient for whom something is still to be done.

    route: as in its `QueuedRecipient`. failures: attempts that ended badly. begun: attempts that began and did not end.
    next_at: ISO 8601 in UTC, "" for now. text: how the last one ended. claimed: this process means to act on it. waiting:
    claimed, but no attempt is under way. held: why an admin holds it, "" when none does.
    """

    route: str
    failures: int = 0
    begun: int = 0
    next_at: str = ""
    text: str = ""
    claimed: bool = True
    waiting: bool = False
    held: str = ""

    def copy(self) -> "OpenRecipient":
        """As it is now."""
        return OpenRecipient(
            self.route, self.failures, self.begun, self.next_at, self.text, self.claimed, self.waiting, self.held
        )

    @property
    def hold_reason(self) -> str:
        """Why no attempt is made before it is released, "" when attempts are made (T-Q-08)."""
        if self.held or self.begun < HOLD_AFTER or not self.waiting:
            return self.held
        return f"{self.begun} attempts ended with the process"


@dataclass(slots=True, eq=False)
class Segment:
    """A segment this process writes to or has messages in. size_octets: what is in it for certain; open_octets: of messages
    that are not finished.

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
    """One committed message. offset: of its record. recipients: of the item, finished ones too.

    adopted: this process keeps it until it is finished. A queue has a million of these: what the record says is not kept here.
    """

    id: QueueId
    segment: Segment
    offset: int
    meta_octets: int
    body_octets: int
    large: bool
    adopted: bool
    recipients: int
    open: dict[int, OpenRecipient]

    @property
    def record_octets(self) -> int:
        """Of header, item and what of the message is in the segment."""
        return HEADER_OCTETS + self.meta_octets + (0 if self.large else self.body_octets)

    @property
    def finished(self) -> tuple[int, ...]:
        """The recipients who need nothing more."""
        return tuple(index for index in range(self.recipients) if index not in self.open)
