"""Does the jobs of the writer thread: appends messages and marks to the segments of this process, and syncs.

It decides what a failed write means. The segment is abandoned: cut back to what was synced, never synced again
(T-Q-04), and everybody whose message was in the batch is told so. The next batch begins a new segment.
"""

import contextlib
from collections.abc import Sequence
from pathlib import Path

import structlog

from mailward.disk import Disk, Octets
from mailward.model.errors import StorageError
from mailward.model.ids import QueueId
from mailward.queue.compaction import Compactor
from mailward.queue.incoming import drop_part
from mailward.queue.jobs import Barrier, Commit, Compact, Job, Leave, Mark, Take
from mailward.queue.journal import encode, marked, state_marks
from mailward.queue.recipient import OpenRecipient, State
from mailward.queue.record import Kind, pack_header
from mailward.queue.segment import Entry, Segment
from mailward.queue.segments import Segments
from mailward.queue.writer import complete

log = structlog.get_logger("mailward.queue")

_Marked = tuple[Entry, Mark, OpenRecipient]
"""A mark that may be written, and what it makes of its recipient."""


class SegmentLog:
    """Used by one thread."""

    def __init__(self, folder: Path, disk: Disk, segments: Segments, segment_octets: int) -> None:
        self._folder = folder
        self._disk = disk
        self._segments = segments
        self._segment_octets = segment_octets
        self._compactor = Compactor(folder, disk, segments, segment_octets, self._commit)
        self._unwritten: set[tuple[QueueId, int]] = set()  # ends that no journal has, for when their message is found again

    def perform(self, jobs: Sequence[Job]) -> None:
        """Do them all, and tell every waiter how it ended. Never raises."""
        commits = [job for job in jobs if isinstance(job, Commit)]
        marks = [job for job in jobs if isinstance(job, Mark)]
        try:
            if commits:
                self._commit(commits)
            for job in jobs:
                if isinstance(job, Take):
                    self._take(job)
            self._journal(marks)
            for job in jobs:
                if isinstance(job, Leave):
                    self._leave(job.id)
                elif isinstance(job, Compact):
                    self._compactor.compact(job)
            complete([job.waiter for job in jobs if isinstance(job, Barrier)], None)
        except BaseException as error:  # noqa: BLE001  # a waiter left without an answer would wait for ever
            log.critical("spool writer failed", error=repr(error))
            failure = StorageError(f"spool: {error!r}")
            if self._segments.current is not None:
                self._segments.abandon(self._segments.current, error)
            self._journal_each([mark for mark in marks if not mark.applied])
            complete([job.waiter for job in jobs if isinstance(job, Commit | Barrier)], failure)

    # Committing

    def _commit(self, commits: Sequence[Commit]) -> None:
        try:
            segment = self._segments.current or self._segments.create()
        except OSError as error:
            self._refuse(commits, error)
            return
        try:
            self._append_messages(segment, commits)
        except OSError as error:
            self._segments.abandon(segment, error)
            self._refuse(commits, error, segment)
            self._segments.retire_if_idle(segment)
            return
        for job in commits:
            self._drop_part(job)
        complete([job.waiter for job in commits], None)
        if segment.size_octets >= self._segment_octets:
            self._segments.seal(segment)

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
            state = [record for mark in state_marks(job) for record in encode(segment.mark, mark, job.states[mark.index])]
            buffers += [header, job.meta, *job.body, *state]
            open_count = sum(recipient.is_open for recipient in job.states)
            is_large = job.large is not None
            entries.append(Entry(job.id, segment, offset, len(job.meta), job.body_octets, is_large, job.states, open_count))
            offset += len(header) + len(job.meta) + sum(map(len, job.body)) + sum(map(len, state))
        self._disk.write(segment.fd, buffers)
        self._disk.sync(segment.fd)
        segment.size_octets = offset
        for entry in entries:
            self._segments.add(entry)

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
        by_segment: dict[Segment, list[_Marked]] = {}
        becoming: dict[tuple[QueueId, int], OpenRecipient] = {}
        for mark in marks:
            entry = self._segments.entries.get(mark.id)
            if entry is None or mark.index >= len(entry.states):
                continue
            recipient = marked(becoming.get((mark.id, mark.index), entry.states[mark.index]), mark)
            if recipient is not None:
                becoming[mark.id, mark.index] = recipient
                by_segment.setdefault(entry.segment, []).append((entry, mark, recipient))
        for segment, found in by_segment.items():
            self._append_marks(segment, found)
            for entry, mark, recipient in found:
                self._apply(entry, mark, recipient)
            self._segments.retire_if_idle(segment)

    def _journal_each(self, marks: Sequence[Mark]) -> None:
        """One of them may be why writing failed: without its mark an attempt of another would not end in this process."""
        for mark in marks:
            try:
                self._journal([mark])
            except BaseException as error:  # noqa: BLE001  # as in `perform`
                log.critical("mark not written", id=mark.id, error=repr(error))

    def _append_marks(self, segment: Segment, found: Sequence[_Marked]) -> None:
        if segment.abandoned:
            return
        records = [record for _, mark, recipient in found for record in encode(segment.mark, mark, recipient)]
        try:
            self._disk.write(segment.fd, records)
            if any(mark.synced or (entry.large and mark.kind == Kind.DONE) for entry, mark, _ in found):
                self._disk.sync(segment.fd)  # the file of a large message goes next; a journal without this mark would miss it
            segment.size_octets += sum(map(len, records))
        except OSError as error:
            self._segments.abandon(segment, error)

    def _apply(self, entry: Entry, mark: Mark, recipient: OpenRecipient) -> None:
        """What follows from a mark that is written. That an attempt has ended is so, written or not."""
        mark.applied = not entry.segment.abandoned
        if mark.applied:
            self._unwritten.discard((entry.id, mark.index))
        elif mark.synced or mark.kind not in (Kind.DONE, Kind.FAILED):
            return
        entry.put(mark.index, recipient if mark.applied else recipient.left())
        if mark.kind == Kind.DONE:
            if not mark.applied:
                self._unwritten.add((entry.id, mark.index))
            if not entry.open_count:
                self._segments.finish(entry)
        elif recipient.state is State.LEFT:
            self._segments.seal(entry.segment)

    def _leave(self, queue_id: QueueId) -> None:
        entry = self._segments.entries.get(queue_id)
        if entry is None:
            return
        for index, recipient in enumerate(entry.states):
            entry.put(index, recipient.left())
        self._segments.seal(entry.segment)
        self._segments.retire_if_idle(entry.segment)

    # Segments of others

    def _take(self, job: Take) -> None:
        segment = job.segment
        self._segments.take(segment)
        ended: list[Mark] = []
        for entry in job.entries:
            if entry.id in self._segments.entries:  # a crash came between the two steps of a move
                ended += [Mark(Kind.DONE, entry.id, index) for index, one in enumerate(entry.states) if not one.is_open]
            else:
                self._segments.add(entry)
                job.taken.append(entry.id)
                ended += [Mark(Kind.DONE, *end) for end in self._unwritten if end[0] == entry.id]
        self._journal(ended)  # when all are here: a segment without open messages is deleted
        self._segments.retire_if_idle(segment)
