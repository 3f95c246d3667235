"""The real disk, on the real file system."""

import os
import threading
from pathlib import Path

import pytest

from mailward.disk import Disk


def test_write_takes_any_number_of_buffers_and_short_writes(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    buffers = [b"%d," % number for number in range(5000)] + [b"", bytearray(b"x" * 500_000), memoryview(b"end")]
    received = bytearray()

    def drain() -> None:
        while octets := os.read(reader, 3000):
            received.extend(octets)

    thread = threading.Thread(target=drain)
    thread.start()
    Disk().write(writer, buffers)
    os.close(writer)
    thread.join()
    os.close(reader)
    assert received == b"".join(buffers)


def test_lock_is_refused_while_held_and_for_a_file_without_a_name(tmp_path: Path) -> None:
    disk, path = Disk(), tmp_path / "file"
    first, second = disk.create_exclusive(path), disk.open_existing(path)
    assert disk.lock(first)
    assert not disk.lock(second)
    disk.close(first)
    assert disk.lock(second)
    third = disk.open_existing(path)
    disk.unlink(path)
    disk.close(second)
    assert not disk.lock(third)
    disk.close(third)


def test_t_priv_04_files_and_folders_are_closed_to_others(tmp_path: Path) -> None:
    disk = Disk()
    before = os.umask(0)
    try:
        disk.mkdir(tmp_path / "a" / "b")
        disk.mkdir(tmp_path / "a" / "b")
        disk.close(disk.open_append(tmp_path / "a" / "file"))
        disk.close(disk.create_exclusive(tmp_path / "a" / "other"))
    finally:
        os.umask(before)
    assert [(tmp_path / name).stat().st_mode & 0o777 for name in ("a", "a/b", "a/file", "a/other")] == [
        0o700,
        0o700,
        0o600,
        0o600,
    ]
    assert disk.listdir(tmp_path / "a") == ["b", "file", "other"]


def test_read_stops_at_the_end_and_appends_go_there(tmp_path: Path) -> None:
    disk = Disk()
    fd = disk.open_append(tmp_path / "file")
    disk.write(fd, [b"abc", b"def"])
    assert disk.read(fd, 4, 100) == b"ef" and disk.read(fd, 9, 1) == b""
    disk.truncate(fd, 3)
    disk.write(fd, [b"X"])
    disk.sync(fd)
    assert disk.size(fd) == 4 and disk.map(fd)[:] == b"abcX"
    disk.close(fd)
    with pytest.raises(FileNotFoundError):
        disk.open_existing(tmp_path / "other")
