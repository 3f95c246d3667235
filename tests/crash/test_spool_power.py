"""The spool's promise at every file call: acknowledged mail is there once per recipient, other mail not at all or whole.

One life of a worker (small and large mail, several recipients, a failed attempt, a full segment) is stopped at each of
its calls, or one call fails; then the queue process finds what is left. The same is done to the queue process.
"""

import asyncio
import contextlib
import errno
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

import pytest

from mailward.delivery.manager import DeliveryManager
from mailward.delivery.passes import Passes
from mailward.disk import Disk
from mailward.model.errors import StorageError
from mailward.model.ids import QueueId
from mailward.queue.agenda import Agenda
from mailward.queue.spool import Spool
from support.faulty_disk import FaultyDisk, PowerCut, Survival
from support.spooling import NOW, Clock, Ledger, flush, item_for

SEGMENT_OCTETS = 6000
IN_MEMORY_OCTETS = 3000
MESSAGES = (b"a" * 500, b"b" * 5000, b"c" * 2500, b"d" * 100, b"e" * 7000, b"f" * 2500, b"g" * 10)
RECIPIENTS = (2, 1, 1, 3, 2, 1, 1)


@pytest.fixture(autouse=True)
def hardly_lazy(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was done waits for company as ever, only not for so long: all of these tests wait for it some thousand times."""
    monkeypatch.setattr("mailward.queue.writer.LAZY_S", 0.01)


@dataclass
class Life:
    """What the outside saw. sent: all messages with the number of their recipients; acknowledged: those answered 250."""

    sent: dict[QueueId, tuple[bytes, int]] = field(default_factory=dict)
    acknowledged: set[QueueId] = field(default_factory=set)
    ledger: Ledger = field(default_factory=Ledger)

    def check(self) -> None:
        for queue_id in self.acknowledged:
            octets, recipients = self.sent[queue_id]
            for index in range(recipients):
                assert self.ledger.kept.get(f"{queue_id}:{index}") == octets, (queue_id, index)
        for key, octets in self.ledger.kept.items():
            assert octets == self.sent[QueueId(key.partition(":")[0])][0]


async def receive(spool: Spool, life: Life, number: int) -> None:
    octets = MESSAGES[number]
    item = item_for(octets, RECIPIENTS[number])
    life.sent[item.id] = (octets, RECIPIENTS[number])
    incoming = spool.begin(item.id)
    try:
        incoming.write(octets[:50])
        incoming.write(octets[50:])
        assert incoming.octets[:] == octets
        await incoming.commit(item)
    except (StorageError, OSError):
        incoming.abort()
        return
    life.acknowledged.add(item.id)


def serve(spool: Spool, life: Life, queue_id: QueueId, index: int) -> None:
    """A delivery as the manager makes it: the store first, then the journal."""
    try:
        octets = spool.octets(queue_id)
    except StorageError:
        return
    life.ledger.kept.setdefault(f"{queue_id}:{index}", octets)
    spool.done(queue_id, index, "delivered to INBOX")


async def live(folder: Path, disk: Disk, life: Life) -> None:
    """One worker from start to end; ends early by PowerCut."""
    spool = Spool(folder, disk, owner="smtp", segment_octets=SEGMENT_OCTETS, in_memory_octets=IN_MEMORY_OCTETS)
    for number in (0, 1):
        await receive(spool, life, number)
    first, second = list(life.sent)
    serve(spool, life, first, 0)
    serve(spool, life, second, 0)
    await asyncio.to_thread(flush, spool)
    await asyncio.gather(receive(spool, life, 2), receive(spool, life, 3))
    await receive(spool, life, 4)
    large = list(life.sent)[4]
    spool.failed_attempt(large, 0, "the store is not there", NOW)
    serve(spool, life, large, 1)
    serve(spool, life, first, 1)
    await asyncio.to_thread(flush, spool)
    for number in (5, 6):
        await receive(spool, life, number)
    await spool.close()


def run_life(folder: Path, disk: Disk) -> Life:
    life = Life()
    Disk().mkdir(folder)
    with contextlib.suppress(PowerCut, StorageError):
        asyncio.run(live(folder, disk, life))
    return life


def recover(folder: Path, life: Life, disk: Disk | None = None) -> Spool:
    """The queue process takes over and delivers all that is left."""
    spool = Spool(folder, disk or Disk(), owner="queue", segment_octets=SEGMENT_OCTETS, in_memory_octets=IN_MEMORY_OCTETS)
    clock = Clock()
    manager = DeliveryManager(spool, life.ledger, life.ledger, clock, chance=lambda: 0.0)
    agenda = Agenda(spool, clock, clock.monotonic_s)
    try:
        for _ in range(3):
            asyncio.run(Passes(agenda, (manager,)).run_once())
            manager.wait_idle()
            clock.seconds += 5000.0
        flush(spool)
    finally:
        asyncio.run(manager.stop())
        with contextlib.suppress(PowerCut):
            asyncio.run(spool.close())
    return spool


def files_left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def number_of_calls(tmp_path: Path) -> int:
    disk = FaultyDisk()
    life = run_life(tmp_path / "whole" / "spool", disk)
    assert len(life.acknowledged) == len(MESSAGES)
    return len(disk.trace)


@pytest.mark.parametrize("how", get_args(Survival))
def test_t_q_01_02_03_power_cut_at_every_file_call(tmp_path: Path, how: Survival) -> None:
    for call in range(1, number_of_calls(tmp_path) + 1):
        disk = FaultyDisk(stop_at=call)
        life = run_life(tmp_path / f"{call}" / "spool", disk)
        folder = disk.survivors(tmp_path / f"{call}" / "spool", tmp_path / f"{call}-left", how)
        recover(folder, life)
        life.check()
        corrupt = [name for name in files_left(folder) if name.endswith((".json", ".msg"))]
        assert not corrupt, (call, disk.trace[-1], corrupt)
        assert how == "zeros" or not files_left(folder), (call, disk.trace[-1], files_left(folder))


@pytest.mark.parametrize("for_good", [False, True], ids=["once", "for good"])
@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC, errno.EMFILE, errno.EROFS], ids=errno.errorcode.get)
def test_t_q_04_05_06_error_at_every_file_call(tmp_path: Path, error: int, for_good: bool) -> None:
    for call in range(1, number_of_calls(tmp_path) + 3):
        folder = tmp_path / f"{call}" / "spool"
        disk = FaultyDisk(fail_at=call, error=error, for_good=for_good)
        life = run_life(folder, disk)
        if not for_good:
            assert len(life.acknowledged) >= len(MESSAGES) - 2, (call, disk.trace[call - 1])  # those of one batch
        recover(folder, life)
        life.check()
        assert not files_left(folder), (call, disk.trace[call - 1 : call], files_left(folder))


def left_to_adopt(tmp_path: Path, doubted: bool) -> tuple[Life, Path]:
    """What a worker left that was killed at its last call. doubted: writing failed before, so its mail is to move."""
    life = run_life(tmp_path / "first" / "spool", worker := FaultyDisk(stop_at=number_of_calls(tmp_path)))
    left = worker.survivors(tmp_path / "first" / "spool", tmp_path / "first-left", "written")
    for segment in left.glob("*.seg"):
        segment.chmod(0o700 if doubted else 0o600)
    return life, left


@pytest.mark.parametrize("doubted", [False, True], ids=["in place", "moved"])
@pytest.mark.parametrize("how", get_args(Survival))
def test_t_q_01_power_cut_at_every_file_call_of_an_adoption(tmp_path: Path, how: Survival, doubted: bool) -> None:
    life, left = left_to_adopt(tmp_path, doubted)
    before = dict(life.ledger.kept)
    call = 0
    while True:
        call += 1
        life.ledger.kept = dict(before)
        disk = FaultyDisk(stop_at=call)
        folder = Path(shutil.copytree(left, tmp_path / f"{call}" / "spool"))
        for path in folder.iterdir():
            disk.know(path)
        with contextlib.suppress(PowerCut, StorageError):
            recover(folder, life, disk)
        if len(disk.trace) < call:
            break
        recover(disk.survivors(folder, tmp_path / f"{call}-left", how), life)
        life.check()
    assert call > 20


@pytest.mark.parametrize("doubted", [False, True], ids=["in place", "moved"])
@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC], ids=errno.errorcode.get)
def test_t_q_05_error_at_every_file_call_of_an_adoption(tmp_path: Path, error: int, doubted: bool) -> None:
    life, left = left_to_adopt(tmp_path, doubted)
    before = dict(life.ledger.kept)
    call = 0
    while True:
        call += 1
        life.ledger.kept = dict(before)
        disk = FaultyDisk(fail_at=call, error=error)
        folder = Path(shutil.copytree(left, tmp_path / f"{call}" / "spool"))
        with contextlib.suppress(StorageError):
            recover(folder, life, disk)
        recover(folder, life)
        life.check()
        assert not [name for name in files_left(folder) if name.endswith(".msg")], call
        if len(disk.trace) < call:
            break
    assert call > 20


def test_t_q_04_what_a_failed_sync_has_lost_was_not_acknowledged(tmp_path: Path) -> None:
    """The sync fails once, life goes on, and then the power is cut."""
    failed = 0
    for call in range(1, number_of_calls(tmp_path) + 1):
        disk = FaultyDisk(fail_at=call)
        life = run_life(tmp_path / f"{call}" / "spool", disk)
        if not disk.trace[call - 1 : call] or not disk.trace[call - 1][0].startswith("sync"):
            continue
        failed += 1
        folder = disk.survivors(tmp_path / f"{call}" / "spool", tmp_path / f"{call}-left", "synced")
        recover(folder, life)
        life.check()
    assert failed > 8


def test_t_q_04_after_a_failed_sync_the_file_is_never_written_or_synced_again(tmp_path: Path) -> None:
    for call in range(1, number_of_calls(tmp_path) + 1):
        disk = FaultyDisk(fail_at=call)
        run_life(tmp_path / f"{call}" / "spool", disk)
        failed, name = disk.trace[call - 1] if call <= len(disk.trace) else ("", "")  # batches differ from run to run
        if failed in ("sync", "write") and name.endswith(".seg"):
            later = {what for what, where in disk.trace[call:] if where == name}
            assert later <= {"truncate", "doubt", "unlink", "read"}, (call, later)
