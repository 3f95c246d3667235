"""A disk that fails, stops or forgets at a chosen file call, and shows what a power cut would have left.

Every call that changes something is counted from 1. The model keeps, beside the real files, what is durable: octets
since their last `sync`, names since their last `sync_folder`. What a failed sync should have made durable never becomes so: a
kernel drops such pages and calls the next sync a success (T-Q-04).
"""

import errno
import mmap
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from mailward.disk import Disk, Octets

Survival = Literal["synced", "written", "torn", "zeros"]
"""What is left: only what was synced; all that was written (the process was killed, the machine went on); names and
lengths as written, but the octets that were not synced cut in half, or zeros."""


class PowerCut(BaseException):
    """The machine is off. Not an Exception, so that no handler for ordinary failures goes on after it."""


class FaultyDisk(Disk):
    """stop_at: from this call on there is no power. fail_at: this call fails with `error`, and with `for_good` all later ones.

    A failing or stopped write leaves half of its octets in the file.
    """

    def __init__(
        self, *, stop_at: int | None = None, fail_at: int | None = None, error: int = errno.EIO, for_good: bool = False
    ) -> None:
        self.trace: list[tuple[str, str]] = []
        self._stop_at = stop_at
        self._fail_at = fail_at
        self._error = error
        self._for_good = for_good
        self._lock = threading.RLock()
        self._files = 0
        self._live: dict[Path, int] = {}
        self._durable: dict[Path, int] = {}
        self._synced: dict[int, bytes] = {}
        self._open: dict[int, tuple[int, Path]] = {}
        self._dropped: dict[int, list[tuple[int, int]]] = {}
        self._dropped_names: set[tuple[Path, int]] = set()

    # The model

    def survivors(self, folder: Path, target: Path, how: Survival) -> Path:
        """Build below `target` what recovery would find of `folder`. What was open is closed, as nobody is left who has it."""
        with self._lock:
            for fd in self._open:
                super().close(fd)
            self._open.clear()
        names = self._durable if how == "synced" else self._live
        (target / folder.name).mkdir(parents=True)
        for path, file in names.items():
            if not path.is_relative_to(folder) or path == folder or file < 0:
                continue
            above = path.relative_to(folder).parents[:-1]  # folders have names, too
            if how == "synced" and not all(folder / name in self._durable for name in above):
                continue
            new = target / folder.name / path.relative_to(folder)
            new.parent.mkdir(parents=True, exist_ok=True)
            new.write_bytes(self._left(path, file, how))
        return target / folder.name

    def _left(self, path: Path, file: int, how: Survival) -> bytes:
        synced = self._synced.get(file, b"")
        if how == "synced":
            return synced
        written = path.read_bytes()
        lost = written[len(synced) :]
        if how == "written" or not written.startswith(synced):
            return written
        return synced + (lost[: len(lost) // 2] if how == "torn" else bytes(len(lost)))

    def _step(self, call: str, path: Path) -> None:
        self.trace.append((call, path.name))
        count = len(self.trace)
        if self._stop_at is not None and count >= self._stop_at:
            raise PowerCut(f"at {call} {path.name}")
        if self._fail_at is not None and (count == self._fail_at or (self._for_good and count > self._fail_at)):
            raise OSError(self._error, os.strerror(self._error), str(path))

    def _opened(self, fd: int, path: Path) -> int:
        if path not in self._live:
            self._files += 1
            self._live[path] = self._files
        self._open[fd] = (self._live[path], path)
        return fd

    def know(self, path: Path) -> None:
        """A file that was there before us is durable."""
        if path not in self._live and path.exists():
            self._files += 1
            self._live[path] = self._durable[path] = self._files
            self._synced[self._files] = path.read_bytes()

    # The calls

    def open_append(self, path: Path) -> int:
        with self._lock:
            self.know(path)
            self._step("open_append", path)
            return self._opened(super().open_append(path), path)

    def open_overwrite(self, path: Path) -> int:
        with self._lock:
            self.know(path)
            self._step("open_overwrite", path)
            return self._opened(super().open_overwrite(path), path)

    def open_existing(self, path: Path) -> int:
        with self._lock:
            self.know(path)
            self._step("open_existing", path)
            return self._opened(super().open_existing(path), path)

    def create_exclusive(self, path: Path) -> int:
        with self._lock:
            self._step("create_exclusive", path)
            return self._opened(super().create_exclusive(path), path)

    def open_read(self, path: Path) -> int:
        with self._lock:
            self._step("open_read", path)
            fd = super().open_read(path)
            self._open[fd] = (0, path)
            return fd

    def close(self, fd: int) -> None:
        with self._lock:
            if self._open.pop(fd, None) is not None:  # else `survivors` has closed it, and another may have its number by now
                super().close(fd)

    def write(self, fd: int, buffers: Sequence[Octets]) -> None:
        with self._lock:
            try:
                self._step("write", self._open[fd][1])
            except (OSError, PowerCut):
                whole = b"".join(buffers)
                super().write(fd, [whole[: len(whole) // 2]])
                raise
            super().write(fd, buffers)

    def overwrite(self, fd: int, offset: int, octets: bytes) -> None:
        with self._lock:
            self._step("overwrite", self._open[fd][1])
            super().overwrite(fd, offset, octets)

    def read(self, fd: int, offset: int, length: int) -> bytes:
        with self._lock:
            if fd in self._open:  # else it is closed, and the call says so
                self._step("read", self._open[fd][1])
            return super().read(fd, offset, length)

    def read_at_hand(self, fd: int, offset: int, length: int) -> bytes | None:
        with self._lock:
            if fd in self._open:
                self._step("read_at_hand", self._open[fd][1])
            return super().read_at_hand(fd, offset, length)

    def map(self, fd: int, offset: int = 0, length: int = 0) -> mmap.mmap:
        with self._lock:
            self._step("map", self._open[fd][1])
            return super().map(fd, offset, length)

    def truncate(self, fd: int, size_octets: int) -> None:
        with self._lock:
            self._step("truncate", self._open[fd][1])
            super().truncate(fd, size_octets)
            file = self._open[fd][0]
            self._dropped[file] = [
                (start, min(end, size_octets)) for start, end in self._dropped.get(file, []) if start < size_octets
            ]

    def doubt(self, fd: int) -> None:
        with self._lock:
            self._step("doubt", self._open[fd][1])
            super().doubt(fd)

    def sync(self, fd: int) -> None:
        with self._lock:
            file, path = self._open[fd]
            size_octets = os.fstat(fd).st_size
            try:
                self._step("sync", path)
            except OSError:
                self._dropped.setdefault(file, []).append((len(self._synced.get(file, b"")), size_octets))
                raise
            super().sync(fd)
            octets = bytearray(os.pread(fd, size_octets, 0))
            for start, end in self._dropped.get(file, []):
                octets[start:end] = bytes(end - start)
            self._synced[file] = bytes(octets)

    def sync_folder(self, folder: Path) -> None:
        with self._lock:
            here = {(path, file) for path, file in self._live.items() if path.parent == folder}
            here |= {(path, -path.stat().st_ino) for path in folder.iterdir() if path.is_dir()}
            try:
                self._step("sync_folder", folder)
            except OSError:
                self._dropped_names |= here - set(self._durable.items())
                raise
            self._durable = {path: file for path, file in self._durable.items() if path.parent != folder}
            self._durable.update(here - self._dropped_names)

    def lock(self, fd: int) -> bool:
        with self._lock:
            self._step("lock", self._open[fd][1])
            return super().lock(fd)

    def rename(self, old: Path, new: Path) -> None:
        with self._lock:
            self.know(old)
            self._step("rename", old)
            super().rename(old, new)
            self._live[new] = self._live.pop(old)

    def link(self, old: Path, new: Path) -> None:
        with self._lock:
            self.know(old)
            self._step("link", new)
            super().link(old, new)
            self._live[new] = self._live[old]

    def unlink(self, path: Path) -> None:
        with self._lock:
            self.know(path)
            self._step("unlink", path)
            super().unlink(path)
            del self._live[path]

    def rmdir(self, folder: Path) -> None:
        with self._lock:
            self._step("rmdir", folder)
            super().rmdir(folder)
            self._dropped_names = {(path, file) for path, file in self._dropped_names if path != folder}

    def listdir(self, folder: Path) -> list[str]:
        with self._lock:
            self._step("listdir", folder)
            for path in folder.iterdir():
                if path.is_file():
                    self.know(path)
            return super().listdir(folder)
