"""What a power cut would leave of a folder, at any moment of a run that power.c has written down: SQLite's files like all others.

The medium is as bad as POSIX allows: what was written since a file's last sync is lost, or in pieces, and a name that was made,
renamed or removed counts only when its folder was synced after it. What a sync that has not returned would have saved is not safe.
"""

import ctypes
import os
import random
import struct
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from support.faults import compiled

Survival = Literal["synced", "torn", "zeros", "mixed"]
"""synced: octets and names that were synced. torn: names as written; what was written since the sync up to some point, in the middle
of a write. zeros: names and lengths as written, and new octets that were not synced are zeros. mixed: of the names made in a folder
since its sync the first few; of the octets written since the sync some pages, whichever."""

_HEAD = struct.Struct("=IIIIQQ")  # struct entry of power.c
_PAGE_OCTETS = 4096
_UNKEPT = "-shm"
"""What SQLite keeps in memory; the first to open a database makes it anew."""


def library() -> Path:
    """The library to preload, compiled for this run of the tests."""
    return compiled("power", "-lpthread")


def record(below: Path, journal: Path) -> None:
    """In a process that has the library preloaded: write down all changes below this folder from now on."""
    ctypes.CDLL(None).power_record(os.fsencode(below), os.fsencode(journal))


def environment(below: Path, journal: Path) -> dict[str, str]:
    """For a program that is to be written down from its start, with all processes that it forks."""
    return {"LD_PRELOAD": str(library()), "POWER_BELOW": str(below), "POWER_JOURNAL": str(journal)}


@dataclass(frozen=True)
class Entry:
    """One change. at: offset, new length, or the thread that syncs. end: where the next one begins in the journal."""

    kind: str
    file: int
    at: int
    path: str
    other: str
    octets: bytes
    end: int


def read(journal: Path) -> Iterator[Entry]:
    """All changes, in their order."""
    raw, place = journal.read_bytes(), 0
    while place < len(raw):
        kind, path, other, octets, file, at = _HEAD.unpack_from(raw, place)
        place += _HEAD.size
        ends = place + path, place + path + other, place + path + other + octets
        pieces = raw[place : ends[0]], raw[ends[0] : ends[1]], raw[ends[1] : ends[2]]
        place = ends[2]
        yield Entry(chr(kind), file, at, os.fsdecode(pieces[0]), os.fsdecode(pieces[1]), pieces[2], place)


