"""Commit, journal and adoption on a real file system."""

import asyncio
import contextlib
import errno
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mailward.disk import Disk
from mailward.model.errors import LocalError, StorageError
from mailward.model.ids import QueueId
from mailward.queue.item import QueueItem
from mailward.queue.recover import drop_leftovers
from mailward.queue.spool import NotHere, Spool
from support.faulty_disk import FaultyDisk
from support.spooling import NOW, commit, flush, item_for


def spool_at(folder: Path, owner: str = "smtp", disk: Disk | None = None, **limits: int) -> Spool:
    return Spool(folder / "spool", disk or Disk(), owner=owner, **limits)


def files(folder: Path) -> list[str]:
    return sorted(path.suffix for path in (folder / "spool").iterdir())


@pytest.mark.parametrize("size_octets", [0, 1, 999, 262_144, 262_145, 3_000_000])
async def test_what_was_committed_is_read_back(tmp_path: Path, size_octets: int) -> None:
    spool = spool_at(tmp_path)
    octets = bytes(range(256)) * (size_octets // 256) + b"x" * (size_octets % 256)
    item = await commit(spool, octets, 3)
    assert spool.octets(item.id) == octets
    assert spool.item(item.id) == item
    assert spool.ids() == [item.id] and list(spool.open_recipients(item.id)) == [0, 1, 2]
    assert files(tmp_path) == ([".seg"] if size_octets <= 262_144 else [".msg", ".seg"])
    await spool.close()


class _AtHand(Disk):
    """Nothing must be waited for, or everything. what: happens before it is read."""

    def __init__(self, *, is_there: bool, what: Callable[[int], None] = lambda _: None) -> None:
        self._is_there = is_there
        self._what = what

    def read_at_hand(self, fd: int, offset: int, length: int) -> bytes | None:
        self._what(fd)
        return self.read(fd, offset, length) if self._is_there else None


@pytest.mark.parametrize("is_there", [True, False])
@pytest.mark.parametrize("size_octets", [0, 999, 262_144, 262_145])
async def test_what_is_at_hand_is_read_without_waiting(tmp_path: Path, size_octets: int, *, is_there: bool) -> None:
    spool = spool_at(tmp_path, disk=_AtHand(is_there=is_there))
    item = await commit(spool, b"x" * size_octets)
    found = spool.octets_at_hand(item.id)
    assert found == (spool.octets(item.id) if is_there and size_octets <= 262_144 else None)
    await spool.finish([(item.id, 0, "done")])
    assert spool.octets_at_hand(item.id) is None
    await spool.close()


@pytest.mark.parametrize("problem", ["damaged", "an error", "closed meanwhile"])
async def test_t_q_13_what_is_wrong_with_what_is_at_hand_is_for_others_to_find_out(tmp_path: Path, problem: str) -> None:
    def happens(_: int) -> None:
        if problem == "an error":
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        if problem == "closed meanwhile":
            spool.leave(item.id)
            flush(spool)

    spool = spool_at(tmp_path, disk=_AtHand(is_there=problem == "damaged", what=happens))
    item = await commit(spool, b"x" * 2000)
    if problem == "damaged":
        (segment,) = (tmp_path / "spool").glob("*.seg")
        segment.write_bytes(segment.read_bytes()[:-1] + b"y")
    assert spool.octets_at_hand(item.id) is None
    with contextlib.nullcontext() if problem == "an error" else pytest.raises(StorageError):
        spool.octets(item.id)
    await spool.close()


async def test_concurrent_commits_share_syncs(tmp_path: Path) -> None:
    disk = FaultyDisk()
    spool = spool_at(tmp_path, disk=disk)
    await asyncio.gather(*(commit(spool, b"x" * 2000) for _ in range(200)))
    syncs = sum(call == "sync" for call, _ in disk.trace)
    assert len(spool.ids()) == 200
    assert syncs < 100
    await spool.close()


async def test_finished_segments_and_large_files_are_deleted(tmp_path: Path) -> None:
    spool = spool_at(tmp_path, segment_octets=5000)
    items = [await commit(spool, octets, 2) for octets in (b"a" * 3000, b"b" * 3000, b"c" * 300_000, b"d")]
    assert files(tmp_path).count(".seg") > 1
    for item in items:
        spool.done(item.id, 0, "delivered to INBOX")
        spool.done(item.id, 1, "delivered to INBOX")
    flush(spool)
    assert not spool.ids()
    with pytest.raises(NotHere):
        spool.octets(items[0].id)
    await spool.close()
    assert files(tmp_path) == []


async def test_abort_leaves_nothing(tmp_path: Path) -> None:
    spool = spool_at(tmp_path)
    for octets in (b"", b"small", b"x" * 300_000):
        incoming = spool.begin(item_for(b"").id)
        incoming.write(octets)
        incoming.abort()
        incoming.abort()
    assert files(tmp_path) == []
    with pytest.raises(LocalError):
        await incoming.commit(item_for(b""))


async def test_nothing_is_on_the_disk_before_the_first_commit(tmp_path: Path) -> None:
    spool = spool_at(tmp_path)
    spool.begin(item_for(b"").id).write(b"x")
    assert files(tmp_path) == []
    await spool.close()
    with pytest.raises(StorageError, match="closed"):
        await commit(spool, b"late")
    with pytest.raises(StorageError, match="closed"):
        await commit(spool, b"x" * 300_000)


async def test_a_commit_nobody_waits_for_any_more_goes_to_the_queue_process(tmp_path: Path) -> None:
    spool, queue = spool_at(tmp_path), spool_at(tmp_path, "queue")
    for size_octets in (10, 300_000):
        task = asyncio.create_task(commit(spool, b"x" * size_octets))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        adopted: tuple[QueueId, ...] = ()
        async with asyncio.timeout(60):
            while not adopted:
                adopted = await asyncio.to_thread(lambda: queue.adopt().items)
        assert len(adopted) == 1
        assert queue.octets(adopted[0]) == b"x" * size_octets
    await spool.close()
    await queue.close()


async def test_a_failed_attempt_hands_the_message_over_when_the_others_are_finished(tmp_path: Path) -> None:
    spool, queue = spool_at(tmp_path), spool_at(tmp_path, "queue")
    first, second = await commit(spool, b"first"), await commit(spool, b"second")
    spool.failed_attempt(first.id, 0, "no room", NOW)
    flush(spool)
    assert not queue.adopt().items  # the second is still being delivered
    third = await commit(spool, b"third")
    spool.done(second.id, 0, "delivered to INBOX")
    flush(spool)
    assert queue.adopt().items == (first.id,)
    assert spool.ids() == [third.id]
    state = queue.open_recipients(first.id)[0]
    assert (state.failures, state.text) == (1, "no room")
    await queue.close()
    await spool.close()


async def test_t_q_13_damage_in_a_segment_is_kept_reported_and_passed(tmp_path: Path) -> None:
    spool = spool_at(tmp_path)
    items = [await commit(spool, b"message %d " % number * 50) for number in range(3)]
    await spool.close()
    (segment,) = (tmp_path / "spool").glob("*.seg")
    octets = bytearray(segment.read_bytes())
    octets[octets.index(b"message 1") + 20] ^= 1
    segment.write_bytes(octets)
    queue = spool_at(tmp_path, "queue")
    adoption = queue.adopt()
    assert adoption.items == (items[0].id, items[2].id)
    (report,) = adoption.reports
    kept = (tmp_path / "spool" / report.kept).read_bytes()
    assert b"damaged" in report.text.encode() and b"message 1" in kept and items[1].id.encode() in kept
    assert not segment.exists()
    await queue.close()


async def test_t_q_13_damage_under_our_feet_is_found_when_read_and_set_aside(tmp_path: Path) -> None:
    spool = spool_at(tmp_path)
    small, large = await commit(spool, b"small message"), await commit(spool, b"large " * 60_000)
    for path in (tmp_path / "spool").iterdir():
        octets = bytearray(path.read_bytes())
        octets[octets.index(b"large " if path.suffix == ".msg" else b"small message")] ^= 1
        path.write_bytes(octets)
    for item in (small, large):
        with pytest.raises(StorageError, match="damaged") as error:
            spool.octets(item.id)
        assert error.value.permanent
        report = spool.set_aside(item.id, "damaged")
        kept = tmp_path / "spool" / report.kept
        assert QueueItem.from_json(kept.read_text()) == item
        assert kept.with_suffix(".msg").stat().st_size == item.size_octets
    flush(spool)
    assert not spool.ids()
    await spool.close()


class _ClosedBeforeRead(Disk):
    """Just before the first read something happens."""

    def __init__(self, happens: Callable[[int], None]) -> None:
        self._happens = [happens]

    def read(self, fd: int, offset: int, length: int) -> bytes:
        if self._happens:
            self._happens.pop()(fd)
        return super().read(fd, offset, length)


async def test_t_q_13_what_is_read_while_its_segment_is_closed_is_no_damage(tmp_path: Path) -> None:
    (tmp_path / "other").write_bytes(b"another file " * 1000)

    def close_and_reuse(fd: int) -> None:
        with (tmp_path / "other").open("rb") as other:
            spool.leave(item.id)
            flush(spool)
            numbers.append(os.dup2(other.fileno(), fd))

    numbers: list[int] = []
    spool = spool_at(tmp_path, disk=_ClosedBeforeRead(close_and_reuse))
    item = await commit(spool, b"x" * 2000)
    with pytest.raises(NotHere):
        spool.octets(item.id)
    os.close(*numbers)
    await spool.close()


@pytest.mark.parametrize("change", ["missing", "short"])
async def test_t_q_13_a_large_message_that_is_missing_or_short_is_reported(tmp_path: Path, change: str) -> None:
    spool = spool_at(tmp_path)
    item, other = await commit(spool, b"x" * 300_000), await commit(spool, b"other")
    await spool.close()
    (path,) = (tmp_path / "spool").glob("*.msg")
    path.unlink() if change == "missing" else path.write_bytes(b"x" * 1000)
    queue = spool_at(tmp_path, "queue")
    adoption = queue.adopt()
    assert adoption.items == (other.id,)
    assert (tmp_path / "spool" / adoption.reports[0].kept).read_text() == item.to_json()
    assert ((tmp_path / "spool/corrupt" / f"{item.id}.msg").exists()) == (change == "short")
    await queue.close()


@pytest.mark.parametrize("newer", ["item", "name"])
async def test_what_this_release_cannot_read_is_left_as_it_is(tmp_path: Path, newer: str) -> None:
    spool = spool_at(tmp_path)
    item = item_for(b"from the future")
    if newer == "item":
        item = QueueItem(**{**{name: getattr(item, name) for name in item.__slots__}, "version": 99})
    incoming = spool.begin(item.id)
    incoming.write(b"from the future")
    await incoming.commit(item)
    await spool.close()
    (segment,) = (tmp_path / "spool").glob("*.seg")
    if newer == "name":
        segment = segment.rename(segment.with_name("backup.seg"))
    before = segment.read_bytes()
    queue = spool_at(tmp_path, "queue")
    adoption = queue.adopt()
    assert not adoption.items and "left as it is" in adoption.reports[0].text
    assert not queue.adopt().reports  # told once
    assert segment.read_bytes() == before
    await queue.close()


async def test_a_message_found_twice_is_served_once_with_what_either_journal_knows(tmp_path: Path) -> None:
    spool = spool_at(tmp_path)
    item = await commit(spool, b"moved, then the power failed", 3)
    await spool.close()
    (old,) = (tmp_path / "spool").glob("*.seg")
    copy = old.read_bytes()
    queue = spool_at(tmp_path, "queue")
    queue.adopt()
    queue.done(item.id, 1, "delivered to INBOX")
    flush(queue)
    other = old.with_name(old.name.replace("smtp", "other"))
    other.write_bytes(copy)
    assert not queue.adopt().items
    assert list(queue.open_recipients(item.id)) == [0, 2]
    assert not other.exists()
    await queue.close()


async def test_begun_attempts_are_on_the_disk_before_the_work(tmp_path: Path) -> None:
    spool = spool_at(tmp_path)
    item = await commit(spool, b"x", 2)
    spool.begin_attempts([(item.id, 1)])
    (segment,) = (tmp_path / "spool").glob("*.seg")
    assert b'"begun":1' in segment.read_bytes()
    await spool.close()
    queue = spool_at(tmp_path, "queue")
    queue.adopt()
    assert [state.begun for state in queue.open_recipients(item.id).values()] == [0, 1]
    await queue.close()


FULL = """
import asyncio, resource, signal, sys
from pathlib import Path
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, 150_000))
from mailward.disk import Disk
from mailward.model.errors import StorageError
from mailward.queue.spool import Spool
from support.spooling import commit

async def main(folder):
    spool = Spool(folder / "spool", Disk(), owner="smtp", in_memory_octets=60_000)
    outcomes = ""
    for size_octets in (40_000, 40_000, 50_000, 50_000, 200_000, 70_000):
        try:
            await commit(spool, b"x" * size_octets)
            outcomes += "+"
        except StorageError:
            outcomes += "-"
    print(outcomes)
    await spool.close()

asyncio.run(main(Path(sys.argv[1])))
"""


async def test_t_q_05_a_write_the_kernel_cuts_short_is_refused_and_the_next_message_taken(tmp_path: Path) -> None:
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", FULL, str(tmp_path), env={"PYTHONPATH": ":".join(sys.path)}, stdout=subprocess.PIPE
    )
    output, _ = await child.communicate()
    assert output.split()[-1] == b"+++-" + b"-+"  # the segment reaches the limit; a file of its own does; all others pass
    queue = spool_at(tmp_path, "queue")
    adoption = queue.adopt()
    assert len(adoption.items) == 4 and not adoption.reports
    await queue.close()
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 150_000


