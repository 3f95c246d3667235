"""What a dead process left behind: which segments are free, what is still to be done in them, what is damaged.

A segment whose lock is free has no owner any more. Its messages are read here and moved by the spool into a segment of
its own; only when they are safe there is the old one removed. Damaged parts are first copied to `corrupt/`, and a
segment of a newer release, or one that cannot be read, is left as it is: nothing that was acknowledged is deleted.
"""

import contextlib
import json
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mailward.disk import Disk, Octets
from mailward.model.ids import QueueId
from mailward.queue.item import ITEM_VERSION
from mailward.queue.record import DamagedRange, Kind, NewerVersion, Record, scan
from mailward.queue.segment import LARGE_SUFFIX, PART_SUFFIX, SEGMENT_SUFFIX, OpenRecipient, large_name, mark_of

CORRUPT_FOLDER = "corrupt"


@dataclass(frozen=True, slots=True)
class Report:
    """Something an admin should know. name: the file concerned; kept: where its damaged part is now, "" if left in place."""

    name: str
    text: str
    kept: str = ""


@dataclass(frozen=True, slots=True)
class RecoveredItem:
    """A committed message with open recipients. meta: the queue item's JSON. octets: None when it has a file of its own."""

    id: QueueId
    meta: bytes
    octets: bytes | None
    body_octets: int
    body_crc: int
    open: dict[int, OpenRecipient]
    finished: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Contents:
    """What a segment holds: open messages in the order they were committed, and what cannot be read."""

    items: tuple[RecoveredItem, ...]
    damaged: tuple[DamagedRange, ...]
    unreadable: tuple[Record, ...]


@dataclass(frozen=True, slots=True)
class FreeSegment:
    """A segment without an owner, locked by us until `give_back`. readable: False when it must be left as it is."""

    path: Path
    fd: int
    reports: tuple[Report, ...]
    items: tuple[RecoveredItem, ...] = ()
    readable: bool = True

    def large_path(self, queue_id: QueueId) -> Path:
        """The file of one of its large messages."""
        return self.path.with_name(large_name(self.path.stem, queue_id))


def read_segment(octets: Octets, mark: bytes) -> Contents:
    """The state of every message after all journal records. Raises NewerVersion."""
    messages: dict[QueueId, tuple[Record, int]] = {}
    states: dict[QueueId, dict[int, OpenRecipient]] = {}
    damaged: list[DamagedRange] = []
    unreadable: list[Record] = []
    for found in scan(octets, mark):
        if isinstance(found, DamagedRange):
            damaged.append(found)
            continue
        try:
            raw = json.loads(found.meta)
            queue_id = QueueId(raw["id"])
            if found.kind in (Kind.MESSAGE, Kind.LARGE):
                if raw["version"] > ITEM_VERSION:
                    raise NewerVersion(f"queue item of version {raw['version']}; this release reads version {ITEM_VERSION}")
                states[queue_id] = {index: OpenRecipient(r["route"]) for index, r in enumerate(raw["recipients"])}
                messages[queue_id] = (found, len(raw["recipients"]))
            elif queue_id in states:
                _journal(states[queue_id], found.kind, raw)
        except (ValueError, KeyError, TypeError):
            unreadable.append(found)
    items = [_item(octets, *messages[queue_id], queue_id, state) for queue_id, state in states.items() if state]
    return Contents(tuple(items), tuple(damaged), tuple(unreadable))


def _journal(state: dict[int, OpenRecipient], kind: Kind, raw: dict[str, Any]) -> None:
    """Apply one journal record."""
    recipient = state.get(raw["index"])
    if recipient is None:
        return
    if kind == Kind.DONE:
        del state[raw["index"]]
        return
    recipient.begun = int(raw["begun"])
    if kind == Kind.FAILED:
        recipient.failures = int(raw["failures"])
        recipient.next_at = str(raw["next_at"])
        recipient.text = str(raw["text"])
    elif kind in (Kind.HELD, Kind.RELEASED, Kind.DUE):
        recipient.next_at = str(raw["next_at"])
        recipient.held = str(raw["held"])


