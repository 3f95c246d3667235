"""Does the jobs of the writer thread on this process's segments: appends, syncs, seals, retires.

It decides what a failed write means. The segment is abandoned: cut back to what was synced, never synced again
(T-Q-04), and everybody whose message was in the batch is told so. The next batch begins a new segment.
"""

import contextlib
import json
import os
import threading
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import structlog

from mailward.disk import Disk, Octets
from mailward.model.errors import StorageError
from mailward.model.ids import QueueId
from mailward.queue.incoming import drop_part
from mailward.queue.jobs import Barrier, Commit, Job, Leave, Mark
from mailward.queue.record import HEADER_OCTETS, MARK_OCTETS, Kind, pack_header
from mailward.queue.recover import remove_files
from mailward.queue.segment import ATTEMPTS_TO_CREATE, SEGMENT_SUFFIX, Entry, OpenRecipient, Segment, stem_of
from mailward.queue.writer import complete

log = structlog.get_logger("mailward.queue")


class SegmentLog:
    """The segments of one process. `perform` and `close` run in one thread; `entries` may be read from any.

    closing: hold it while reading from a segment's descriptor.
    """

    def __init__(self, folder: Path, disk: Disk, owner: str, segment_octets: int) -> None:
        self._folder = folder
        self._disk = disk
        self._owner = owner
        self._segment_octets = segment_octets
        self._current: Segment | None = None
        self.entries: dict[QueueId, Entry] = {}
        self.closing = threading.Lock()

    def perform(self, jobs: Sequence[Job]) -> None:
        """Do them all, and tell every waiter how it ended. Never raises."""
        commits = [job for job in jobs if isinstance(job, Commit)]
        marks = [job for job in jobs if isinstance(job, Mark)]
        try:
            if commits:
                self._commit(commits)
            self._journal(marks)
            for job in jobs:
                if isinstance(job, Leave):
                    self._leave(job.id)
            complete([job.waiter for job in jobs if isinstance(job, Barrier)], None)
        except BaseException as error:  # noqa: BLE001  # a waiter left without an answer would wait for ever
            log.critical("spool writer failed", error=repr(error))
            failure = StorageError(f"spool: {error!r}")
            if self._current is not None:
                self._abandon(self._current, error)
            complete([job.waiter for job in jobs if isinstance(job, Commit | Barrier)], failure)

    def close(self) -> None:
        """Give up all segments; those with open messages stay for whoever adopts them."""
        self._seal()
        for segment in {entry.segment for entry in self.entries.values()}:
            self._hand_over(segment)

    # Committing

    def _commit(self, commits: Sequence[Commit]) -> None:
        try:
            segment = self._current or self._create()
        except OSError as error:
            self._refuse(commits, error)
            return
        try:
            self._append_messages(segment, commits)
        except OSError as error:
            self._abandon(segment, error)
            self._refuse(commits, error, segment)
            self._retire_if_idle(segment)
            return
        for job in commits:
            self._drop_part(job)
        complete([job.waiter for job in commits], None)
        if segment.size_octets >= self._segment_octets:
            self._seal()

    def _append_messages(self, segment: Segment, commits: Sequence[Commit]) -> None:
        large = [job for job in commits if job.large is not None]
        for job in large:
            assert job.large is not None
            self._disk.link(job.large, segment.large_path(job.id))
        if large:
            self._disk.sync_folder(self._folder)
        buffers: list[Octets] = []
        entries = []
        offset = segment.size_octets
        for job in commits:
            kind = Kind.MESSAGE if job.large is None else Kind.LARGE
            header = pack_header(segment.mark, kind, job.meta, job.body_octets, job.body_crc)
            state = [record for mark in _state_marks(job) for record in _encode(segment.mark, mark, job.open.get(mark.index))]
            buffers += [header, job.meta, *job.body, *state]
            entries.append(
                Entry(
                    job.id,
                    segment,
                    offset + HEADER_OCTETS,
                    len(job.meta),
                    zlib.crc32(job.meta),
                    job.body_octets,
                    job.body_crc,
                    job.large is not None,
                    job.adopted,
                    job.open,
                )
            )
            offset += len(header) + len(job.meta) + sum(map(len, job.body)) + sum(map(len, state))
        self._disk.write(segment.fd, buffers)
        self._disk.sync(segment.fd)
        segment.size_octets = offset
        for entry in entries:
            self.entries[entry.id] = segment.entries[entry.id] = entry
            segment.claims += len(entry.open)

    def _create(self) -> Segment:
        for _ in range(ATTEMPTS_TO_CREATE):
            mark = os.urandom(MARK_OCTETS)
            path = self._folder / (stem_of(self._owner, mark) + SEGMENT_SUFFIX)
            fd = self._disk.create_exclusive(path)
            try:
                if self._disk.lock(fd):
                    self._disk.sync_folder(self._folder)
                    self._current = Segment(path, mark, fd)
                    return self._current
            except OSError:
                with contextlib.suppress(OSError):
                    self._disk.unlink(path)
                self._disk.close(fd)
                raise
            self._disk.close(fd)
        raise BlockingIOError(f"the lock of a new segment in {self._folder} was taken {ATTEMPTS_TO_CREATE} times")

    def _refuse(self, commits: Sequence[Commit], error: OSError, segment: Segment | None = None) -> None:
        for job in commits:
            if segment is not None and job.large is not None:
                with contextlib.suppress(OSError):  # whoever retires the segment drops it
                    self._disk.unlink(segment.large_path(job.id))
            self._drop_part(job)
        complete([job.waiter for job in commits], StorageError(f"spool: {error}"))

    def _drop_part(self, job: Commit) -> None:
        if job.part_fd >= 0:
            assert job.large is not None
            drop_part(self._disk, job.large, job.part_fd)

    # The journal

    def _journal(self, marks: Sequence[Mark]) -> None:
        by_segment: dict[Segment, list[tuple[Entry, Mark]]] = {}
        finished = set()
        for mark in marks:
            entry = self.entries.get(mark.id)
            if entry is None or mark.index not in entry.open or (mark.id, mark.index) in finished:
                continue
            if not _may_be(mark, entry, entry.open[mark.index]):
                continue
            _note(entry, mark)
            if mark.kind == Kind.DONE:
                finished.add((mark.id, mark.index))
            by_segment.setdefault(entry.segment, []).append((entry, mark))
        for segment, found in by_segment.items():
            self._append_marks(segment, found)
            for entry, mark in found:
                self._apply(entry, mark)
            self._retire_if_idle(segment)

    def _append_marks(self, segment: Segment, found: Sequence[tuple[Entry, Mark]]) -> None:
        if segment.abandoned:
            return
        records = [record for entry, mark in found for record in _encode(segment.mark, mark, entry.open[mark.index])]
        try:
            self._disk.write(segment.fd, records)
            if any(mark.synced or (entry.large and mark.kind == Kind.DONE) for entry, mark in found):
                self._disk.sync(segment.fd)  # the file of a large message goes next; a journal without this mark would miss it
            segment.size_octets += sum(map(len, records))
        except OSError as error:
            self._abandon(segment, error)

    def _apply(self, entry: Entry, mark: Mark) -> None:
        """What follows from a mark that is written."""
        recipient = entry.open[mark.index]
        mark.applied = not entry.segment.abandoned
        if mark.synced and not mark.applied:
            return
        if mark.kind == Kind.DONE:
            self._drop_claim(entry.segment, recipient)
            del entry.open[mark.index]
            if not entry.open:
                self._finish(entry)
        elif mark.kind == Kind.FAILED:
            if entry.adopted and not entry.segment.abandoned:
                return
            self._drop_claim(entry.segment, recipient)
            if entry.segment is self._current:
                self._seal()

    def _finish(self, entry: Entry) -> None:
        """Forget a message for whom nothing is to be done any more."""
        self.entries.pop(entry.id, None)
        entry.segment.entries.pop(entry.id, None)
        if entry.large and not entry.segment.abandoned:
            with contextlib.suppress(OSError):  # whoever retires the segment drops it
                self._disk.unlink(entry.segment.large_path(entry.id))

    def _leave(self, queue_id: QueueId) -> None:
        entry = self.entries.get(queue_id)
        if entry is None:
            return
        for recipient in entry.open.values():
            self._drop_claim(entry.segment, recipient)
        if entry.segment is self._current:
            self._seal()
        self._retire_if_idle(entry.segment)

    def _drop_claim(self, segment: Segment, recipient: OpenRecipient) -> None:
        if recipient.claimed:
            recipient.claimed = recipient.waiting = False
            segment.claims -= 1

    # The end of a segment

    def _seal(self) -> None:
        segment, self._current = self._current, None
        if segment is not None:
            segment.sealed = True
            self._retire_if_idle(segment)

    def _abandon(self, segment: Segment, error: BaseException) -> None:
        """Writing failed: nobody may trust what was not synced before, and nothing is written to it again."""
        log.error("spool segment abandoned", segment=segment.path.name, error=str(error), open=len(segment.entries))
        segment.abandoned = segment.sealed = True
        if segment is self._current:
            self._current = None
        # Where this fails, too, a scan finds the torn tail, or whole mail nobody acknowledged.
        with contextlib.suppress(BaseException):
            self._disk.truncate(segment.fd, segment.size_octets)
        for entry in segment.entries.values():
            for recipient in entry.open.values():
                if recipient.waiting:
                    self._drop_claim(segment, recipient)

    def _retire_if_idle(self, segment: Segment) -> None:
        """Close a sealed segment nobody here will act on; delete it when nothing in it is open."""
        if not segment.sealed or segment.claims or segment.fd < 0:
            return
        if segment.entries:
            log.info("spool segment handed over", segment=segment.path.name, open=len(segment.entries))
        else:
            with contextlib.suppress(OSError):  # a scan finds nothing open in it and deletes it
                remove_files(segment.path, self._disk)
        self._hand_over(segment)

    def _hand_over(self, segment: Segment) -> None:
        for queue_id in segment.entries:
            del self.entries[queue_id]
        segment.entries.clear()
        with self.closing:
            if segment.fd >= 0:
                self._disk.close(segment.fd)
                segment.fd = -1