async def test_t_q_10_what_is_finished_stays_finished_when_the_process_dies_at_once(tmp_path: Path) -> None:
    spool = spool_at(tmp_path)
    item = await commit(spool, b"x", 2)
    await spool.finish([(item.id, 0, "relayed to mx.example.net")])
    (segment,) = (tmp_path / "spool").glob("*.seg")
    octets = segment.read_bytes()  # what another process would find now
    await spool.close()
    segment.write_bytes(octets)
    other = spool_at(tmp_path, "queue")
    assert other.adopt().items == (item.id,) and set(other.open_recipients(item.id)) == {1}
    await other.close()


async def test_t_q_10_when_an_attempt_may_begin_the_ends_marked_before_it_outlive_the_process(tmp_path: Path) -> None:
    spool = spool_at(tmp_path, "queue")
    items = []
    for _ in range(2):
        item = item_for(b"x")
        incoming = spool.begin(item.id, kept=True)
        incoming.write(b"x")
        await incoming.commit(item)
        items.append(item)
    first, second = items
    assert await spool.begun([(first.id, 0)]) == {(first.id, 0)}
    spool.end([(first.id, 0, "relayed to mx.example.net")])
    assert await spool.begun([(second.id, 0), (first.id, 0)]) == {(second.id, 0)}
    (segment,) = (tmp_path / "spool").glob("*.seg")
    octets = segment.read_bytes()  # what another process would find now
    await spool.close()
    segment.write_bytes(octets)
    other = spool_at(tmp_path, "queue")
    assert other.adopt().items == (second.id,) and other.open_recipients(second.id)[0].begun == 1
    await other.close()