@dataclass
class _File:
    """synced: safe octets. pending: offset and octets, or length and None, of what was done since; `safe` of all are in synced."""

    synced: bytearray
    pending: list[tuple[int, bytes | None]] = field(default_factory=list)
    safe: int = 0

    def count(self) -> int:
        return self.safe + len(self.pending)

    def sync(self, count: int) -> None:
        done, self.pending = self.pending[: count - self.safe], self.pending[count - self.safe :]
        self.safe += len(done)
        for change in done:
            _apply(self.synced, *change)

    def left(self, how: Survival, chance: random.Random) -> bytes:
        octets, changes = bytearray(self.synced), self.pending
        if how == "torn" and changes:
            changes = changes[: chance.randrange(len(changes)) + 1]
            at, last = changes[-1]
            changes = [*changes[:-1], (at, last if last is None else last[: len(last) // 2])]
        for at, some in changes if how != "synced" else ():
            if some is None or how == "torn":
                _apply(octets, at, some)
            elif how == "zeros":
                _apply(octets, max(at, len(octets)), bytes(max(0, at + len(some) - max(at, len(octets)))))
            else:
                for page, start in _pages(at, some):
                    if chance.random() < 0.5:
                        _apply(octets, start, page)
        return bytes(octets)


def _apply(octets: bytearray, at: int, some: bytes | None) -> None:
    end = at + len(some or b"")
    octets.extend(bytes(max(0, end - len(octets))))
    octets[at:end] = some or b""
    if some is None:
        del octets[at:]


def _pages(at: int, some: bytes) -> Iterator[tuple[bytes, int]]:
    start = at
    while start < at + len(some):
        end = min(at + len(some), (start // _PAGE_OCTETS + 1) * _PAGE_OCTETS)
        yield some[start - at : end - at], start
        start = end


_Thing = _File | None
"""What a name stands for: a file, or, as None, a folder."""


@dataclass
class _Folder:
    """durable: names that are safe. pending: a name and what it stands for, or that it is gone, of what was done since."""

    durable: dict[str, _Thing] = field(default_factory=dict)
    pending: list[tuple[str, bool, _Thing]] = field(default_factory=list)
    safe: int = 0

    def count(self) -> int:
        return self.safe + len(self.pending)

    def sync(self, count: int) -> None:
        done, self.pending = self.pending[: count - self.safe], self.pending[count - self.safe :]
        self.safe += len(done)
        _rename(self.durable, done)

    def left(self, how: Survival, chance: random.Random) -> dict[str, _Thing]:
        names, most = dict(self.durable), len(self.pending)
        _rename(names, self.pending[: 0 if how == "synced" else chance.randint(0, most) if how == "mixed" else most])
        return names


def _rename(names: dict[str, _Thing], changes: list[tuple[str, bool, _Thing]]) -> None:
    for name, is_there, thing in changes:
        if is_there:
            names[name] = thing
        else:
            names.pop(name, None)


class Medium:
    """What is on it, while the changes are played one after another. Made before the run: what is there then is safe."""

    def __init__(self, folder: Path) -> None:
        self._root = str(folder)
        self._folders: defaultdict[str, _Folder] = defaultdict(_Folder)
        self._files: dict[int, _File] = {}
        self._live: dict[str, _Thing] = {}
        self._syncing: dict[int, int] = {}
        for path in sorted(folder.rglob("*")):
            thing = None if path.is_dir() else self._files.setdefault(path.stat().st_ino, _File(bytearray(path.read_bytes())))
            self._live[str(path)] = self._folders[str(path.parent)].durable[path.name] = thing

    def play(self, entry: Entry) -> None:
        """The next change."""
        match entry.kind:
            case "R" | "U" if entry.path not in self._live:
                pass  # a socket: nobody wants one back
            case "C":
                self._files[entry.file] = made = _File(bytearray())
                self._name(entry.path, made)
            case "D":
                self._name(entry.path, None)
            case "L":
                self._name(entry.other, self._live[entry.path])
            case "R":
                self._name(entry.other, self._live[entry.path])
                self._forget(entry.path)
            case "U":
                self._forget(entry.path)
            case "W":
                self._files[entry.file].pending.append((entry.at, entry.octets))
            case "T":
                self._files[entry.file].pending.append((entry.at, None))
            case "b":
                self._syncing[entry.at] = self._synced(entry).count()
            case "e":
                self._synced(entry).sync(self._syncing.pop(entry.at))

    def _synced(self, entry: Entry) -> _File | _Folder:
        is_folder = entry.path == self._root or self._live.get(entry.path, entry) is None
        return self._folders[entry.path] if is_folder else self._files[entry.file]

    def _name(self, path: str, thing: _Thing) -> None:
        self._live[path] = thing
        folder, _, name = path.rpartition("/")
        self._folders[folder].pending.append((name, True, thing))

    def _forget(self, path: str) -> None:
        del self._live[path]
        folder, _, name = path.rpartition("/")
        self._folders[folder].pending.append((name, False, None))

    def left(self, target: Path, how: Survival, chance: random.Random) -> None:
        """Make `target` what would be found of the folder if the power went now."""
        self._leave(self._root, target, how, chance, {})

    def _leave(self, folder: str, target: Path, how: Survival, chance: random.Random, made: dict[int, Path]) -> None:
        target.mkdir(mode=0o700)
        for name, thing in self._folders[folder].left(how, chance).items() if folder in self._folders else ():
            if thing is None:
                self._leave(f"{folder}/{name}", target / name, how, chance, made)
            elif id(thing) in made:
                (target / name).hardlink_to(made[id(thing)])
            elif not name.endswith(_UNKEPT):
                made[id(thing)] = target / name
                made[id(thing)].write_bytes(thing.left(how, chance))
                made[id(thing)].chmod(0o600)
