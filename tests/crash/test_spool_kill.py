"""Real processes on one spool folder: killed outright, competing, and killed by the mail itself."""

import asyncio
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mailward.disk import Disk
from mailward.queue.item import QueuedRecipient
from mailward.queue.spool import Spool
from support.spooling import NOW, commit, flush

ROOT = Path(__file__).parents[2]


def worker(role: str, folder: Path) -> "subprocess.Popen[str]":
    path = os.pathsep.join(str(ROOT / name) for name in ("core", "plugins", "tests"))
    return subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("spool_worker.py")), role, str(folder)],
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        text=True,
    )


def test_t_q_01_what_a_killed_worker_acknowledged_is_adopted(tmp_path: Path) -> None:
    for round_number in range(6):
        folder = tmp_path / str(round_number)
        folder.mkdir()
        child = worker("commit", folder)
        assert child.stdout is not None
        acknowledged = {}
        for _ in range(10 + 25 * round_number):
            queue_id, size_octets = child.stdout.readline().split()
            acknowledged[queue_id] = int(size_octets)
        child.kill()
        for line in child.stdout.read().splitlines():
            if len(words := line.split()) == 2:
                acknowledged[words[0]] = int(words[1])
        child.wait()
        spool = Spool(folder / "spool", Disk(), owner="queue")
        adoption = spool.adopt()
        assert not adoption.reports
        assert len(adoption.items) == len(set(adoption.items))
        assert set(acknowledged) <= set(adoption.items)
        for queue_id in adoption.items:
            octets = spool.octets(queue_id)  # checks the octets against their checksum
            assert len(octets) == acknowledged.get(queue_id, len(octets))
            assert list(spool.open_recipients(queue_id)) == [0, 1]
        assert not list((folder / "spool").glob("*.part"))
        asyncio.run(spool.close())


async def test_t_q_09_a_live_owner_keeps_its_segments(tmp_path: Path) -> None:
    owner, other = (Spool(tmp_path / "spool", Disk(), owner=name) for name in ("smtp", "queue"))
    small = await commit(owner, b"small")
    large = await commit(owner, b"x" * 300_000)
    receiving = owner.begin(large.id)
    receiving.write(b"x" * 300_000)
    assert not other.adopt().items
    assert owner.octets(large.id) == b"x" * 300_000 and receiving.octets[:1] == b"x"
    await owner.close()
    assert set(other.adopt().items) == {small.id, large.id}
    assert not Spool(tmp_path / "spool", Disk(), owner="queue").adopt().items
    receiving.abort()
    await other.close()


def test_t_q_09_a_stopped_worker_keeps_what_it_has_and_goes_on_with_it(tmp_path: Path) -> None:
    child = worker("commit", tmp_path)
    assert child.stdout is not None
    try:
        acknowledged = [child.stdout.readline().split()[0] for _ in range(20)]
        child.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, child.pid, os.WSTOPPED | os.WNOWAIT)
        queue = Spool(tmp_path / "spool", Disk(), owner="queue")
        for _ in range(20):
            assert not queue.adopt().items
        child.send_signal(signal.SIGCONT)
        acknowledged += [child.stdout.readline().split()[0] for _ in range(200)]
    finally:
        child.kill()
    acknowledged += [words[0] for line in child.stdout if len(words := line.split()) == 2]
    child.wait()
    adopted: list[str] = []
    while (adoption := queue.adopt()).items:
        adopted += adoption.items
    assert set(acknowledged) <= set(adopted) and len(adopted) == len(set(adopted))
    asyncio.run(queue.close())


async def test_t_q_09_two_queue_processes_share_no_message(tmp_path: Path) -> None:
    committed = set()
    for number in range(12):
        spool = Spool(tmp_path / "spool", Disk(), owner=f"smtp{number}")
        committed |= {(await commit(spool, b"mail %d" % number)).id for _ in range(3)}
        await spool.close()
    adopters = [Spool(tmp_path / "spool", Disk(), owner=f"queue{number}") for number in range(4)]
    with ThreadPoolExecutor(4) as threads:
        adoptions = list(threads.map(lambda adopter: adopter.adopt(), adopters))
    taken = [queue_id for adoption in adoptions for queue_id in adoption.items]
    assert sorted(taken) == sorted(committed)
    for adopter in adopters:
        await adopter.close()


async def test_t_q_08_mail_that_kills_its_process_is_held_and_others_flow(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", Disk(), owner="smtp")
    before = [await commit(spool, b"before") for _ in range(3)]
    poison = await commit(spool, b"poison", [QueuedRecipient("poison@example.org", "mailbox", account="user0")])
    after = [await commit(spool, b"after") for _ in range(3)]
    await spool.close()
    exits: list[int] = []
    while not exits or exits[-1] != 0:
        child = worker("deliver", tmp_path)
        child.communicate()
        exits.append(child.returncode)
        assert len(exits) < 10
    assert exits == [-signal.SIGKILL] * 3 + [0]
    delivered = {path.name for path in (tmp_path / "delivered").iterdir()}
    assert delivered == {f"{item.id}:0" for item in (*before, *after)}
    keeper = Spool(tmp_path / "spool", Disk(), owner="queue")
    assert keeper.adopt().items == (poison.id,)
    assert keeper.octets(poison.id) == b"poison"
    await keeper.close()


async def test_t_q_11_state_of_each_recipient_survives_the_process(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", Disk(), owner="smtp")
    item = await commit(spool, b"to four", 4)
    spool.done(item.id, 0, "delivered to INBOX")
    spool.failed_attempt(item.id, 2, "no room", NOW)
    await asyncio.to_thread(flush, spool)
    await spool.close()
    for _ in range(3):  # however often it changes hands
        keeper = Spool(tmp_path / "spool", Disk(), owner="queue")
        assert keeper.adopt().items == (item.id,)
        states = keeper.open_recipients(item.id)
        assert list(states) == [1, 2, 3]
        assert (states[2].failures, states[2].text, states[2].next_at) == (1, "no room", "2026-03-01T12:00:00.000Z")
        assert states[1].failures == states[3].failures == 0
        await keeper.close()
