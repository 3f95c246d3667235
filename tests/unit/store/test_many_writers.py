"""Threads and processes that write the same account, and processes that are killed while they do."""

import os
import random
import select
import signal
import subprocess
import sys
import threading
from pathlib import Path

from mailward.model.ids import Uid
from mailward.store.ops import SetFlags
from mailward.store.refusals import NoSuchMailbox
from support.storecheck import assert_whole, message
from support.stores import account, append

TESTS = Path(__file__).parents[2]

WRITER = """
import sys
from pathlib import Path
from support.stores import account, append
from support.storecheck import message
store = account(Path(sys.argv[1]))
inbox = store.mailbox("INBOX").id
for number in range(int(sys.argv[3])):
    key = f"{sys.argv[2]}:{number}"
    (result,) = store.apply([append(inbox, message(number), key)])
    print(key, result.uids[0], int(result.duplicate), flush=True)
"""


def writer(folder: Path, name: str, count: int) -> "subprocess.Popen[str]":
    """A process that appends `count` messages and prints each when it was acknowledged."""
    path = os.pathsep.join([str(TESTS), str(TESTS.parent / "core")])
    command = [sys.executable, "-c", WRITER, str(folder), name, str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path})


def test_threads_share_transactions_and_a_refused_list_hurts_only_its_caller(tmp_path: Path) -> None:
    store = account(tmp_path)
    inbox = store.mailbox("INBOX").id
    uids: list[int] = []
    refusals: list[Exception] = []

    def work(thread: int) -> None:
        for number in range(20):
            uids.extend(store.apply([append(inbox, message(number), f"{thread}:{number}")])[0].uids)
            try:
                store.apply([append(inbox, message(0)), append(type(inbox)(10**6), message(0))])
            except NoSuchMailbox as refusal:
                refusals.append(refusal)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refusals) == 160
    assert sorted(uids) == list(store.view(inbox).uids) == list(range(1, 161))
    assert_whole(store)


def test_unchanged_since_lets_one_of_many_threads_win(tmp_path: Path) -> None:
    store = account(tmp_path)
    inbox = store.mailbox("INBOX").id
    store.apply([append(inbox, message(1))])
    seen = store.view(inbox).modseqs[0]
    winners: list[int] = []

    def claim(thread: int) -> None:
        (result,) = store.apply([SetFlags(inbox, (Uid(1),), "add", (f"owner-{thread}",), unchanged_since=seen)])
        if result.uids:
            winners.append(thread)

    threads = [threading.Thread(target=claim, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(winners) == 1
    assert store.view(inbox).keywords == (f"owner-{winners[0]}",)


def test_processes_write_one_account_without_losing_or_sharing_uids(tmp_path: Path) -> None:
    writers = [writer(tmp_path, f"p{n}", 40) for n in range(3)]
    printed = [line.split() for process in writers for line in process.communicate()[0].splitlines()]
    assert all(process.returncode == 0 for process in writers)
    store = account(tmp_path)
    assert sorted(int(uid) for _, uid, _ in printed) == list(store.view(store.mailbox("INBOX").id).uids) == list(range(1, 121))
    assert_whole(store)


def test_a_new_account_may_be_opened_by_several_processes_at_once(tmp_path: Path) -> None:
    writers = [writer(tmp_path, f"p{n}", 1) for n in range(4)]
    assert [process.wait() for process in writers] == [0] * 4
    for process in writers:
        process.communicate()
    assert len(account(tmp_path).mailboxes()) == 6


def test_t_imap_16_kill_9_amid_writing_keeps_what_was_acknowledged_and_reuses_no_uid(tmp_path: Path) -> None:
    """Killed at random moments; the next process does the same deliveries again, as the queue would."""
    randomness = random.Random(2026)
    acknowledged: dict[str, int] = {}
    for _ in range(12):
        process = writer(tmp_path, "queue", 10_000)
        assert process.stdout is not None
        for _ in range(randomness.randrange(1, 40)):
            line = process.stdout.readline()
            key, uid, _ = line.split()
            assert acknowledged.setdefault(key, int(uid)) == int(uid)
        select.select([], [], [], randomness.random() / 500)  # somewhere within the next append
        process.send_signal(signal.SIGKILL)
        for line in process.communicate()[0].splitlines(keepends=True):
            if line.endswith("\n"):
                key, uid, _ = line.split()
                assert acknowledged.setdefault(key, int(uid)) == int(uid)
    store = account(tmp_path)
    assert_whole(store)
    uids = set(store.view(store.mailbox("INBOX").id).uids)
    assert set(acknowledged.values()) <= uids
    assert len(set(acknowledged.values())) == len(acknowledged)
    assert len(uids - set(acknowledged.values())) <= 12  # durable, but killed before it could say so: one a kill
