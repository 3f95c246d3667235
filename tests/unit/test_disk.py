"""The real disk, on the real file system."""

import contextlib
import errno
import os
import threading
from pathlib import Path

import pytest

from mailward.disk import Disk
from support.faulty_disk import FaultyDisk, PowerCut, Survival


def test_write_takes_any_number_of_buffers_and_short_writes(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    many = [b"%d," % number for number in range(5000)]
    buffers: list[bytes | bytearray | memoryview] = [*many, b"", bytearray(b"x" * 500_000), memoryview(b"end")]
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


@pytest.mark.parametrize("problem", [None, errno.EAGAIN, errno.EOPNOTSUPP, errno.EIO])
def test_what_is_at_hand_is_read_without_waiting_or_not_at_all(
    tmp_path: Path, problem: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk, asked = Disk(), []

    def preadv(fd: int, buffers: list[bytearray], offset: int, flags: int) -> int:
        asked.append(flags)
        if problem is not None:
            raise OSError(problem, os.strerror(problem))
        octets = os.pread(fd, len(buffers[0]), offset)
        buffers[0][: len(octets)] = octets
        return len(octets)

    monkeypatch.setattr(os, "preadv", preadv)
    fd = disk.open_append(tmp_path / "file")
    disk.write(fd, [b"abcdef"])
    with pytest.raises(OSError) if problem == errno.EIO else contextlib.nullcontext():
        assert disk.read_at_hand(fd, 2, 3) == (b"cde" if problem is None else None)
        assert disk.read_at_hand(fd, 4, 3) is None  # not all of it
    assert set(asked) == {os.RWF_NOWAIT}
    disk.close(fd)


@pytest.mark.parametrize("how", ["synced", "written", "torn", "zeros"])
@pytest.mark.parametrize("draft", [None, b"half"])
def test_t_q_03_a_whole_file_is_the_old_or_the_new_one_wherever_the_power_fails(
    tmp_path: Path, how: Survival, draft: bytes | None
) -> None:
    for stop_at in range(1, 20):
        folder = tmp_path / str(stop_at) / "folder"
        folder.mkdir(parents=True)
        (folder / "file").write_bytes(b"old")
        if draft is not None:
            (folder / "file.new").write_bytes(draft)
        disk = FaultyDisk(stop_at=stop_at)
        disk.know(folder / "file")
        disk.know(folder / "file.new")
        try:
            disk.write_whole(folder / "file", [b"the new", b" one"])
            is_done = True
        except PowerCut:
            is_done = False
        left = disk.survivors(folder, tmp_path / str(stop_at) / "left", how)
        assert (left / "file").read_bytes() in ({b"the new one"} if is_done else {b"old", b"the new one"})
        again = Disk()
        again.write_whole(left / "file", [b"a later one"])
        assert again.read_whole(left / "file") == b"a later one" and again.listdir(left) == ["file"]
        if is_done:
            return
    pytest.fail("it never came to its end")


@pytest.mark.parametrize("fail_at", range(1, 7))
def test_t_q_04_a_whole_file_that_cannot_be_written_is_told_and_leaves_the_old_one(tmp_path: Path, fail_at: int) -> None:
    (tmp_path / "file").write_bytes(b"old")
    disk = FaultyDisk(fail_at=fail_at)
    with pytest.raises(OSError, match="Input/output error"):
        disk.write_whole(tmp_path / "file", [b"new"])
    # Only when nothing but the sync of the folder failed is the new one there, though it may not last.
    assert Disk().read_whole(tmp_path / "file") == (b"new" if disk.trace[-1][0] == "sync_folder" else b"old")
