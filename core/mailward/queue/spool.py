"""The spool: mail we have answered for, and what is still to be done with it. Only after `commit` may anyone say 250.

Each process appends to segments of its own, guarded by a lock that ends with the process. One thread writes: all
messages that wait share one write and one sync (`writer`, `log`). The journal of what was done goes to the same segment
and is not synced, since a recipient who is served twice is told apart by the store's delivery_key. What a process
cannot finish it leaves on the disk by closing the segment; the queue process takes free segments over where they lie (`adopt`).
"""

import asyncio
import errno
import os
import re
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from datetime import datetime
from pathlib import Path

from mailward.disk import Disk
from mailward.model.decision import utc_text
from mailward.model.errors import LocalError, StorageError
from mailward.model.ids import QueueId
from mailward.queue.adopter import Adopter, Adoption
from mailward.queue.incoming import Incoming
from mailward.queue.item import QueueItem
from mailward.queue.jobs import Barrier, Commit, Job, Leave, Mark
from mailward.queue.log import SegmentLog
from mailward.queue.recipient import OpenRecipient
from mailward.queue.record import HEADER_OCTETS, Header, Kind, unpack_header
from mailward.queue.recover import Report, keep_corrupt
from mailward.queue.segment import LARGE_SUFFIX, Entry
from mailward.queue.segments import Segments
from mailward.queue.writer import GroupWriter, complete

SEGMENT_OCTETS = 64 << 20
IN_MEMORY_OCTETS = 256 << 10
CLOSED = "spool: it is closed"
Recipient = tuple[QueueId, int]
"""A recipient of a message, by its place in the item."""
_Read = tuple[Header | None, bytes]
"""What a record's header says, None when that is damaged, and the octets of a part as they are on the disk."""


class NotHere(StorageError):
    """The message is finished, or another process has it now."""


