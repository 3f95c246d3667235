"""Taking over what others left: where it lies, or, where that is not worth it, by moving it."""

import errno
from collections.abc import Sequence
from pathlib import Path

import pytest

from mailward.disk import Disk, Octets
from mailward.model.errors import StorageError
from mailward.model.ids import QueueId
from mailward.queue.adopter import PASSES_AFTER_FAILURE, PASSES_BETWEEN_MOVES
from mailward.queue.compaction import MOST_SEGMENTS
from mailward.queue.spool import Spool
from support.faulty_disk import FaultyDisk
from support.spooling import NOW, commit, flush


def segments(folder: Path) -> list[Path]:
    return sorted((folder / "spool").glob("*.seg"))


async def left(folder: Path, count: int, octets: bytes = b"x" * 2000, **limits: int) -> list[QueueId]:
    """Messages in segments without an owner."""
    spool = Spool(folder / "spool", Disk(), owner="smtp", **limits)
    ids = [(await commit(spool, octets)).id for _ in range(count)]
    await spool.close()
    return ids


async def test_what_is_taken_over_is_not_written_again_and_its_journal_goes_on_where_it_is(tmp_path: Path) -> None:
    ids = await left(tmp_path, 20)
    (segment,) = segments(tmp_path)
    before = segment.read_bytes()
    disk = FaultyDisk()
    queue = Spool(tmp_path / "spool", disk, owner="queue")
    assert list(queue.adopt().items) == ids
    assert {call for call, _ in disk.trace} <= {"listdir", "open_existing", "lock", "read"}
    assert segments(tmp_path) == [segment] and segment.read_bytes() == before
    queue.done(ids[0], 0, "delivered")
    queue.failed_attempt(ids[1], 0, "no room", NOW)
    flush(queue)
    assert segment.read_bytes().startswith(before)
    await queue.close()
    other = Spool(tmp_path / "spool", Disk(), owner="other")
    assert list(other.adopt().items) == ids[1:] and other.open_recipients(ids[1])[0].text == "no room"
    await other.close()


async def test_t_q_03_a_torn_tail_is_taken_off_before_the_journal_goes_on(tmp_path: Path) -> None:
    ids = await left(tmp_path, 3)
    (segment,) = segments(tmp_path)
    whole = segment.read_bytes()
    segment.write_bytes(whole + whole[:1000])
    queue = Spool(tmp_path / "spool", Disk(), owner="queue")
    assert list(queue.adopt().items) == ids
    queue.done(ids[0], 0, "delivered")
    flush(queue)
    await queue.close()
    other = Spool(tmp_path / "spool", Disk(), owner="other")
    adoption = other.adopt()
    assert list(adoption.items) == ids[1:] and not adoption.reports
    await other.close()


class _Failing(Disk):
    """Writing and syncing fails while it is told so."""

    fails = False

    def write(self, fd: int, buffers: Sequence[Octets]) -> None:
        if self.fails:
            raise OSError(errno.ENOSPC, "the medium is full")
        super().write(fd, buffers)

    def sync(self, fd: int) -> None:
        if self.fails:
            raise OSError(errno.EIO, "the medium is bad")
        super().sync(fd)


class _NoSync(_Failing):
    """Only syncing fails."""

    def write(self, fd: int, buffers: Sequence[Octets]) -> None:
        Disk.write(self, fd, buffers)


async def test_t_q_04_a_segment_that_could_not_be_synced_is_moved_and_never_appended_to(tmp_path: Path) -> None:
    worker = Spool(tmp_path / "spool", disk := _NoSync(), owner="smtp")
    first = await commit(worker, b"first")
    disk.fails = True
    with pytest.raises(StorageError, match="medium"):
        await commit(worker, b"second")
    await worker.close()
    (segment,) = segments(tmp_path)
    queue = Spool(tmp_path / "spool", watched := FaultyDisk(), owner="queue")
    assert queue.adopt().items == (first.id,)
    assert {call for call, name in watched.trace if name == segment.name} == {"open_existing", "lock", "read", "unlink"}
    assert not segment.exists() and queue.octets(first.id) == b"first"
    await queue.close()


async def test_t_q_05_mail_of_which_no_attempt_could_be_noted_is_tried_again_by_the_same_process(tmp_path: Path) -> None:
    (first,) = await left(tmp_path, 1)
    queue = Spool(tmp_path / "spool", disk := _Failing(), owner="queue")
    assert queue.adopt().items == (first,)
    disk.fails = True
    assert queue.begin_attempts([(first, 0)]) == frozenset()
    assert not any(queue.adopt().items for _ in range(3))  # it cannot move yet
    disk.fails = False
    assert [item for _ in range(PASSES_AFTER_FAILURE) for item in queue.adopt().items] == [first]
    assert queue.open_recipients(first)[0].begun == 0
    assert queue.begin_attempts([(first, 0)]) == {(first, 0)}
    await queue.close()


async def test_many_small_segments_become_few(tmp_path: Path) -> None:
    ids = [id for _ in range(3 * MOST_SEGMENTS) for id in await left(tmp_path, 1)]
    queue = Spool(tmp_path / "spool", Disk(), owner="queue")
    adopted: list[QueueId] = []
    while (adoption := queue.adopt()).is_more:
        assert len(adoption.items) <= MOST_SEGMENTS
        adopted += adoption.items
    assert sorted([*adopted, *adoption.items]) == sorted(ids)
    assert len(segments(tmp_path)) <= MOST_SEGMENTS + 1
    assert all(queue.octets(queue_id) == b"x" * 2000 for queue_id in queue.ids())
    await queue.close()