def _item(octets: Octets, record: Record, recipients: int, queue_id: QueueId, state: dict[int, OpenRecipient]) -> RecoveredItem:
    body = None if record.kind == Kind.LARGE else bytes(octets[record.body_offset : record.end])
    finished = tuple(index for index in range(recipients) if index not in state)
    return RecoveredItem(queue_id, record.meta, body, record.body_octets, record.body_crc, state, finished)


def free_segments(folder: Path, disk: Disk, skip: Container[str]) -> Iterator[FreeSegment]:
    """Every segment without an owner, one at a time, but for the names in `skip`.

    The caller ends each with `give_back`. Leftovers of messages that were never acknowledged are deleted.
    """
    names = disk.listdir(folder)
    for name in names:
        if name.endswith(PART_SUFFIX):
            _drop_part(folder / name, disk)
        elif name.endswith(LARGE_SUFFIX):
            _drop_stray(folder / name, disk, names)
        elif name.endswith(SEGMENT_SUFFIX) and name not in skip:
            segment = _take(folder / name, disk)
            if segment is not None:
                yield segment


def give_back(segment: FreeSegment, disk: Disk) -> None:
    """End our lock on it: untouched, or after `remove`."""
    disk.close(segment.fd)


def remove(segment: FreeSegment, disk: Disk) -> None:
    """Delete it with its large messages: everything still open in it is safe elsewhere."""
    remove_files(segment.path, disk)


def remove_files(segment: Path, disk: Disk) -> None:
    """Delete a segment, then its large messages: never a message while a journal that names it can come back."""
    disk.unlink(segment)
    disk.sync_folder(segment.parent)
    for name in disk.listdir(segment.parent):
        if name.startswith(segment.stem + ".") and name.endswith(LARGE_SUFFIX):
            with contextlib.suppress(FileNotFoundError):
                disk.unlink(segment.parent / name)


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
    try:
        if not disk.lock(fd):
            disk.close(fd)
            return None
        return _read(path, fd, disk)
    except (OSError, NewerVersion) as error:
        return FreeSegment(path, fd, (Report(path.name, f"left as it is: {error}"),), readable=False)


def _read(path: Path, fd: int, disk: Disk) -> FreeSegment:
    mark = mark_of(path)
    if mark is None:
        return FreeSegment(path, fd, (Report(path.name, "left as it is: not a name the spool gives"),), readable=False)
    octets = disk.read(fd, 0, disk.size(fd))
    contents = read_segment(octets, mark)
    reports = []
    for damage in contents.damaged:
        kept = keep_corrupt(path.parent, disk, f"{path.stem}-{damage.offset}.bin", [octets[damage.offset : damage.end]])
        reports.append(Report(path.name, f"octets {damage.offset} to {damage.end} are damaged", kept))
    for record in contents.unreadable:
        kept = keep_corrupt(path.parent, disk, f"{path.stem}-{record.offset}.bin", [octets[record.offset : record.end]])
        reports.append(Report(path.name, f"the record at {record.offset} cannot be understood", kept))
    items = []
    for item in contents.items:
        large = path.with_name(large_name(path.stem, item.id))
        if item.octets is None and not _has_size(large, item.body_octets, disk):
            kept = keep_corrupt(path.parent, disk, f"{item.id}.json", [item.meta])
            if disk.exists(large):
                disk.rename(large, path.parent / CORRUPT_FOLDER / f"{item.id}{LARGE_SUFFIX}")
            reports.append(Report(large.name, "the octets of a large message are missing or cut short", kept))
        else:
            items.append(item)
    return FreeSegment(path, fd, tuple(reports), tuple(items))


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


def _drop_stray(path: Path, disk: Disk, names: Sequence[str]) -> None:
    """Delete a large message whose segment is gone: it was finished. A segment always exists before its messages."""
    segment = path.name.split(".", 1)[0] + SEGMENT_SUFFIX
    if segment not in names and not disk.exists(path.with_name(segment)):
        with contextlib.suppress(FileNotFoundError):
            disk.unlink(path)
