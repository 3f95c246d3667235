"""The segments of one process: the one that is written to, what is open in each, and how each of them ends.

A segment is sealed when nothing more is committed to it, abandoned when writing failed. Sealed, it ends when nobody here will act
on what is in it: it is handed over by closing it, or deleted when nothing in it is open.
"""

import contextlib
import os
from pathlib import Path

import structlog

from mailward.disk import Disk
from mailward.model.ids import QueueId
from mailward.queue.record import MARK_OCTETS
from mailward.queue.recover import remove_files
from mailward.queue.segment import ATTEMPTS_TO_CREATE, SEGMENT_SUFFIX, Entry, Segment, stem_of

log = structlog.get_logger("mailward.queue")


class Segments:
    """Changed by the writer thread only; `entries`, of all segments, may be read from any thread. current: is written to."""

    def __init__(self, folder: Path, disk: Disk, owner: str) -> None:
        self.entries: dict[QueueId, Entry] = {}
        self.current: Segment | None = None
        self._folder = folder
        self._disk = disk
        self._owner = owner
        self._segments: set[Segment] = set()
        self._emptied: list[Segment] = []

    def names(self) -> frozenset[str]:
        """Of the files of all our segments."""
        return frozenset(segment.path.name for segment in (*tuple(self._segments), *tuple(self._emptied)))

    @property
    def sealed(self) -> list[Segment]:
        """Those that nothing is committed to."""
        return [segment for segment in self._segments if segment.sealed]

    def is_emptied(self, segment: Segment) -> bool:
        """It should be gone, and could not be deleted."""
        return segment in self._emptied

    def create(self) -> Segment:
        """A new current one. Raises OSError."""
        for _ in range(ATTEMPTS_TO_CREATE):
            mark = os.urandom(MARK_OCTETS)
            path = self._folder / (stem_of(self._owner, mark) + SEGMENT_SUFFIX)
            fd = self._disk.create_exclusive(path)
            try:
                if self._disk.lock(fd):
                    self._disk.sync_folder(self._folder)
                    self.current = Segment(path, mark, fd)
                    self._segments.add(self.current)
                    return self.current
            except OSError:
                with contextlib.suppress(OSError):
                    self._disk.unlink(path)
                self._disk.close(fd)
                raise
            self._disk.close(fd)
        raise BlockingIOError(f"the lock of a new segment in {self._folder} was taken {ATTEMPTS_TO_CREATE} times")

    def take(self, segment: Segment) -> None:
        """One of another process is ours now."""
        self._segments.add(segment)

    def add(self, entry: Entry) -> None:
        """A message is in its segment."""
        self.entries[entry.id] = entry.segment.entries[entry.id] = entry
        entry.segment.open_octets += entry.record_octets
        entry.segment.claims += entry.claims

    def forget(self, entry: Entry) -> None:
        """Its segment has this message no more."""
        if self.entries.get(entry.id) is entry:
            del self.entries[entry.id]
        del entry.segment.entries[entry.id]
        entry.segment.open_octets -= entry.record_octets
        entry.segment.claims -= entry.claims

    def finish(self, entry: Entry) -> None:
        """Forget a message for whom nothing is to be done any more."""
        self.forget(entry)
        if entry.large and not entry.segment.abandoned:
            with contextlib.suppress(OSError):  # whoever retires the segment drops it
                self._disk.unlink(entry.segment.large_path(entry.id))

    # The end of a segment

    def seal(self, segment: Segment) -> None:
        """Commit nothing more to it; all but the current one are sealed."""
        if segment is self.current:
            self.current = None
            segment.sealed = True
            self.retire_if_idle(segment)

    def abandon(self, segment: Segment, error: BaseException) -> None:
        """Writing failed: nobody may trust what was not synced before, and nothing is written to it again."""
        log.error("spool segment abandoned", segment=segment.path.name, error=str(error), open=len(segment.entries))
        segment.abandoned = segment.sealed = True
        if segment is self.current:
            self.current = None
        # Where this fails, too, a scan finds the torn tail, or whole mail nobody acknowledged.
        with contextlib.suppress(BaseException):
            self._disk.truncate(segment.fd, segment.size_octets)
        with contextlib.suppress(BaseException):
            self._disk.doubt(segment.fd)
        for entry in segment.entries.values():
            for index, recipient in enumerate(entry.states):
                if recipient.waiting:
                    entry.put(index, recipient.left())

    def retire_if_idle(self, segment: Segment) -> None:
        """Close a sealed segment nobody here will act on; delete it when nothing in it is open."""
        if not segment.sealed or segment.claims or segment.fd < 0:
            return
        if segment.entries:
            log.info("spool segment handed over", segment=segment.path.name, open=len(segment.entries))
            self._hand_over(segment)
        else:
            self._segments.discard(segment)
            self._emptied.append(segment)
            self.remove_emptied()

    def remove_emptied(self) -> None:
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

    def close(self) -> None:
        """Give up all segments; those with open messages stay for whoever adopts them."""
        if self.current is not None:
            self.seal(self.current)
        self.remove_emptied()
        for segment in [*self._segments, *self._emptied]:
            self._hand_over(segment)

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
