"""One leader at a time does what all wait for; other processes are waited for in the kernel."""

import os
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from mailward.disk import Disk
from mailward.store.groupcommit import GroupCommit
from support.storecheck import message
from support.stores import ALICE, account, append


def test_work_that_came_while_the_leader_was_busy_is_one_batch() -> None:
    batches: list[Sequence[int]] = []
    is_busy, may_end = threading.Event(), threading.Event()

    def execute(batch: Sequence[int]) -> None:
        batches.append(batch)
        is_busy.set()
        may_end.wait(30)

    group: GroupCommit[int] = GroupCommit(execute)
    leader = threading.Thread(target=group.submit, args=(0,))
    leader.start()
    is_busy.wait(30)
    followers = [threading.Thread(target=group.submit, args=(number,)) for number in range(1, 9)]
    for follower in followers:
        follower.start()
    while len(group._waiting) < len(followers):
        os.sched_yield()
    assert len(batches) == 1
    may_end.set()
    for thread in (leader, *followers):
        thread.join(30)
    assert [len(batch) for batch in batches] == [1, 8]


def test_a_batch_that_fails_does_not_stop_the_next() -> None:
    def execute(batch: Sequence[int]) -> None:
        if batch[0] == 0:
            raise RuntimeError

    group: GroupCommit[int] = GroupCommit(execute)
    with pytest.raises(RuntimeError):
        group.submit(0)
    group.submit(1)


def test_a_writer_waits_in_the_kernel_for_another_process(tmp_path: Path) -> None:
    store = account(tmp_path)
    inbox = store.mailbox("INBOX").id
    disk = Disk()
    lock = disk.open_append(tmp_path / ALICE / "lock")
    disk.lock_wait(lock)
    inode = f":{os.fstat(lock).st_ino} "
    thread = threading.Thread(target=store.apply, args=([append(inbox, message(1))],))
    thread.start()
    while not any("->" in line and inode in line for line in Path("/proc/locks").read_text().splitlines()):
        os.sched_yield()
    assert store.mailbox("INBOX").exists == 0
    disk.close(lock)
    thread.join(30)
    assert store.mailbox("INBOX").exists == 1
