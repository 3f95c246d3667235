"""The spool: mail we have answered for, and what is still to be done with it. Only after `commit` may anyone say 250.

Each process appends to segments of its own, guarded by a lock that ends with the process. One thread writes: all
messages that wait share one write and one sync (`writer`, `log`). The journal of what was done goes to the same segment
and is not synced, since a recipient who is served twice is told apart by the store's delivery_key. What a process
cannot finish it leaves on the disk by closing the segment; the queue process takes free segments over (`adopt`).
"""

import asyncio
import re
import zlib
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import structlog

from mailward.disk import Disk
from mailward.model.decision import utc_text
from mailward.model.errors import LocalError, StorageError
from mailward.model.ids import QueueId
from mailward.queue.incoming import Incoming
from mailward.queue.item import QueueItem
from mailward.queue.jobs import Barrier, Commit, Job, Leave, Mark
from mailward.queue.log import SegmentLog
from mailward.queue.record import Kind
from mailward.queue.recover import FreeSegment, RecoveredItem, Report, free_segments, give_back, keep_corrupt, remove
from mailward.queue.segment import LARGE_SUFFIX, Entry, OpenRecipient
from mailward.queue.writer import GroupWriter

SEGMENT_OCTETS = 64 << 20
IN_MEMORY_OCTETS = 256 << 10
ADOPTION_OCTETS = 8 << 20
"""How much adopted mail is moved with one sync."""
PASSES_BETWEEN_TRIES = 600
"""A segment that must be left as it is, is looked at again after so many passes."""

log = structlog.get_logger("mailward.queue")


Recipient = tuple[QueueId, int]
"""A recipient of a message, by its place in the item."""


class NotHere(StorageError):
    """The message is finished, or another process has it now."""


@dataclass(frozen=True, slots=True)
class Adoption:
    """What one pass over the folder found. items: messages that are ours now. reports: each thing is told once."""

    items: tuple[QueueId, ...]
    reports: tuple[Report, ...]