async def test_a_segment_that_is_mostly_finished_is_emptied_in_time(tmp_path: Path) -> None:
    ids = await left(tmp_path, 40, segment_octets=200_000)
    (segment,) = segments(tmp_path)
    queue = Spool(tmp_path / "spool", Disk(), owner="queue", segment_octets=200_000)
    queue.adopt()
    queue.failed_attempt(ids[0], 0, "no room", NOW)
    queue.begin_attempts([(ids[1], 0)])
    for queue_id in ids[2:]:
        queue.done(queue_id, 0, "delivered")
    flush(queue)
    size_octets = segment.stat().st_size
    for _ in range(400):
        queue.adopt()
    (moved,) = segments(tmp_path)
    assert moved != segment and moved.stat().st_size < size_octets / 4
    assert queue.open_recipients(ids[0])[0].failures == 1
    assert not queue.open_recipients(ids[1])[0].waiting  # its attempt is still under way
    queue.done(ids[1], 0, "delivered")
    flush(queue)
    assert queue.ids() == [ids[0]]
    await queue.close()


async def test_t_q_17_a_long_queue_is_taken_over_in_steps(tmp_path: Path) -> None:
    ids = await left(tmp_path, 100, segment_octets=20_000)
    queue = Spool(tmp_path / "spool", Disk(), owner="queue", segment_octets=20_000)
    steps = [queue.adopt()]
    while steps[-1].is_more:
        steps.append(queue.adopt())
    assert len(steps) > 5 and sorted(id for step in steps for id in step.items) == sorted(ids)
    await queue.close()


async def test_t_q_10_what_moved_out_of_a_segment_that_stays_is_not_found_in_it_again(tmp_path: Path) -> None:
    ids = await left(tmp_path, 40, segment_octets=200_000)
    (segment,) = segments(tmp_path)
    queue = Spool(tmp_path / "spool", Disk(), owner="queue", segment_octets=200_000)
    queue.adopt()
    queue.hold([(ids[0], 0)], "an admin's wish")
    octets = segment.read_bytes()
    segment.write_bytes(octets.replace(b"x" * 50, b"y" * 50, 1))  # of the first message, which therefore cannot move
    for queue_id in ids[3:]:
        queue.done(queue_id, 0, "delivered")
    flush(queue)
    for _ in range(PASSES_BETWEEN_MOVES + 1):
        queue.adopt()
    assert len(segments(tmp_path)) == 2
    for queue_id in ids[1:3]:
        queue.begin_attempts([(queue_id, 0)])
        await queue.finish([(queue_id, 0, "relayed")])
    await queue.close()
    other = Spool(tmp_path / "spool", Disk(), owner="other")
    assert not set(other.adopt().items) & set(ids[1:])
    await other.close()


async def test_t_q_13_a_damaged_message_keeps_no_other_back_where_no_journal_can_be_written(tmp_path: Path) -> None:
    ids = await left(tmp_path, 4)
    (segment,) = segments(tmp_path)
    segment.write_bytes(segment.read_bytes().replace(b"x" * 50, b"y" * 50, 1))
    disk = Disk()
    fd = disk.open_existing(segment)
    disk.doubt(fd)
    disk.close(fd)
    queue = Spool(tmp_path / "spool", disk, owner="queue")
    found = list(queue.adopt().items)
    for _ in range(3):
        found += queue.adopt().items
    assert found == ids[1:]
    assert list(queue.begin_attempts([(queue_id, 0) for queue_id in ids[1:]])) != []
    assert len(list((tmp_path / "spool" / "corrupt").iterdir())) == 1
    await queue.close()


class _Barred(Disk):
    def open_existing(self, path: Path) -> int:
        if path.name.startswith("barred"):
            raise PermissionError(errno.EACCES, "Permission denied")
        return super().open_existing(path)


async def test_a_segment_that_cannot_be_opened_keeps_no_other_back(tmp_path: Path) -> None:
    ids = await left(tmp_path, 2)
    (tmp_path / "spool" / "barred-0011223344556677.seg").write_bytes(b"")
    queue = Spool(tmp_path / "spool", _Barred(), owner="queue")
    adoption = queue.adopt()
    assert list(adoption.items) == ids
    assert [report.name for report in adoption.reports] == ["barred-0011223344556677.seg"]
    assert queue.adopt().reports == ()
    await queue.close()


class _Full(Disk):
    is_full = False

    def write(self, fd: int, buffers: Sequence[Octets]) -> None:
        if self.is_full:
            raise OSError(errno.ENOSPC, "No space left on device")
        super().write(fd, buffers)


async def test_t_q_11_an_end_that_no_journal_has_counts_when_its_message_is_taken_over_again(tmp_path: Path) -> None:
    ids = await left(tmp_path, 2)
    disk = _Full()
    queue = Spool(tmp_path / "spool", disk, owner="queue")
    queue.adopt()
    queue.begin_attempts([(ids[0], 0)])
    disk.is_full = True
    await queue.finish([(ids[0], 0, "relayed")])
    disk.is_full = False
    found = [queue_id for _ in range(PASSES_BETWEEN_MOVES + 1) for queue_id in queue.adopt().items]
    assert found and queue.ids() == [ids[1]]
    await queue.close()
