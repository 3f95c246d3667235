"""Where the octets of messages are: append-only pack files of one account, written under the account's lock.

A record is a fixed header, the octets as they go over the wire, and the rescue fields (mailbox name and flags at the
time), from which folders can be rebuilt when the database is lost. Records never change; what a crash leaves at the
end of a pack belongs to no message and is passed over, since the database says where each record begins. Octets of a
large message begin where a page does, so that they can be mapped instead of being held in memory.
"""

import contextlib
import mmap
import struct
import threading
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from mailward.disk import Disk
from mailward.model.errors import StorageError

MAGIC = b"\x8cMWP"
VERSION = 1
FIELDS = struct.Struct("<4sBxHQQqII")  # magic, version, rescue length, record id, size, internal date, two CRCs
CHECK = struct.Struct("<I")  # CRC of the fields before it
HEADER_OCTETS = FIELDS.size + CHECK.size

_FULL_OCTETS = 64 * 1024 * 1024
_MOST_IDLE_DESCRIPTORS = 8
_MOST_VERIFIED = 10_000
_MAPPED_OCTETS = 256 * 1024
"""Messages from this size on are mapped."""
_GAP_OCTETS = 4096
"""So much between two records is read along: rescue fields, or a small record that is not asked for."""


@dataclass(frozen=True, slots=True)
class Record:
    """What is written for one message. id: random, tells a record from whatever else may lie at its place."""

    id: int
    octets: bytes
    internal_date: int
    mailbox_name: str
    flags: tuple[str, ...]

    def buffers(self) -> tuple[bytes, bytes, bytes]:
        rescue = f"{self.mailbox_name}\0{' '.join(self.flags)}".encode()[:0xFFFF]
        fields = FIELDS.pack(
            *(MAGIC, VERSION, len(rescue), self.id, len(self.octets), self.internal_date),
            *(zlib.crc32(self.octets), zlib.crc32(rescue)),
        )
        return fields + CHECK.pack(zlib.crc32(fields)), self.octets, rescue


class Locator(NamedTuple):
    """Where a record begins, and what must be found there."""

    pack: int
    offset: int
    record: int
    size_octets: int