class Spool:
    """One process's view of the spool folder. Safe from any thread; `commit`, `begun` and `finish` belong to an event loop.

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
        self._segments = Segments(folder, disk, owner)
        writing = SegmentLog(folder, disk, self._segments, segment_octets)
        self._writer: GroupWriter[Job] = GroupWriter(writing.perform, f"spool-{owner}")
        self._gathered: list[Job] = []  # of this turn of the loop
        self._adopter = Adopter(folder, disk, segment_octets, self._segments, self._perform)

    # Reception

    def begin(self, queue_id: QueueId, *, kept: bool = False) -> Incoming:
        """Room for one message. Nothing is written before it is large or committed.

        kept: once committed it stays with this process until it is finished, as what it has adopted does.
        """
        return Incoming(queue_id, self._folder, self._disk, self._in_memory_octets, self._submit_commit, self.leave, kept=kept)

    def _submit_commit(self, job: Commit) -> None:
        self._submit([job])

    # Reading

    def item(self, queue_id: QueueId) -> QueueItem:
        """The queue item. Raises NotHere or StorageError, permanent when it is damaged."""
        header, meta = self._read(queue_id, self._meta)
        if header is None or zlib.crc32(meta) != header.meta_crc:
            raise StorageError(f"spool: {queue_id}: its queue item is damaged", permanent=True)
        return QueueItem.from_json(meta.decode("ascii"))

    def octets(self, queue_id: QueueId) -> bytes:
        """The message as received. Raises NotHere or StorageError, permanent when it is damaged."""
        header, octets = self._read(queue_id, self._body)
        if not _is_whole(header, octets):
            raise StorageError(f"spool: {queue_id}: its octets are damaged", permanent=True)
        return octets

    def octets_at_hand(self, queue_id: QueueId) -> bytes | None:
        """The same without blocking, of a message that is not large and that the kernel has in memory. None: `octets` knows."""
        entry = self._segments.entries.get(queue_id)
        if entry is None or entry.large:
            return None
        fd = entry.segment.fd
        try:
            record = self._disk.read_at_hand(fd, entry.offset, entry.record_octets)
        except OSError:
            return None
        if record is None or entry.segment.fd != fd:  # as in `_read_record`
            return None
        octets = record[HEADER_OCTETS + entry.meta_octets :]
        return octets if _is_whole(unpack_header(record, entry.segment.mark), octets) else None

    def open_recipients(self, queue_id: QueueId) -> dict[int, OpenRecipient]:
        """The states by index; {} when the message is finished or not here. A mark shows once it is written."""
        entry = self._segments.entries.get(queue_id)
        return {} if entry is None else entry.open_recipients()

    def ids(self) -> Sequence[QueueId]:
        """Of all messages of this process that are not finished, sorted."""
        return sorted(self._segments.entries)

    def _entry(self, queue_id: QueueId) -> Entry:
        entry = self._segments.entries.get(queue_id)
        if entry is None:
            raise NotHere(f"spool: {queue_id} is not here")
        return entry

    def _read(self, queue_id: QueueId, read: Callable[[Entry], _Read]) -> _Read:
        """What `read` finds of a message, which may move to another segment meanwhile."""
        while True:
            entry = self._entry(queue_id)
            try:
                return read(entry)
            except OSError as error:
                if self._segments.entries.get(queue_id) is entry:
                    raise StorageError(f"spool: {queue_id}: {error}") from error

    def _meta(self, entry: Entry) -> _Read:
        octets = self._read_record(entry, HEADER_OCTETS + entry.meta_octets)
        return unpack_header(octets, entry.segment.mark), octets[HEADER_OCTETS:]

    def _body(self, entry: Entry) -> _Read:
        octets = self._read_record(entry, entry.record_octets)
        header = unpack_header(octets, entry.segment.mark)
        if not entry.large:
            return header, octets[HEADER_OCTETS + entry.meta_octets :]
        fd = self._disk.open_read(entry.segment.large_path(entry.id))
        try:
            return header, self._disk.read(fd, 0, entry.body_octets)
        finally:
            self._disk.close(fd)

    def _read_record(self, entry: Entry, length: int) -> bytes:
        fd = entry.segment.fd
        octets = self._disk.read(fd, entry.offset, length)
        if entry.segment.fd != fd:  # closed meanwhile, so its number may have been another file's
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        return octets

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

    async def begun(self, attempts: Sequence[Recipient]) -> frozenset[Recipient]:
        """As `begin_attempts`. Whatever was marked before is then written, too."""
        marks = [Mark(Kind.BEGUN, *recipient) for recipient in attempts]
        await self._written(marks)
        return _applied(marks)

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

    def end(self, recipients: Sequence[tuple[QueueId, int, str]]) -> None:
        """As `done`, and written at once: for what cannot be told apart when it is done twice."""
        self._gather([Mark(Kind.DONE, *recipient) for recipient in recipients])

    async def finish(self, recipients: Sequence[tuple[QueueId, int, str]]) -> None:
        """As `end`, but returns when that would outlive this process."""
        await self._written([Mark(Kind.DONE, *recipient) for recipient in recipients])

    def leave(self, *queue_ids: QueueId) -> None:
        """Leave the messages to the queue process."""
        self._writer.submit([Leave(queue_id) for queue_id in queue_ids], urgent=True)

    async def close(self) -> None:
        """Write what waits and give up all segments; what is open stays for the queue process."""
        self._hand_in()
        await asyncio.to_thread(self._writer.close)
        self._segments.close()

    def _mark(self, marks: Sequence[Mark]) -> None:
        self._writer.submit(marks, urgent=False)

    def _order(self, marks: Sequence[Mark]) -> frozenset[Recipient]:
        """Write marks, and return the recipients of those that could be."""
        self._perform(marks)
        return _applied(marks)

    async def _written(self, marks: Sequence[Mark]) -> None:
        loop = asyncio.get_running_loop()
        written: asyncio.Future[None] = loop.create_future()
        self._gather([*marks, Barrier((loop, written))])
        await written

    def _gather(self, jobs: Sequence[Job]) -> None:
        """Hand them in with all that this turn of the loop brings: one wake-up of the writer for all who have heard a reply."""
        if not self._gathered:
            asyncio.get_running_loop().call_soon(self._hand_in)
        self._gathered += jobs

    def _hand_in(self) -> None:
        jobs, self._gathered = self._gathered, []
        if jobs and not self._writer.submit(jobs, urgent=True):
            complete([job.waiter for job in jobs if isinstance(job, Barrier)], StorageError(CLOSED))

    def _perform(self, jobs: Sequence[Job]) -> None:
        done: Future[None] = Future()
        self._submit([*jobs, Barrier(done)])
        done.result()

    def _submit(self, jobs: Sequence[Job]) -> None:
        if not self._writer.submit(jobs, urgent=True):
            raise StorageError(CLOSED)

    # Recovery

    def adopt(self) -> Adoption:
        """Take over what has no owner any more, or some of it. Blocks; one thread at a time."""
        return self._adopter.adopt()

    def set_aside(self, queue_id: QueueId, reason: str) -> Report:
        """Copy a message that cannot be read to `corrupt/` and end the work on it (T-Q-13). Raises StorageError."""
        entry = self._entry(queue_id)
        try:
            try:
                _, octets = self._body(entry)
            except FileNotFoundError:
                octets = b""
            _, meta = self._meta(entry)
            kept = keep_corrupt(self._folder, self._disk, f"{queue_id}.json", [meta])
            keep_corrupt(self._folder, self._disk, f"{queue_id}{LARGE_SUFFIX}", [octets])
        except OSError as error:
            raise StorageError(f"spool: {queue_id}: {error}") from error
        self._mark([Mark(Kind.DONE, queue_id, index, reason) for index in entry.open_recipients()])
        return Report(entry.segment.path.name, f"{queue_id}: {reason}", kept)


def _applied(marks: Sequence[Mark]) -> frozenset[Recipient]:
    return frozenset((mark.id, mark.index) for mark in marks if mark.applied)


def _is_whole(header: Header | None, octets: bytes) -> bool:
    """Are these the octets of the message that a header is of?"""
    return header is not None and len(octets) == header.body_octets and zlib.crc32(octets) == header.body_crc
