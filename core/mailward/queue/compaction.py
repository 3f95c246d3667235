"""Which segments are not worth keeping, and how a message gets out of one: copied as it is, with what its journal says.

A segment lives as long as one of its messages, and its journal grows with every attempt. So what is open in one that is mostly
finished, or in one of very many, moves to another. What moves is written and synced like mail that arrives.
"""

import zlib
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from pathlib import Path

import structlog

from mailward.disk import Disk
from mailward.queue.jobs import Commit, Compact, Mark
from mailward.queue.journal import encode
from mailward.queue.recipient import FINISHED
from mailward.queue.record import HEADER_OCTETS, Kind, unpack_header
from mailward.queue.recover import keep_corrupt
from mailward.queue.segment import Entry, Segment
from mailward.queue.segments import Segments

log = structlog.get_logger("mailward.queue")

MOST_SEGMENTS = 64
"""That stay open at once while others could be filled with their messages. (Full ones stay, however many.)"""
MOST_WASTE = 4
"""A segment this many times as large as what is open in it is mostly waste."""


def worth_moving(sealed: Iterable[Segment], segment_octets: int) -> list[Segment]:
    """The segments whose messages should move: worn ones, mostly wasted ones, then the smallest of too many."""
    segments = [segment for segment in sealed if segment.worn or not segment.abandoned]
    small_octets = segment_octets // 4
    picked = [s for s in segments if s.worn or s.size_octets > MOST_WASTE * s.open_octets + small_octets]
    others = set(segments).difference(picked)
    small = sorted((s for s in others if s.open_octets < small_octets), key=lambda s: s.open_octets)
    return picked + small[: max(0, len(segments) - len(picked) - MOST_SEGMENTS)]


def move(entry: Entry, octets: bytes) -> Commit | None:
    """The job that copies a message; None when it is damaged. octets: of its record. Raises NewerVersion."""
    segment = entry.segment
    header = unpack_header(octets, segment.mark)
    if header is None or len(octets) != entry.record_octets:
        return None
    body_at = HEADER_OCTETS + entry.meta_octets
    meta, body = octets[HEADER_OCTETS:body_at], octets[body_at:]
    if zlib.crc32(meta) != header.meta_crc or not (entry.large or zlib.crc32(body) == header.body_crc):
        return None
    return Commit(
        entry.id,
        meta,
        [] if entry.large else [body],
        header.body_octets,
        header.body_crc,
        entry.states,
        Future(),
        large=segment.large_path(entry.id) if entry.large else None,
    )


class Compactor:
    """Moves the mail of segments that are not worth keeping. commit: writes and syncs copies, and makes entries of them."""

    def __init__(
        self, folder: Path, disk: Disk, segments: Segments, segment_octets: int, commit: Callable[[Sequence[Commit]], None]
    ) -> None:
        self._folder = folder
        self._disk = disk
        self._segments = segments
        self._segment_octets = segment_octets
        self._commit = commit

    def compact(self, job: Compact) -> None:
        """Copies are safe in our segment before the old one goes, and where it does not go its journal says that they moved.

        A message that is damaged stays where it is, or is put away where that place cannot be kept.
        """
        self._segments.remove_emptied()
        worn = worth_moving(self._segments.sealed, self._segment_octets)
        moving: list[Commit] = []
        size_octets = 0
        for segment in worn:
            copies, is_all = self._copies(segment, job.octets - size_octets)
            job.is_more |= not is_all
            moving += copies
            size_octets += sum(self._segments.entries[copied.id].record_octets for copied in copies)
        old = [self._segments.entries[copied.id] for copied in moving]
        if moving:
            self._commit(moving)
        moved: dict[Segment, list[Entry]] = {}
        for entry in old:
            if self._segments.entries[entry.id] is entry:
                job.failed = True
                return
            self._segments.forget(entry)
            moved.setdefault(entry.segment, []).append(entry)
        for segment, gone in moved.items():
            if segment.entries:
                self._note_moved(segment, gone)
        for segment in worn:
            self._segments.retire_if_idle(segment)
        for segment, gone in moved.items():
            if self._segments.is_emptied(segment):
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
            self._segments.finish(entry)
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
            self._segments.abandon(segment, error)