class Packs:
    """The pack files in one folder. `append` only under the account's lock; `read` from any thread."""

    def __init__(self, folder: Path, disk: Disk) -> None:
        self._folder = folder
        self._disk = disk
        self._lock = threading.Lock()
        self._idle: list[tuple[int, int]] = []  # (pack, descriptor), the last used at the end
        self._verified: set[int] = set()

    def append(self, pack: int, records: Sequence[Record]) -> list[Locator]:
        """Write and sync the records, to this pack or, when it is full, to the next. Raises OSError."""
        while (opened := self._open_for_append(pack)) is None:
            pack += 1
        fd, offset = opened
        try:
            locators: list[Locator] = []
            buffers: list[bytes] = []
            for record in records:
                gap = -(offset + HEADER_OCTETS) % mmap.ALLOCATIONGRANULARITY if len(record.octets) >= _MAPPED_OCTETS else 0
                parts = (bytes(gap), *record.buffers())
                locators.append(Locator(pack, offset + gap, record.id, len(record.octets)))
                offset += sum(map(len, parts))
                buffers += parts
            self._disk.write(fd, buffers)
            self._disk.sync(fd)
        except BaseException:
            self._disk.close(fd)
            raise
        self._give_back(pack, fd)
        return locators

    def _open_for_append(self, pack: int) -> tuple[int, int] | None:
        """A descriptor and the length of the pack, None when it is full."""
        fd = self._take(pack)
        if fd is None:
            path = self._path(pack)
            self._disk.mkdir(self._folder)
            fd = self._disk.open_append(path)
            if self._disk.size(fd) == 0:
                self._sync_name(path, fd)
        size = self._disk.size(fd)
        if size < _FULL_OCTETS:
            return fd, size
        self._give_back(pack, fd)
        return None

    def _sync_name(self, path: Path, fd: int) -> None:
        """Make the name of a new pack durable, or take it away: what has failed once must not seem to work the next time."""
        try:
            self._disk.sync_folder(self._folder)
        except OSError:
            self._disk.close(fd)
            with contextlib.suppress(OSError):
                self._disk.unlink(path)
            raise

    def read(self, locator: Locator, offset: int, length: int | None) -> bytes:
        """Octets of the message, checked against its CRC. Raises StorageError, permanent when they are damaged."""
        try:
            if offset == 0 and (length is None or length >= locator.size_octets):
                return self._read_whole(locator)
            if locator.record not in self._verified:  # one check of a large message, not one for each of its chunks
                self._read_whole(locator)
                with self._lock:
                    if len(self._verified) >= _MOST_VERIFIED:
                        self._verified.clear()
                    self._verified.add(locator.record)
            end = locator.size_octets if length is None else min(locator.size_octets, offset + length)
            return self._read_at(locator.pack, locator.offset + HEADER_OCTETS + offset, max(0, end - offset))
        except OSError as error:
            raise StorageError(f"{self._path(locator.pack)}: {error}") from error

    def octets(self, locator: Locator) -> bytes | mmap.mmap:
        """The whole message, mapped when it is large. Raises StorageError as `read` does."""
        start = locator.offset + HEADER_OCTETS
        if locator.size_octets < _MAPPED_OCTETS or start % mmap.ALLOCATIONGRANULARITY:
            return self.read(locator, 0, None)
        try:
            with self._open(locator.pack) as fd:
                header = self._disk.read(fd, locator.offset, HEADER_OCTETS)
                mapped = self._disk.map(fd, start, locator.size_octets)
        except (OSError, ValueError) as error:
            # ValueError: the pack ends before the message does.
            raise StorageError(f"{self._path(locator.pack)}: {error}", permanent=isinstance(error, ValueError)) from error
        self._check(locator, header, mapped)
        return mapped

    def many(self, locators: Sequence[Locator]) -> Iterator[bytes | mmap.mmap | StorageError]:
        """`octets` of each in turn, the error in place of what is damaged. What lies side by side in a pack is read at once."""
        for run in _runs(locators):
            try:
                found = self._read_run(run) if len(run) > 1 else None
            except (OSError, StorageError):
                found = None
            if found is None:
                yield from map(self._octets_or_error, run)
                continue
            for locator in run:
                begin = locator.offset - run[0].offset + HEADER_OCTETS
                octets = found[begin : begin + locator.size_octets]
                yield octets if self._is_sound(locator, found[begin - HEADER_OCTETS : begin], octets) else self._damaged(locator)

    def _read_run(self, run: Sequence[Locator]) -> bytes:
        first, last = run[0], run[-1]
        return self._read_at(first.pack, first.offset, last.offset - first.offset + HEADER_OCTETS + last.size_octets)

    def _octets_or_error(self, locator: Locator) -> bytes | mmap.mmap | StorageError:
        try:
            return self.octets(locator)
        except StorageError as error:
            return error

    def _read_whole(self, locator: Locator) -> bytes:
        found = self._read_at(locator.pack, locator.offset, HEADER_OCTETS + locator.size_octets)
        octets = found[HEADER_OCTETS:]
        self._check(locator, found[:HEADER_OCTETS], octets)
        return octets

    def _check(self, locator: Locator, header: bytes, octets: bytes | mmap.mmap) -> None:
        if not self._is_sound(locator, header, octets):
            raise self._damaged(locator)

    def _is_sound(self, locator: Locator, header: bytes, octets: bytes | mmap.mmap) -> bool:
        if len(octets) != locator.size_octets or len(header) != HEADER_OCTETS:
            return False
        magic, version, _, record, size_octets, _, crc, _ = FIELDS.unpack_from(header)
        expected = (MAGIC, VERSION, locator.record, locator.size_octets)
        return (magic, version, record, size_octets) == expected and zlib.crc32(octets) == crc

    def _damaged(self, locator: Locator) -> StorageError:
        return StorageError(f"{self._path(locator.pack)}: the record at {locator.offset} is damaged", permanent=True)

    def _read_at(self, pack: int, offset: int, length: int) -> bytes:
        with self._open(pack) as fd:
            return self._disk.read(fd, offset, length)

    @contextlib.contextmanager
    def _open(self, pack: int) -> Iterator[int]:
        fd = self._take(pack)
        if fd is None:
            # For reading too, since an append may take this descriptor next.
            fd = self._disk.open_append(self._path(pack)) if self._disk.exists(self._path(pack)) else -1
            if fd < 0:
                raise StorageError(f"{self._path(pack)} is missing", permanent=True)
        try:
            yield fd
        finally:
            self._give_back(pack, fd)

    def numbers(self) -> list[int]:
        """The packs there are, in order. Raises OSError."""
        if not self._disk.exists(self._folder):
            return []
        return [int(name.removesuffix(".pack")) for name in self._disk.listdir(self._folder) if name.endswith(".pack")]

    def whole(self, pack: int) -> bytes | mmap.mmap:
        """All of a pack. Raises StorageError when it is missing."""
        with self._open(pack) as fd:
            return self._disk.map(fd) if self._disk.size(fd) else b""

    def size(self, pack: int) -> int:
        """Octets of the pack, dead and alive. Raises StorageError when it is missing."""
        with self._open(pack) as fd:
            return self._disk.size(fd)

    def drop(self, pack: int) -> None:
        """Remove a pack that no message is in any more."""
        self.rest()
        if self._disk.exists(self._path(pack)):
            self._disk.unlink(self._path(pack))

    def rest(self) -> None:
        """Close idle descriptors."""
        with self._lock:
            idle, self._idle = self._idle, []
        for _, fd in idle:
            self._disk.close(fd)

    def _take(self, pack: int) -> int | None:
        """A descriptor nobody else uses until it is given back."""
        with self._lock:
            for index, (number, fd) in enumerate(self._idle):
                if number == pack:
                    del self._idle[index]
                    return fd
        return None

    def _give_back(self, pack: int, fd: int) -> None:
        with self._lock:
            self._idle.append((pack, fd))
            surplus = self._idle.pop(0)[1] if len(self._idle) > _MOST_IDLE_DESCRIPTORS else None
        if surplus is not None:
            self._disk.close(surplus)

    def _path(self, pack: int) -> Path:
        return self._folder / f"{pack:08}.pack"


def _runs(locators: Sequence[Locator]) -> Iterator[list[Locator]]:
    """Small records that lie side by side, as many as are read at once; each other record alone."""
    run: list[Locator] = []
    end = 0
    for locator in locators:
        next_to = run and locator.pack == run[-1].pack and 0 <= locator.offset - end <= _GAP_OCTETS
        if run and not (next_to and locator.offset + locator.size_octets - run[0].offset <= _MAPPED_OCTETS):
            yield run
            run = []
        run.append(locator)
        end = locator.offset + HEADER_OCTETS + locator.size_octets
    if run:
        yield run
