"""What an admin ordered and was told is so, is so after a power cut at any file call, and orders lose no mail."""

import asyncio
import contextlib
import errno
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

import pytest

from mailward.disk import Disk
from mailward.model.errors import StorageError
from mailward.model.ids import QueueId
from mailward.queue.spool import Recipient, Spool
from support.faulty_disk import FaultyDisk, PowerCut, Survival
from support.spooling import NOW, commit

MESSAGES = (b"a" * 500, b"b" * 5000, b"c" * 300)
RECIPIENTS = 3


@dataclass
class Told:
    """The last order that was confirmed for each recipient, and those of whom one was asked for and not confirmed."""

    state: dict[Recipient, str] = field(default_factory=dict)
    unsure: set[Recipient] = field(default_factory=set)

    def order(self, spool: Spool, what: str, *recipients: Recipient) -> None:
        self.unsure |= set(recipients)
        if what == "held":
            done = spool.hold(recipients, "why")
        elif what == "dropped":
            done = spool.drop(recipients, "why")
        else:
            done = spool.release(recipients)
        self.unsure -= done
        self.state |= dict.fromkeys(done, what)


async def left_behind(folder: Path) -> list[QueueId]:
    """Mail that a worker could not deliver; one message is large."""
    Disk().mkdir(folder)
    spool = Spool(folder, Disk(), owner="smtp", in_memory_octets=3000)
    items = [await commit(spool, octets, RECIPIENTS) for octets in MESSAGES]
    await spool.close()
    return [item.id for item in items]


async def administer(folder: Path, disk: Disk, ids: list[QueueId], told: Told) -> None:
    """A queue process that is given orders while it works; ends early by PowerCut."""
    spool = Spool(folder, disk, owner="queue", in_memory_octets=3000, segment_octets=4000)
    spool.adopt()
    first, large, third = ids
    told.order(spool, "held", (first, 0), (large, 0), (third, 0))
    spool.begin_attempts([(first, 1)])
    spool.failed_attempt(first, 1, "no", NOW)
    told.order(spool, "dropped", (first, 1), (large, 1))
    told.order(spool, "released", (first, 0))
    told.order(spool, "dropped", (large, 0), (large, 2))  # the last of the large message
    told.order(spool, "held", (third, 1), (first, 0))
    await spool.close()


def check(folder: Path, ids: list[QueueId], told: Told) -> None:
    spool = Spool(folder, Disk(), owner="next")
    spool.adopt()
    for queue_id in ids:
        states = spool.open_recipients(queue_id)
        for index in range(RECIPIENTS):
            recipient = (queue_id, index)
            if recipient in told.unsure:
                continue
            expected = told.state.get(recipient, "")
            assert (index not in states) == (expected == "dropped"), (recipient, expected)
            if index in states:
                assert states[index].hold_reason == ("why" if expected == "held" else ""), (recipient, expected)
        if states:
            assert len(spool.octets(queue_id)) in map(len, MESSAGES)
    asyncio.run(spool.close())


def run(folder: Path, disk: Disk, ids: list[QueueId]) -> Told:
    told = Told()
    with contextlib.suppress(PowerCut, StorageError):
        asyncio.run(administer(folder, disk, ids, told))
    return told


def copied(left: Path, to: Path, disk: FaultyDisk) -> Path:
    folder = Path(shutil.copytree(left, to / "spool"))
    for path in folder.iterdir():
        disk.know(path)
    return folder


def test_all_orders_are_confirmed_when_nothing_fails(tmp_path: Path) -> None:
    ids = asyncio.run(left_behind(tmp_path / "spool"))
    told = run(tmp_path / "spool", Disk(), ids)
    assert not told.unsure and sorted(told.state.values()) == ["dropped"] * 4 + ["held"] * 3
    check(tmp_path / "spool", ids, told)


@pytest.mark.parametrize("how", get_args(Survival))
def test_t_q_02_confirmed_orders_outlive_a_power_cut_at_every_file_call(tmp_path: Path, how: Survival) -> None:
    left = tmp_path / "left" / "spool"
    ids = asyncio.run(left_behind(left))
    call = 0
    while True:
        call += 1
        disk = FaultyDisk(stop_at=call)
        folder = copied(left, tmp_path / f"{call}", disk)
        told = run(folder, disk, ids)
        if len(disk.trace) < call:
            break
        check(disk.survivors(folder, tmp_path / f"{call}-left", how), ids, told)
    assert call > 15


@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC], ids=errno.errorcode.get)
def test_t_q_04_05_an_error_at_any_file_call_of_an_order_is_told_and_loses_nothing(tmp_path: Path, error: int) -> None:
    left = tmp_path / "left" / "spool"
    ids = asyncio.run(left_behind(left))
    call = 0
    while True:
        call += 1
        disk = FaultyDisk(fail_at=call, error=error)
        folder = copied(left, tmp_path / f"{call}", disk)
        told = run(folder, disk, ids)
        check(folder, ids, told)
        if len(disk.trace) < call:
            break
    assert call > 15
