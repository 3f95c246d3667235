"""Does the jobs of the writer thread on this process's segments: appends, syncs, seals, retires.

It decides what a failed write means. The segment is abandoned: cut back to what was synced, never synced again
(T-Q-04), and everybody whose message was in the batch is told so. The next batch begins a new segment.
"""

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path

import structlog

from mailward.disk import Disk, Octets
from mailward.model.errors import StorageError
from mailward.model.ids import QueueId
from mailward.queue.compaction import move, worth_moving
from mailward.queue.incoming import drop_part
from mailward.queue.jobs import Barrier, Commit, Compact, Job, Leave, Mark, Take
from mailward.queue.journal import encode, marked, state_marks
from mailward.queue.recipient import FINISHED, OpenRecipient, State
from mailward.queue.record import MARK_OCTETS, Kind, pack_header
from mailward.queue.recover import keep_corrupt, remove_files
from mailward.queue.segment import ATTEMPTS_TO_CREATE, SEGMENT_SUFFIX, Entry, Segment, stem_of
from mailward.queue.writer import complete

log = structlog.get_logger("mailward.queue")

_Marked = tuple[Entry, Mark, OpenRecipient]
"""A mark that may be written, and what it makes of its recipient."""


class SegmentLog:
    """The segments of one process. `perform` and `close` run in one thread; `entries` may be read from any."""

    def __init__(self, folder: Path, disk: Disk, owner: str, segment_octets: int) -> None:
        self._folder = folder
        self._disk = disk
        self._owner = owner
        self._segment_octets = segment_octets
        self._current: Segment | None = None
        self._segments: set[Segment] = set()
        self._emptied: list[Segment] = []
        self._unwritten: set[tuple[QueueId, int]] = set()  # ends that no journal has, for when their message is found again
        self.entries: dict[QueueId, Entry] = {}

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
                    self._compact(job)
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
        self._remove_emptied()
        for segment in [*self._segments, *self._emptied]:
            self._hand_over(segment)

    def names(self) -> frozenset[str]:
        """Of the files of all our segments."""
        return frozenset(segment.path.name for segment in (*tuple(self._segments), *tuple(self._emptied)))

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
            self._add(segment, entry)

    def _add(self, segment: Segment, entry: Entry) -> None:
        self.entries[entry.id] = segment.entries[entry.id] = entry
        segment.open_octets += entry.record_octets
        segment.claims += entry.claims

    def _create(self) -> Segment:
        for _ in range(ATTEMPTS_TO_CREATE):
            mark = os.urandom(MARK_OCTETS)
            path = self._folder / (stem_of(self._owner, mark) + SEGMENT_SUFFIX)
            fd = self._disk.create_exclusive(path)
            try:
                if self._disk.lock(fd):
                    self._disk.sync_folder(self._folder)
                    self._current = Segment(path, mark, fd)
                    self._segments.add(self._current)
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
        by_segment: dict[Segment, list[_Marked]] = {}
        becoming: dict[tuple[QueueId, int], OpenRecipient] = {}
        for mark in marks:
            entry = self.entries.get(mark.id)
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
            self._retire_if_idle(segment)

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
            self._abandon(segment, error)

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
                self._finish(entry)
        elif recipient.state is State.LEFT and entry.segment is self._current:
            self._seal()

    def _finish(self, entry: Entry) -> None:
        """Forget a message for whom nothing is to be done any more."""
        del self.entries[entry.id]
        _forget(entry)
        if entry.large and not entry.segment.abandoned:
            with contextlib.suppress(OSError):  # whoever retires the segment drops it
                self._disk.unlink(entry.segment.large_path(entry.id))

    def _leave(self, queue_id: QueueId) -> None:
        entry = self.entries.get(queue_id)
        if entry is None:
            return
        for index, recipient in enumerate(entry.states):
            entry.put(index, recipient.left())
        if entry.segment is self._current:
            self._seal()
        self._retire_if_idle(entry.segment)

    # Segments of others, and the rest of our own

    def _take(self, job: Take) -> None:
        segment = job.segment
        self._segments.add(segment)
        ended: list[Mark] = []
        for entry in job.entries:
            if entry.id in self.entries:  # a crash came between the two steps of a move
                ended += [Mark(Kind.DONE, entry.id, index) for index, one in enumerate(entry.states) if not one.is_open]
            else:
                self._add(segment, entry)
                job.taken.append(entry.id)
                ended += [Mark(Kind.DONE, *end) for end in self._unwritten if end[0] == entry.id]
        self._journal(ended)  # when all are here: a segment without open messages is deleted
        self._retire_if_idle(segment)

    def _compact(self, job: Compact) -> None:
        """Copies are safe in our segment before the old one goes, and where it does not go its journal says that they moved.

        A message that is damaged stays where it is, or is put away where that place cannot be kept.
        """
        self._remove_emptied()
        worn = worth_moving([segment for segment in self._segments if segment.sealed], self._segment_octets)
        moving: list[Commit] = []
        size_octets = 0
        for segment in worn:
            copies, is_all = self._copies(segment, job.octets - size_octets)
            job.is_more |= not is_all
            moving += copies
            size_octets += sum(self.entries[copied.id].record_octets for copied in copies)
        old = [self.entries[copied.id] for copied in moving]
        if moving:
            self._commit(moving)
        moved: dict[Segment, list[Entry]] = {}
        for entry in old:
            if self.entries[entry.id] is entry:
                job.failed = True
                return
            _forget(entry)
            moved.setdefault(entry.segment, []).append(entry)
        for segment, gone in moved.items():
            if segment.entries:
                self._note_moved(segment, gone)
        for segment in worn:
            self._retire_if_idle(segment)
        for segment, gone in moved.items():
            if segment in self._emptied:
                self._note_moved(segment, gone)

    def _copies(self, segment: Segment, most_octets: int) -> tuple[list[Commit], bool]:
        """The jobs that move its messages, and whether that is all of them for now.

        An abandoned journal cannot say what has moved, so out of such a segment all goes at once, what is damaged to `corrupt/`.
        """
        copies: list[Commit] = []
        damaged: list[tuple[Entry, bytes]] = []
        size_octets = 0
        for entry in segment.entries.values():
            if size_octets >= most_octets and not segment.abandoned:
                return copies, False
            try:
                octets = self._disk.read(segment.fd, entry.offset, entry.record_octets)
            except OSError as error:
                log.error("a message cannot be read, it moves later", segment=segment.path.name, id=entry.id, error=str(error))
                if segment.abandoned:
                    return [], True
                continue
            copied = move(entry, octets)
            if copied is None:
                damaged.append((entry, octets))
            else:
                copies.append(copied)
                size_octets += entry.record_octets
        return (copies, True) if not segment.abandoned or self._put_away(segment, damaged) else ([], True)

    def _put_away(self, segment: Segment, damaged: Sequence[tuple[Entry, bytes]]) -> bool:
        """Keep what cannot be read for an admin and forget it. False when it could not be kept."""
        for entry, octets in damaged:
            try:
                kept = keep_corrupt(self._folder, self._disk, f"{segment.path.stem}-{entry.offset}.bin", [octets])
            except OSError as error:
                log.error("a damaged message keeps a spool segment", segment=segment.path.name, id=entry.id, error=str(error))
                return False
            log.error("a damaged message was put away", segment=segment.path.name, id=entry.id, kept=kept)
        for entry, _ in damaged:
            self._finish(entry)
        return True

    def _note_moved(self, segment: Segment, entries: Sequence[Entry]) -> None:
        """What has moved is not found in its old place again, where it would be relayed a second time."""
        if segment.abandoned:
            return
        marks = [Mark(Kind.DONE, entry.id, index, "moved") for entry in entries for index in entry.open_recipients()]
        records = [record for mark in marks for record in encode(segment.mark, mark, FINISHED)]
        try:
            self._disk.write(segment.fd, records)
            self._disk.sync(segment.fd)
            segment.size_octets += sum(map(len, records))
        except OSError as error:
            self._abandon(segment, error)

    def _remove_emptied(self) -> None:
        """Delete segments whose mail is elsewhere now. Until that succeeds they stay locked, or it would be found again."""
        left = []
        for segment in self._emptied:
            try:
                remove_files(segment, self._disk)
            except OSError as error:
                log.warning("spool segment not removed, trying again", segment=segment.path.name, error=str(error))
                left.append(segment)
            else:
                self._close(segment)
        self._emptied = left

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
        with contextlib.suppress(BaseException):
            self._disk.doubt(segment.fd)
        for entry in segment.entries.values():
            for index, recipient in enumerate(entry.states):
                if recipient.waiting:
                    entry.put(index, recipient.left())

    def _retire_if_idle(self, segment: Segment) -> None:
        """Close a sealed segment nobody here will act on; delete it when nothing in it is open."""
        if not segment.sealed or segment.claims or segment.fd < 0:
            return
        if segment.entries:
            log.info("spool segment handed over", segment=segment.path.name, open=len(segment.entries))
            self._hand_over(segment)
        else:
            self._segments.discard(segment)
            self._emptied.append(segment)
            self._remove_emptied()

    def _hand_over(self, segment: Segment) -> None:
        for queue_id in segment.entries:
            del self.entries[queue_id]
        segment.entries.clear()
        self._segments.discard(segment)
        self._close(segment)

    def _close(self, segment: Segment) -> None:
        fd, segment.fd = segment.fd, -1  # in this order: whoever reads meanwhile sees afterwards that the number was not ours
        if fd >= 0:
            self._disk.close(fd)


def _forget(entry: Entry) -> None:
    """Its segment has this message no more."""
    del entry.segment.entries[entry.id]
    entry.segment.open_octets -= entry.record_octets
    entry.segment.claims -= entry.claims