async def test_marks_of_one_turn_of_the_loop_share_a_write(tmp_path: Path) -> None:
    disk = FaultyDisk()
    spool = spool_at(tmp_path, disk=disk)
    item = await commit(spool, b"x", 9)
    before = len(disk.trace)

    async def go_on(index: int) -> None:
        spool.end([(item.id, index, "relayed")])
        await spool.begun([(item.id, index + 2)])

    await asyncio.gather(*(go_on(index) for index in (0, 1)), *(spool.begun([(item.id, index)]) for index in range(4, 8)))
    assert [call for call, _ in disk.trace[before:]] == ["write"]
    assert set(spool.open_recipients(item.id)) == set(range(2, 9))
    spool.end([(item.id, 8, "relayed")])
    await spool.close()
    with pytest.raises(StorageError, match="closed"):
        await spool.begun([(item.id, 2)])
    other = spool_at(tmp_path, "queue")
    assert other.adopt().items == (item.id,) and set(other.open_recipients(item.id)) == set(range(2, 8))
    await other.close()


@pytest.mark.parametrize("size_octets", [10, 400_000])
async def test_what_a_process_keeps_waits_for_it_until_it_is_finished(tmp_path: Path, size_octets: int) -> None:
    spool = spool_at(tmp_path, "queue")
    item = item_for(b"x" * size_octets)
    incoming = spool.begin(item.id, kept=True)
    incoming.write(b"x" * size_octets)
    await incoming.commit(item)
    assert spool.open_recipients(item.id)[0].waiting
    assert spool.begin_attempts([(item.id, 0)]) == {(item.id, 0)}
    assert spool.begin_attempts([(item.id, 0)]) == frozenset()
    spool.failed_attempt(item.id, 0, "later", NOW)
    flush(spool)
    assert spool.open_recipients(item.id)[0].failures == 1  # still ours, as what was adopted is
    await spool.close()


