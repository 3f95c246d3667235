"""What the spool's writer thread can be asked to do; each value is one job, done in the order they were handed in."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mailward.disk import Octets
from mailward.model.ids import QueueId
from mailward.queue.recipient import OpenRecipient
from mailward.queue.record import Kind
from mailward.queue.segment import Entry, Segment
from mailward.queue.writer import Waiter


@dataclass(slots=True, eq=False)
class Commit:
    """Make a message ours. meta: the queue item. body: its octets, [] for a large one, whose file is `large`.

    states: of its recipients. part_fd: descriptor of the file being received, -1 when it belongs to another segment.
    """

    id: QueueId
    meta: bytes
    body: Sequence[Octets]
    body_octets: int
    body_crc: int
    states: list[OpenRecipient]
    waiter: Waiter
    large: Path | None = None
    part_fd: int = -1


@dataclass(slots=True, eq=False)
class Mark:
    """A journal record for one recipient. text: what became of it, or why it is held. next_at: for FAILED.

    if_idle: only when no attempt is under way. synced: somebody is told that it is so, so it must outlive a power cut.
    applied: set when it is written; what may not be is passed over.
    """

    kind: Kind
    id: QueueId
    index: int
    text: str = ""
    next_at: str = ""
    if_idle: bool = False
    synced: bool = False
    applied: bool = False


@dataclass(slots=True, eq=False)
class Leave:
    """This process will not act on the message any more; whoever adopts its segment will."""

    id: QueueId


@dataclass(slots=True, eq=False)
class Barrier:
    """Everything handed in before is written when the waiter is told."""

    waiter: Waiter


@dataclass(slots=True, eq=False)
class Take:
    """Make a free segment ours where it lies. taken: the messages that are ours now; not those that were already."""

    segment: Segment
    entries: Sequence[Entry]
    taken: list[QueueId] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Compact:
    """Move what is open in segments that are worn, or mostly finished, or too many, and delete them. At most `octets` of it.

    is_more: set when there is more to move. failed: set when it could not be written.
    """

    octets: int
    is_more: bool = False
    failed: bool = False


Job = Take | Compact | Commit | Mark | Leave | Barrier
