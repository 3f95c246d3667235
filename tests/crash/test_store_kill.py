"""Writers of one account are killed again and again, at file calls and at random: nothing acknowledged is lost or half done."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mailward.disk import Disk
from mailward.store.repair import Report, check_account
from support.stores import ALICE

ROOT = Path(__file__).parents[2]
KILLS = int(os.environ.get("CRASH_KILLS", "200"))


@pytest.mark.timeout(7200)
def test_t_imap_16_a_killed_writer_loses_no_acknowledged_change_and_no_uid_is_given_twice(tmp_path: Path) -> None:
    path = os.pathsep.join(str(ROOT / name) for name in ("core", "plugins", "tests"))
    command = [sys.executable, "-m", "support.store_kills", str(tmp_path), str(KILLS), "2026"]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-5000:]
    acknowledged, carried_out = map(int, done.stdout.split())
    assert acknowledged > KILLS and carried_out <= KILLS
    assert check_account(tmp_path / ALICE, Disk(), 1_900_000_000, repair=False) == Report(())