async def test_released_together_they_share_a_segment(tmp_path: Path) -> None:
    spool, other = spool_at(tmp_path), spool_at(tmp_path, "queue")
    items = [await commit(spool, b"x") for _ in range(5)]
    spool.leave(*(item.id for item in items))
    flush(spool)
    assert set(other.adopt().items) == {item.id for item in items}
    await spool.close()
    await other.close()


class _RecoveredBetween(Disk):
    """Another process looks for leftovers in the moment between the making of a file and its lock.

    cuts_in: how often. holds: it still has the lock when we ask for ours; otherwise the file is deleted by then.
    """

    def __init__(self, cuts_in: int, *, holds: bool) -> None:
        self._left, self._holds = cuts_in, holds
        self._theirs: list[int] = []

    def create_exclusive(self, path: Path) -> int:
        fd = super().create_exclusive(path)
        if path.suffix == ".part" and self._left:
            self._left -= 1
            if self._holds:
                self._theirs.append(self.open_existing(path))
                assert self.lock(self._theirs[-1])
            else:
                drop_leftovers(path.parent, Disk())
        return fd


@pytest.mark.parametrize("holds", [True, False])
async def test_a_recovery_that_takes_a_large_message_for_a_leftover_costs_nothing(tmp_path: Path, holds: bool) -> None:
    spool = spool_at(tmp_path, disk=_RecoveredBetween(2, holds=holds))
    octets = b"a line\r\n" * 100_000
    item = await commit(spool, octets)
    assert spool.octets(item.id) == octets
    await spool.close()


async def test_a_large_message_that_cannot_have_a_file_of_its_own_is_refused(tmp_path: Path) -> None:
    spool = spool_at(tmp_path, disk=_RecoveredBetween(9, holds=False))
    with pytest.raises(StorageError, match="leftover 3 times"):
        await commit(spool, b"a line\r\n" * 100_000)
    await spool.close()
