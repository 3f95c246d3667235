"""IMAP servers whose disk fails, or that are killed, at file calls: what clients were told is so (T-IMAP-16, T-Q-01 to T-Q-05)."""

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from mailward.disk import Disk
from mailward.store.repair import Report, check_account
from support.faults import library
from support.imap_faults import ACCOUNT, POINTS
from support.imap_server import MESSAGE, ImapServer

ROOT = Path(__file__).parents[2]
KILLS = int(os.environ.get("CRASH_KILLS", "20"))


@pytest.mark.timeout(600 + 10 * KILLS)
def test_t_q_01_04_05_and_t_imap_16_what_a_client_was_told_is_so_when_its_server_is_killed_or_its_disk_fails(
    tmp_path: Path,
) -> None:
    path = os.pathsep.join(str(ROOT / name) for name in ("core", "plugins", "tests"))
    command = [sys.executable, "-m", "support.imap_faults", str(tmp_path), str(2 * KILLS), "2026"]
    environment = {**os.environ, "PYTHONPATH": path, "LD_PRELOAD": str(library())}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-5000:]
    print(done.stdout)
    counted = json.loads(done.stdout)
    assert counted["told"]["OK"] > KILLS < counted["told"]["failed"]
    assert all(counted["died"][point] for point in POINTS), "no server died at some of them"
    assert check_account(tmp_path / "accounts" / ACCOUNT, Disk(), 1_900_000_000, repair=False) == Report(())


def test_t_q_04_a_database_that_somebody_else_holds_is_a_clear_no_and_then_all_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mailward.database._BUSY_TIMEOUT_S", 0.01)
    server = ImapServer(tmp_path)
    server.deliver()
    server.store.close()  # type: ignore[attr-defined]
    try:
        client = server.connect()
        with closing(sqlite3.connect(tmp_path / "accounts" / ACCOUNT / "index.sqlite", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            typ, answer = client.append("INBOX", "", "", MESSAGE)
            assert typ == "NO" and answer[0].startswith(b"[UNAVAILABLE]")
            assert client.select("INBOX") == ("OK", [b"1"])
            other.execute("ROLLBACK")
        assert client.append("INBOX", "", "", MESSAGE)[0] == "OK"
        assert client.select("INBOX") == ("OK", [b"2"])
        client.logout()
    finally:
        server.close()
