"""Writers of one account are killed again and again, at file calls and at random: nothing acknowledged is lost or half done."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mailward.disk import Disk
from mailward.store.repair import Report, check_account
from support.faults import library
from support.store_kills import POINTS
from support.stores import ALICE

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