class Spool:
    """One process's view of the spool folder. Safe from any thread; `commit` belongs to an event loop.

    owner: letters, digits, "-" and "_", for people who look into the folder. Nothing is opened before the first commit,
    so a spool may be made before forking. Raises StorageError.
    """

    def __init__(
        self,
        folder: Path,
        disk: Disk,
        *,
        owner: str,
        segment_octets: int = SEGMENT_OCTETS,
        in_memory_octets: int = IN_MEMORY_OCTETS,
    ) -> None:
        if not re.fullmatch(r"[A-Za-z0-9_-]+", owner):
            raise LocalError(f"spool owner {owner!r}")
        try:
            disk.mkdir(folder)
        except OSError as error:
            raise StorageError(f"spool: {error}") from error
        self._folder = folder
        self._disk = disk
        self._in_memory_octets = in_memory_octets
        self._log = SegmentLog(folder, disk, owner, segment_octets)
        self._writer: GroupWriter[Job] = GroupWriter(self._log.perform, f"spool-{owner}")
        self._left: dict[str, int] = {}
        self._emptied: list[FreeSegment] = []

    # Reception

    def begin(self, queue_id: QueueId, *, kept: bool = False) -> Incoming:
        """Room for one message. Nothing is written before it is large or committed.

        kept: once committed it stays with this process until it is finished, as what it has adopted does.
        """
        return Incoming(queue_id, self._folder, self._disk, self._in_memory_octets, self._submit_commit, self.leave, kept=kept)

    def _submit_commit(self, job: Commit) -> None:
        if not self._writer.submit([job], urgent=True):
            raise StorageError("spool: it is closed")

    # Reading

    def item(self, queue_id: QueueId) -> QueueItem:
        """The queue item. Raises NotHere or StorageError, permanent when it is damaged."""
        return QueueItem.from_json(self._meta(self._entry(queue_id)).decode("ascii"))

    def octets(self, queue_id: QueueId) -> bytes:
        """The message as received. Raises NotHere or StorageError, permanent when it is damaged."""
        entry = self._entry(queue_id)
        try:
            octets = self._read(entry)
        except OSError as error:
            raise StorageError(f"spool: {queue_id}: {error}") from error
        if len(octets) != entry.body_octets or zlib.crc32(octets) != entry.body_crc:
            raise StorageError(f"spool: {queue_id}: its octets are damaged", permanent=True)
        return octets

    def open_recipients(self, queue_id: QueueId) -> dict[int, OpenRecipient]:
        """Copies of the states by index; {} when the message is finished or not here. A mark shows once it is written."""
        entry = self._log.entries.get(queue_id)
        if entry is None:
            return {}
        return {index: replace(recipient) for index, recipient in list(entry.open.items())}

    def ids(self) -> Sequence[QueueId]:
        """Of all messages of this process that are not finished, sorted."""
        return sorted(self._log.entries)

    def _entry(self, queue_id: QueueId) -> Entry:
        entry = self._log.entries.get(queue_id)
        if entry is None:
            raise NotHere(f"spool: {queue_id} is not here")
        return entry

    def _meta(self, entry: Entry) -> bytes:
        try:
            meta = self._read_segment(entry, entry.meta_offset, entry.meta_octets)
        except OSError as error:
            raise StorageError(f"spool: {entry.id}: {error}") from error
        if zlib.crc32(meta) != entry.meta_crc:
            raise StorageError(f"spool: {entry.id}: its queue item is damaged", permanent=True)
        return meta

    def _read(self, entry: Entry) -> bytes:
        if entry.large:
            fd = self._disk.open_read(entry.segment.large_path(entry.id))
            try:
                return self._disk.read(fd, 0, entry.body_octets)
            finally:
                self._disk.close(fd)
        return self._read_segment(entry, entry.meta_offset + entry.meta_octets, entry.body_octets)

    def _read_segment(self, entry: Entry, offset: int, length: int) -> bytes:
        with self._log.closing:
            if entry.segment.fd < 0:
                raise NotHere(f"spool: {entry.id} was handed over")
            return self._disk.read(entry.segment.fd, offset, length)

    # The journal

    def done(self, queue_id: QueueId, index: int, text: str) -> None:
        """Nothing more is to be done for this recipient. Written soon, not synced: it may be forgotten in a power cut."""
        self._mark([Mark(Kind.DONE, queue_id, index, text)])

    def failed_attempt(self, queue_id: QueueId, index: int, text: str, next_at: datetime) -> None:
        """An attempt failed; next_at: when to repeat it. A message that was accepted here is now left to the queue process."""
        self._mark([Mark(Kind.FAILED, queue_id, index, text, utc_text(next_at))])

    def begin_attempts(self, attempts: Sequence[Recipient]) -> frozenset[Recipient]:
        """Say that work on these recipients begins, before it begins, so that mail which kills its worker is found (T-Q-08).

        Returns those that may be attempted, when that would outlive this process: not what is finished, held, or under way.
        Raises StorageError.
        """
        return self._order([Mark(Kind.BEGUN, *recipient) for recipient in attempts])

    def hold(self, recipients: Sequence[Recipient], reason: str) -> frozenset[Recipient]:
        """Make no further attempt for them; one under way goes on. Returns those that are held now, after a power cut too."""
        return self._order([Mark(Kind.HELD, *recipient, reason, synced=True) for recipient in recipients])

    def release(self, recipients: Sequence[Recipient]) -> frozenset[Recipient]:
        """Make their next attempt at once, whoever held them. Returns those for which that is written. Raises StorageError."""
        return self._order([Mark(Kind.RELEASED, *recipient, synced=True) for recipient in recipients])

    def retry_now(self, recipients: Sequence[Recipient]) -> frozenset[Recipient]:
        """Make their next attempt at once. Returns those for which that is written: not what is held. Raises StorageError."""
        return self._order([Mark(Kind.DUE, *recipient) for recipient in recipients])

    def drop(self, recipients: Sequence[Recipient], text: str) -> frozenset[Recipient]:
        """Nothing more is to be done for them. Returns those that are finished now, after a power cut too.

        Not those of whom an attempt is under way. Raises StorageError.
        """
        return self._order([Mark(Kind.DONE, *recipient, text, if_idle=True, synced=True) for recipient in recipients])

    def finish(self, recipients: Sequence[tuple[QueueId, int, str]]) -> None:
        """As `done`, but returns when that would outlive this process: for what cannot be told apart when it is done twice."""
        self._order([Mark(Kind.DONE, queue_id, index, text) for queue_id, index, text in recipients])

    def leave(self, *queue_ids: QueueId) -> None:
        """Leave the messages to the queue process."""
        self._writer.submit([Leave(queue_id) for queue_id in queue_ids], urgent=True)

    async def close(self) -> None:
        """Write what waits and give up all segments; what is open stays for the queue process."""
        await asyncio.to_thread(self._writer.close)
        self._log.close()
        for segment in self._emptied:
            if not self._removed(segment):
                give_back(segment, self._disk)

    def _mark(self, marks: Sequence[Mark]) -> None:
        self._writer.submit(marks, urgent=False)

    def _order(self, marks: Sequence[Mark]) -> frozenset[Recipient]:
        """Write marks, and return the recipients of those that could be."""
        written: Future[None] = Future()
        if not self._writer.submit([*marks, Barrier(written)], urgent=True):
            raise StorageError("spool: it is closed")
        written.result()
        return frozenset((mark.id, mark.index) for mark in marks if mark.applied)

    # Recovery

    def adopt(self) -> Adoption:
        """Take over what has no owner any more. Blocks; one thread at a time.

        What cannot be taken now stays, with a line in the log, and is tried again in a later pass.
        """
        items: list[QueueId] = []
        reports: list[Report] = []
        self._emptied = [segment for segment in self._emptied if not self._removed(segment)]
        self._left = {name: passes - 1 for name, passes in self._left.items() if passes > 1}
        try:
            for segment in free_segments(self._folder, self._disk, self._left):
                reports += segment.reports
                if segment.readable:
                    items += self._adopt(segment)
                else:
                    self._left[segment.path.name] = PASSES_BETWEEN_TRIES
                    give_back(segment, self._disk)
        except OSError as error:
            log.error("spool folder not searched to its end", error=str(error))
        return Adoption(tuple(items), tuple(reports))

    def _adopt(self, segment: FreeSegment) -> list[QueueId]:
        """Move what is open in it into a segment of ours, then delete it."""
        moved: list[QueueId] = []
        failure: StorageError | None = None
        for items in _batches(segment.items):
            jobs = []
            for item in items:
                if item.id in self._log.entries:  # a crash or an error came between the two steps of an earlier adoption
                    self._mark([Mark(Kind.DONE, item.id, index) for index in item.finished])
                else:
                    jobs.append(_move(segment, item))
            done: Future[None] = Future()
            if not self._writer.submit([*jobs, Barrier(done)], urgent=True):
                failure = StorageError("spool: it is closed")
                break
            done.result()
            moved += [job.id for job in jobs if job.id in self._log.entries]
            failure = next((error for job in jobs if (error := _error(job)) is not None), failure)
        if failure is not None:
            log.warning("spool segment not adopted, left for later", segment=segment.path.name, error=str(failure))
            give_back(segment, self._disk)
        elif not self._removed(segment):
            self._emptied.append(segment)
        return moved

    def _removed(self, segment: FreeSegment) -> bool:
        """Delete a segment whose mail is ours now. Until that succeeds it stays locked, or its mail would be found again."""
        try:
            remove(segment, self._disk)
        except FileNotFoundError:  # gone at an earlier try that failed later
            pass
        except OSError as error:
            log.warning("spool segment not removed, trying again", segment=segment.path.name, error=str(error))
            return False
        give_back(segment, self._disk)
        return True

    def set_aside(self, queue_id: QueueId, reason: str) -> Report:
        """Copy a message that cannot be read to `corrupt/` and end the work on it (T-Q-13). Raises StorageError."""
        entry = self._entry(queue_id)
        try:
            try:
                octets = self._read(entry)
            except FileNotFoundError:
                octets = b""
            meta = self._read_segment(entry, entry.meta_offset, entry.meta_octets)
            kept = keep_corrupt(self._folder, self._disk, f"{queue_id}.json", [meta])
            keep_corrupt(self._folder, self._disk, f"{queue_id}{LARGE_SUFFIX}", [octets])
        except OSError as error:
            raise StorageError(f"spool: {queue_id}: {error}") from error
        self._mark([Mark(Kind.DONE, queue_id, index, reason) for index in list(entry.open)])
        return Report(entry.segment.path.name, f"{queue_id}: {reason}", kept)


def _adopted(state: OpenRecipient) -> OpenRecipient:
    return replace(state, claimed=True, waiting=True)


def _move(segment: FreeSegment, item: RecoveredItem) -> Commit:
    """The job that makes an item of a free segment ours."""
    return Commit(
        item.id,
        item.meta,
        [] if item.octets is None else [item.octets],
        item.body_octets,
        item.body_crc,
        {index: _adopted(state) for index, state in item.open.items()},
        Future(),
        large=segment.large_path(item.id) if item.octets is None else None,
        finished=item.finished,
        adopted=True,
    )


def _error(job: Commit) -> StorageError | None:
    """Why a job that was performed failed, None when it did not."""
    failure = job.waiter.exception() if isinstance(job.waiter, Future) else None
    return failure if isinstance(failure, StorageError) else None


def _batches(items: Sequence[RecoveredItem]) -> list[list[RecoveredItem]]:
    batches: list[list[RecoveredItem]] = []
    size_octets = ADOPTION_OCTETS
    for item in items:
        if size_octets >= ADOPTION_OCTETS:
            batches.append([])
            size_octets = 0
        batches[-1].append(item)
        size_octets += len(item.octets or b"")
    return batches
