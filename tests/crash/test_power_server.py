"""The power of a whole server is cut under load: all its processes, on all its files, at moments that chance chooses.

It is run once and written down (power.c); for each cut the medium is made as it would be left, and a server is started on it.
"""

import os
import random
import shutil
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest

from support import power
from support.campaign import JUDGED, MAILBOXES, POLICY, Load, delivered, quarantined
from support.oracle import ClientLog, judge
from support.server import Server, open_folder, server

CUTS = 40 if "CRASH_KILLS" in os.environ else 3
HOW: tuple[power.Survival, ...] = ("synced", "mixed", "torn", "zeros")


def own_as(path: Path, model: Path) -> None:
    """Everything below belongs to whom the model belongs to."""
    owner = model.stat()
    for one in (path, *path.rglob("*")):
        os.chown(one, owner.st_uid, owner.st_gid)


def check(
    target: Server, folder: Path, medium: power.Medium, how: power.Survival, number: int, log: ClientLog, cut_at: int
) -> int:
    """Start a server on what the cut left; how many recipients were acknowledged before it."""
    subprocess.run(["cp", "-a", target.folder, folder / "mail"], check=True, timeout=60)
    shutil.rmtree(folder / "mail/data")
    medium.left(folder / "mail/data", how, random.Random(number))
    own_as(folder / "mail/data", target.folder / "data")
    left = replace(target, folder=folder / "mail", environment={}, process=None)
    try:
        left.start()
        left.until(lambda: not judge(log, [*delivered(left), *quarantined(left)], cut_at=cut_at).lost, 120)
        found = judge(log, [*delivered(left), *quarantined(left)], cut_at=cut_at)
        return found.require(why=f"{how} behind change {number}: {left.log()}").acknowledged
    finally:
        left.stop()
        shutil.rmtree(folder)


@pytest.mark.timeout(3600)
def test_t_q_02_03_a_server_whose_power_is_cut_under_load_loses_and_doubles_nothing_acknowledged() -> None:
    with server(policy=POLICY, start=False) as target:
        (target.folder / "plugins/judged.py").write_text(JUDGED)
        target.add_account(MAILBOXES[1])
        journal = target.folder / "journal"
        journal.touch()
        medium = power.Medium(target.folder / "data")
        log = ClientLog(target.folder / "clients.log", journal)
        target.environment.update(power.environment(target.folder / "data", journal))
        target.start()
        load = Load(target, log, far_share=0)
        load.start()
        target.until(lambda: len(log.read()[1]) > 30)
        time.sleep(1)
        target.kill_all()
        load.stop()
        entries = list(power.read(journal))
        journal.write_bytes(b"")  # it is large
        chance, played, acknowledged = random.Random(20261127), 0, []
        for turn, at in enumerate(sorted(chance.sample(range(len(entries) // 4, len(entries)), CUTS))):
            for entry in entries[played : at + 1]:
                medium.play(entry)
            played = at + 1
            folder = open_folder()
            acknowledged.append(check(target, folder, medium, HOW[turn % len(HOW)], at, log, entries[at].end))
        assert acknowledged == sorted(acknowledged) and acknowledged[-1] > 0
        print(
            f"\n{CUTS} cuts among {len(entries)} changes, {acknowledged[-1]} recipients acknowledged before the last, 0 lost, 0 doubled"
        )
