"""Taking over what other processes left in the spool folder, pass by pass.

`recover` reads a segment, `log` makes it ours, `compaction` moves what is in it; here is only when, and how much at once.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from mailward.disk import Disk
from mailward.model.errors import StorageError
from mailward.model.ids import QueueId
from mailward.queue.compaction import MOST_SEGMENTS
from mailward.queue.jobs import Compact, Job, Take
from mailward.queue.recover import FreeSegment, Report, drop_leftovers, free_segments
from mailward.queue.segments import Segments

ADOPTED_AT_ONCE = 64
"""Segments of one pass; and of full ones as many as there is octets in one."""
MOVED_OCTETS = 8 << 20
"""How much is moved to another segment with one sync."""
PASSES_BETWEEN_TRIES = 600
"""A segment that must be left as it is, is looked at again after so many passes, and so are files that are left over."""
PASSES_BETWEEN_MOVES = 240
PASSES_AFTER_FAILURE = 20
"""After so many passes mail is moved out of segments that are not worth keeping."""

log = structlog.get_logger("mailward.queue")


@dataclass(frozen=True, slots=True)
class Adoption:
    """What one pass over the folder found. items: messages that are ours now. reports: each thing is told once.

    is_more: another pass would find more.
    """

    items: tuple[QueueId, ...]
    reports: tuple[Report, ...]
    is_more: bool


class Adopter:
    """For one spool, one thread at a time. perform: has the writer thread do jobs, and returns when they are done."""

    def __init__(
        self, folder: Path, disk: Disk, segment_octets: int, ours: Segments, perform: Callable[[Sequence[Job]], None]
    ) -> None:
        self._folder = folder
        self._disk = disk
        self._segment_octets = segment_octets
        self._ours = ours
        self._perform = perform
        self._left: dict[str, int] = {}  # segments that must stay as they are: the passes until they are looked at again
        self._unwritable: list[QueueId] = []  # ours, but given out when they have moved to where something can be noted of them
        self._passes_to_sweep = 0
        self._passes_to_move = PASSES_BETWEEN_MOVES
        self._move_failed = False

    def adopt(self) -> Adoption:
        """Take over what has no owner any more, or some of it. Blocks.

        What cannot be taken now stays, with a line in the log, and is tried again in a later pass.
        """
        items: list[QueueId] = []
        reports: list[Report] = []
        self._left = {name: passes - 1 for name, passes in self._left.items() if passes > 1}
        seen = 0
        try:
            self._sweep()
            for free in free_segments(self._folder, self._disk, {*self._left, *self._ours.names()}):
                reports += free.reports
                items += self._take(free)
                seen += max(1, ADOPTED_AT_ONCE * free.segment.size_octets // self._segment_octets)
                if seen >= ADOPTED_AT_ONCE:
                    break
        except OSError as error:
            log.error("spool folder not searched to its end", error=str(error))
        self._move()
        return Adoption((*items, *self._moved()), tuple(reports), is_more=seen >= ADOPTED_AT_ONCE)

    def _sweep(self) -> None:
        self._passes_to_sweep -= 1
        if self._passes_to_sweep < 0:
            drop_leftovers(self._folder, self._disk)
            self._passes_to_sweep = PASSES_BETWEEN_TRIES

    def _take(self, free: FreeSegment) -> list[QueueId]:
        """The messages of a segment that may be given out now."""
        segment = free.segment
        if free.entries is None:
            self._left[segment.path.name] = PASSES_BETWEEN_TRIES
            if segment.fd >= 0:
                self._disk.close(segment.fd)
            return []
        is_unwritable = segment.abandoned
        job = Take(segment, free.entries)
        try:
            self._perform([job])
        except StorageError as error:
            log.warning("spool segment not adopted, left for later", segment=segment.path.name, error=str(error))
            if segment.path.name not in self._ours.names():
                self._disk.close(segment.fd)
        if segment.worn:
            self._passes_to_move = 0
        if is_unwritable:
            self._unwritable += job.taken
            return []
        return job.taken

    def _move(self) -> None:
        """Empty the segments that are not worth keeping."""
        self._passes_to_move -= 1
        if self._passes_to_move > 0 and (self._move_failed or len(self._ours.names()) <= MOST_SEGMENTS):
            return
        job = Compact(MOVED_OCTETS, is_more=True)
        while job.is_more and not job.failed:
            job = Compact(MOVED_OCTETS)
            try:
                self._perform([job])
            except StorageError:
                return
        self._move_failed = job.failed
        self._passes_to_move = PASSES_AFTER_FAILURE if job.failed else PASSES_BETWEEN_MOVES

    def _moved(self) -> list[QueueId]:
        """What was in segments that cannot be written, and is now in one that can."""
        waiting, self._unwritable = self._unwritable, []
        moved: list[QueueId] = []
        for queue_id in waiting:
            entry = self._ours.entries.get(queue_id)
            if entry is not None:
                (self._unwritable if entry.segment.abandoned else moved).append(queue_id)
        return moved
