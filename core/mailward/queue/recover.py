"""What a dead process left behind: which segments are free, what is still to be done in them, what is damaged.

A segment whose lock is free has no owner any more. It is read here and taken over by the spool where it lies; whoever did that
only appends to its journal. Damaged parts are first copied to `corrupt/`, and a segment of a newer release, or one that cannot be
read, is left as it is: nothing that was acknowledged is deleted.
"""

import contextlib
import functools
import json
import sys
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mailward.disk import Disk, Octets
from mailward.model.ids import QueueId
from mailward.queue.item import id_and_routes
from mailward.queue.journal import replay
from mailward.queue.recipient import OpenRecipient, State
from mailward.queue.record import HEADER_OCTETS, DamagedRange, Kind, NewerVersion, Record, scan
from mailward.queue.segment import LARGE_SUFFIX, PART_SUFFIX, SEGMENT_SUFFIX, Entry, Segment, mark_of

CORRUPT_FOLDER = "corrupt"


@dataclass(frozen=True, slots=True)
class Report:
    """Something an admin should know. name: the file concerned; kept: where its damaged part is now, "" if left in place."""

    name: str
    text: str
    kept: str = ""


@dataclass(frozen=True, slots=True)
class Contents:
    """What a segment holds: open messages in the order they were committed, what cannot be read, and where the records end."""

    entries: tuple[Entry, ...]
    damaged: tuple[DamagedRange, ...]
    unreadable: tuple[Record, ...]
    end: int


@dataclass(frozen=True, slots=True)
class FreeSegment:
    """A segment without an owner, locked by us. entries: None when it must be left as it is; fd -1 when it cannot be opened."""

    segment: Segment
    reports: tuple[Report, ...]
    entries: tuple[Entry, ...] | None


def read_segment(octets: bytes, segment: Segment) -> Contents:
    """The state of every message after all journal records. Raises NewerVersion."""
    entries: dict[QueueId, Entry] = {}
    damaged: list[DamagedRange] = []
    unreadable: list[Record] = []
    end = 0
    for found in scan(octets, segment.mark):
        end = found.end
        if isinstance(found, DamagedRange):
            damaged.append(found)
            continue
        try:
            text = found.meta.decode("ascii")
            if found.kind in _MESSAGES:
                entry = _entry(found, text, segment)
                entries[entry.id] = entry
            else:
                raw, _ = _decode(text)
                if (known := entries.get(raw["id"])) is not None:
                    replay(known, found.kind, raw)
        except (ValueError, KeyError, TypeError):
            unreadable.append(found)
    for entry in entries.values():
        for index, recipient in enumerate(entry.states):
            # A release forgets what was begun, and what its record is read onto may still be under way.
            if recipient.state is not _WAITING or recipient.begun or recipient.held:
                entry.states[index] = recipient.taken_over()
    return Contents(tuple(entry for entry in entries.values() if entry.open_count), tuple(damaged), tuple(unreadable), end)


_MESSAGES = (Kind.MESSAGE, Kind.LARGE)
_WAITING = State.WAITING
_decode = json.JSONDecoder().raw_decode  # half the time of `loads`


def _entry(record: Record, text: str, segment: Segment) -> Entry:
    queue_id, routes = id_and_routes(text)
    states = [_untried(route) for route in routes]
    return Entry(
        queue_id,
        segment,
        record.offset,
        len(record.meta),
        record.body_octets,
        record.kind == Kind.LARGE,
        states,
        len(states),
    )


@functools.cache
def _untried(route: str) -> OpenRecipient:
    """One value for all recipients of whom the journal says nothing."""
    return OpenRecipient(sys.intern(route), State.WAITING)


def free_segments(folder: Path, disk: Disk, skip: Container[str]) -> Iterator[FreeSegment]:
    """Every segment without an owner, one at a time, but for the names in `skip`. The caller keeps each or closes it."""
    for name in disk.listdir(folder):
        if name.endswith(SEGMENT_SUFFIX) and name not in skip:
            segment = _take(folder / name, disk)
            if segment is not None:
                yield segment


def drop_leftovers(folder: Path, disk: Disk) -> None:
    """Delete what is left of messages that were never acknowledged, or are finished."""
    names = set(disk.listdir(folder))
    for name in sorted(names):
        if name.endswith(PART_SUFFIX):
            _drop_part(folder / name, disk)
        elif name.endswith(LARGE_SUFFIX):
            _drop_stray(folder / name, disk, names)