def _state_marks(job: Commit) -> Iterable[Mark]:
    """The journal an adopted message brings along."""
    for index in job.finished:
        yield Mark(Kind.DONE, job.id, index)
    for index, state in job.open.items():
        if state.failures:
            yield Mark(Kind.FAILED, job.id, index, state.text, state.next_at)
        elif state.begun:
            yield Mark(Kind.BEGUN, job.id, index)
        if state.held:
            yield Mark(Kind.HELD, job.id, index)


def _may_be(mark: Mark, entry: Entry, recipient: OpenRecipient) -> bool:
    """Does the state allow what the mark says? Decided here, where all marks meet in one order, so that nobody can race."""
    if mark.kind == Kind.BEGUN:
        return not recipient.hold_reason and (recipient.waiting or not entry.adopted)
    if mark.kind == Kind.DUE and recipient.hold_reason:
        return False
    return recipient.waiting or not mark.if_idle


def _note(entry: Entry, mark: Mark) -> None:
    """Bring the state to what the mark says, before it is written."""
    recipient = entry.open[mark.index]
    match mark.kind:
        case Kind.BEGUN:
            recipient.begun += 1
            recipient.waiting = False
        case Kind.FAILED:
            recipient.begun = 0
            recipient.failures += 1
            recipient.next_at = mark.next_at
            recipient.text = mark.text
            recipient.waiting = entry.adopted
        case Kind.HELD:
            recipient.held = mark.text
        case Kind.RELEASED:
            recipient.held = recipient.next_at = ""
            if recipient.waiting:  # an attempt under way must still be counted
                recipient.begun = 0
        case Kind.DUE:
            recipient.next_at = ""


def _encode(mark_octets: bytes, mark: Mark, state: OpenRecipient | None) -> tuple[bytes, bytes]:
    raw: dict[str, str | int] = {"id": mark.id, "index": mark.index}
    if mark.kind == Kind.DONE:
        raw["text"] = mark.text
    elif state is not None:
        raw["begun"] = state.begun
        if mark.kind == Kind.FAILED:
            raw.update(failures=state.failures, next_at=state.next_at, text=state.text)
        elif mark.kind != Kind.BEGUN:
            raw.update(next_at=state.next_at, held=state.held)
    meta = json.dumps(raw, separators=(",", ":")).encode("ascii")
    return pack_header(mark_octets, mark.kind, meta), meta
