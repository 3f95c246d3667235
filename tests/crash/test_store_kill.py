"""Writers of one account are killed again and again, at file calls and at random: nothing acknowledged is lost or half done."""

import base64
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from mailward.disk import Disk
from mailward.store.ops import CreateMailbox, DeleteMailbox, Op
from mailward.store.repair import Report, check_account
from support.faults import library
from support.memory_store import MemoryStore
from support.store_kills import POINTS, follow, state, those_like
from support.storecheck import NOW_S
from support.stores import ALICE, append

ROOT = Path(__file__).parents[2]
KILLS = int(os.environ.get("CRASH_KILLS", "180"))


@pytest.mark.timeout(1200 + 4 * KILLS)
def test_t_imap_16_a_killed_writer_loses_no_acknowledged_change_and_no_uid_is_given_twice(tmp_path: Path) -> None:
    path = os.pathsep.join(str(ROOT / name) for name in ("core", "plugins", "tests"))
    command = [sys.executable, "-m", "support.store_kills", str(tmp_path), str(KILLS), "2026"]
    environment = {**os.environ, "PYTHONPATH": path, "LD_PRELOAD": str(library())}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-5000:]
    print(done.stdout)
    counted = json.loads(done.stdout)
    assert counted["acknowledged"] > KILLS // 2 and 0 < counted["carried_out"] <= KILLS
    assert set(counted["died"]) == set(POINTS), "no writer died at some of them"
    assert check_account(tmp_path / ALICE, Disk(), 1_900_000_000, repair=False) == Report(())


def test_what_a_list_that_leaves_nothing_to_be_seen_has_done_is_known_by_what_comes_later() -> None:
    def line(*ops: Op) -> bytes:
        return b"begun " + base64.b64encode(pickle.dumps(ops))

    oracle = MemoryStore(now_s=lambda: NOW_S).open(ALICE)
    inbox = oracle.mailbox("INBOX").id
    carried_out = oracle.would_be([CreateMailbox("c"), DeleteMailbox("c")])
    possible = those_like(state(oracle), follow(oracle, [line(CreateMailbox("c"), DeleteMailbox("c"))]))
    assert len(possible) == 2
    carried_out.apply([append(inbox, b"x")])
    acknowledged = [line(append(inbox, b"x")), b"done"]
    (left,) = those_like(state(carried_out), [one for other in possible for one in follow(other, acknowledged)])
    assert left.is_like(carried_out) and left.stamp() == carried_out.stamp()
    assert not those_like(state(oracle), [carried_out]) and not follow(oracle, [line(DeleteMailbox("c")), b"done"])
