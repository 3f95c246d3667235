"""The one way to files: every file call of spool, packs, journals and quarantine goes through a `Disk`.

It answers: which system calls do we make, and what does each promise. Callers decide what must be durable when. Tests
hand in a subclass that fails, tears or forgets (tests/support/faulty_disk.py), so nothing here may be bypassed.
SQLite does its own I/O and is broken from outside. All methods block, are safe from any thread and raise OSError.
"""

import contextlib
import errno
import fcntl
import mmap
import os
from collections.abc import Sequence
from pathlib import Path

Octets = bytes | bytearray | memoryview
"""What can be written."""

_MOST_BUFFERS = os.sysconf("SC_IOV_MAX")


class Disk:
    """The real file system. Files are made with mode 0600 and folders with 0700; descriptors are closed on exec."""

    def open_append(self, path: Path) -> int:
        """A descriptor for reading and for writing at the end; the file is made when it is missing."""
        return os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def create_exclusive(self, path: Path) -> int:
        """As `open_append`, for a file that must not exist yet. Raises FileExistsError."""
        return os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)

    def open_read(self, path: Path) -> int:
        """A descriptor for reading. Raises FileNotFoundError."""
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def open_existing(self, path: Path) -> int:
        """As `open_append`, for a file that is there. Raises FileNotFoundError."""
        return os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)

    def open_overwrite(self, path: Path) -> int:
        """A descriptor for reading and for `overwrite`; the file is made when it is missing."""
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def close(self, fd: int) -> None:
        """Give the descriptor, and the lock held through it, back."""
        os.close(fd)

    def write(self, fd: int, buffers: Sequence[Octets]) -> None:
        """Append all octets of all buffers, in order. After an error an unknown part of them is in the file."""
        views = [memoryview(b).cast("B") for b in buffers if len(b)]
        while views:
            written = os.writev(fd, views[:_MOST_BUFFERS])
            while written and written >= len(views[0]):
                written -= len(views.pop(0))
            if written:
                views[0] = views[0][written:]

    def overwrite(self, fd: int, offset: int, octets: bytes) -> None:
        """Put a few octets, in one call, where others may be."""
        if os.pwrite(fd, octets, offset) != len(octets):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def read(self, fd: int, offset: int, length: int) -> bytes:
        """`length` octets from `offset`, fewer only where the file ends."""
        octets = os.pread(fd, length, offset)
        while len(octets) < length and (more := os.pread(fd, length - len(octets), offset + len(octets))):
            octets += more
        return octets

    def read_at_hand(self, fd: int, offset: int, length: int) -> bytes | None:
        """As `read`, where the kernel has all of it in memory; else None, at once and without waiting for the medium."""
        octets = bytearray(length)
        try:
            found = os.preadv(fd, [octets], offset, os.RWF_NOWAIT)
        except OSError as error:
            if error.errno in (errno.EAGAIN, errno.EOPNOTSUPP):  # the latter: a file system that cannot tell, as tmpfs
                return None
            raise
        return bytes(octets) if found == length else None

    def map(self, fd: int, offset: int = 0, length: int = 0) -> mmap.mmap:
        """The file, read-only and by demand; valid after `close`. Raises ValueError for what is not in the file.

        offset: a multiple of mmap.ALLOCATIONGRANULARITY. length: 0 for all that follows.
        """
        return mmap.mmap(fd, length, offset=offset, access=mmap.ACCESS_READ)

    def size(self, fd: int) -> int:
        """The length of the file in octets."""
        return os.fstat(fd).st_size

    def is_nameless(self, fd: int) -> bool:
        """The file was unlinked, or another was renamed over it."""
        return os.fstat(fd).st_nlink == 0

    def truncate(self, fd: int, size_octets: int) -> None:
        """Cut the file to this length."""
        os.ftruncate(fd, size_octets)

    def sync(self, fd: int) -> None:
        """The file's octets and length are on the medium when this returns. After an error, never try again and say ok:
        the kernel may have dropped the dirty pages and call the next sync a success."""
        os.fdatasync(fd)

    def sync_folder(self, folder: Path) -> None:
        """The names in this folder (files made, renamed, unlinked) are on the medium when this returns."""
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def doubt(self, fd: int) -> None:
        """Note on the open file that writing to it failed: for whoever opens it next, as long as the kernel has it in memory.

        After a power cut the note may be gone, and what is read then is what the medium holds. (The mode bit has no other use.)
        """
        os.fchmod(fd, 0o700)

    def is_doubted(self, fd: int) -> bool:
        """Whether somebody noted that writing to this file failed."""
        return bool(os.fstat(fd).st_mode & 0o100)

    def lock(self, fd: int) -> bool:
        """Take the exclusive lock (flock), without waiting; it ends with `close` or with the process, even on SIGKILL.

        False when somebody else holds it, or when the file has lost its name meanwhile and so guards nothing.
        """
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return os.fstat(fd).st_nlink > 0

    def lock_wait(self, fd: int) -> None:
        """Take the exclusive lock, waiting in the kernel for whoever holds it."""
        fcntl.flock(fd, fcntl.LOCK_EX)

    def unlock(self, fd: int) -> None:
        """Give the lock back and keep the descriptor."""
        fcntl.flock(fd, fcntl.LOCK_UN)

    def rename(self, old: Path, new: Path) -> None:
        """Rename within one file system; an existing `new` is replaced. Durable after `sync_folder`."""
        os.rename(old, new)  # noqa: PTH104  # system calls in this file, not their wrappers

    def link(self, old: Path, new: Path) -> None:
        """Give the file a second name. Raises FileExistsError. Durable after `sync_folder`."""
        os.link(old, new)

    def unlink(self, path: Path) -> None:
        """Remove the name. Raises FileNotFoundError. Durable after `sync_folder`."""
        os.unlink(path)  # noqa: PTH108

    def mkdir(self, path: Path) -> None:
        """Make the folder and missing ones above it; no error when it exists. Each new name is synced."""
        missing = []
        while not path.exists():
            missing.append(path)
            path = path.parent
        for folder in reversed(missing):
            try:
                os.mkdir(folder, 0o700)  # noqa: PTH102
            except FileExistsError:  # another process was quicker
                continue
            try:
                self.sync_folder(folder.parent)
            except OSError:
                with contextlib.suppress(OSError):  # else the next caller would take its name for synced
                    self.rmdir(folder)
                raise

    def rmdir(self, folder: Path) -> None:
        """Remove an empty folder. Durable after `sync_folder`."""
        os.rmdir(folder)  # noqa: PTH106

    def listdir(self, folder: Path) -> list[str]:
        """The names in the folder, sorted. Raises FileNotFoundError."""
        return sorted(os.listdir(folder))  # noqa: PTH208

    def exists(self, path: Path) -> bool:
        """Whether the name is there now."""
        return os.path.lexists(path)

    def read_whole(self, path: Path) -> bytes:
        """All octets of a file. Raises FileNotFoundError."""
        fd = self.open_read(path)
        try:
            return self.read(fd, 0, self.size(fd))
        finally:
            self.close(fd)

    def write_whole(self, path: Path, parts: Sequence[Octets]) -> None:
        """Make or replace a file durably: whatever happens, under its name are all its octets, or what was there before.

        One caller at a time for each path. What a crash leaves is called `path` and ".new", and goes with the next call.
        """
        draft = path.with_name(f"{path.name}.new")
        with contextlib.suppress(FileNotFoundError):
            self.unlink(draft)
        fd = self.create_exclusive(draft)
        try:
            self.write(fd, parts)
            self.sync(fd)
        finally:
            self.close(fd)
        self.rename(draft, path)
        self.sync_folder(path.parent)

    def free_octets(self, folder: Path) -> int:
        """How much an unprivileged process may still write there."""
        state = os.statvfs(folder)
        return state.f_bavail * state.f_frsize