def remove_files(segment: Segment, disk: Disk) -> None:
    """Delete it, then its large messages: never a message while a journal that names it can come back."""
    with contextlib.suppress(FileNotFoundError):  # gone at an earlier try that failed later
        disk.unlink(segment.path)
    disk.sync_folder(segment.path.parent)
    for name in disk.listdir(segment.path.parent):
        if name.startswith(segment.path.stem + ".") and name.endswith(LARGE_SUFFIX):
            with contextlib.suppress(FileNotFoundError):
                disk.unlink(segment.path.parent / name)


def keep_corrupt(folder: Path, disk: Disk, name: str, parts: Sequence[Octets]) -> str:
    """Store damaged octets under `corrupt/` durably; an existing file of that name holds the same and is left.

    Returns the path within the folder.
    """
    corrupt = folder / CORRUPT_FOLDER
    disk.mkdir(corrupt)
    path = corrupt / name
    if not disk.exists(path):
        disk.write_whole(path, parts)
    return f"{CORRUPT_FOLDER}/{name}"


def _take(path: Path, disk: Disk) -> FreeSegment | None:
    """The segment with its contents, None when it has an owner or is gone."""
    try:
        fd = disk.open_existing(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        return FreeSegment(Segment(path, b"", -1), (Report(path.name, f"left as it is: {error}"),), None)
    segment = Segment(path, mark_of(path) or b"", fd, sealed=True)
    try:
        if not disk.lock(fd):
            disk.close(fd)
            return None
        return _read(segment, disk)
    except (OSError, NewerVersion) as error:
        return FreeSegment(segment, (Report(path.name, f"left as it is: {error}"),), None)


def _read(segment: Segment, disk: Disk) -> FreeSegment:
    path, fd = segment.path, segment.fd
    if not segment.mark:
        return FreeSegment(segment, (Report(path.name, "left as it is: not a name the spool gives"),), None)
    octets = disk.read(fd, 0, disk.size(fd))
    contents = read_segment(octets, segment)
    reports = []
    for damage in contents.damaged:
        kept = keep_corrupt(path.parent, disk, f"{path.stem}-{damage.offset}.bin", [octets[damage.offset : damage.end]])
        reports.append(Report(path.name, f"octets {damage.offset} to {damage.end} are damaged", kept))
    for record in contents.unreadable:
        kept = keep_corrupt(path.parent, disk, f"{path.stem}-{record.offset}.bin", [octets[record.offset : record.end]])
        reports.append(Report(path.name, f"the record at {record.offset} cannot be understood", kept))
    entries = []
    for entry in contents.entries:
        if entry.large and not _has_size(large := segment.large_path(entry.id), entry.body_octets, disk):
            meta_at = entry.offset + HEADER_OCTETS
            kept = keep_corrupt(path.parent, disk, f"{entry.id}.json", [octets[meta_at : meta_at + entry.meta_octets]])
            if disk.exists(large):
                disk.rename(large, path.parent / CORRUPT_FOLDER / f"{entry.id}{LARGE_SUFFIX}")
            reports.append(Report(large.name, "the octets of a large message are missing or cut short", kept))
        else:
            entries.append(entry)
    segment.size_octets = contents.end
    segment.abandoned = disk.is_doubted(fd) or (contents.end < len(octets) and not _cut(fd, contents.end, disk))
    segment.worn = segment.abandoned or bool(reports)
    return FreeSegment(segment, tuple(reports), tuple(entries))


def _cut(fd: int, size_octets: int, disk: Disk) -> bool:
    """Take off the torn tail, so that what is appended does not stand behind it."""
    try:
        disk.truncate(fd, size_octets)
    except OSError:
        return False
    return True


def _has_size(path: Path, size_octets: int, disk: Disk) -> bool:
    try:
        fd = disk.open_read(path)
    except FileNotFoundError:
        return False
    try:
        return disk.size(fd) == size_octets
    finally:
        disk.close(fd)


def _drop_part(path: Path, disk: Disk) -> None:
    """Delete a large message that was never committed, unless somebody is still receiving it."""
    with contextlib.suppress(FileNotFoundError):
        fd = disk.open_existing(path)
        try:
            if disk.lock(fd):
                disk.unlink(path)
        finally:
            disk.close(fd)


def _drop_stray(path: Path, disk: Disk, names: Container[str]) -> None:
    """Delete a large message whose segment is gone: it was finished. A segment always exists before its messages."""
    segment = path.name.split(".", 1)[0] + SEGMENT_SUFFIX
    if segment not in names and not disk.exists(path.with_name(segment)):
        with contextlib.suppress(FileNotFoundError):
            disk.unlink(path)
