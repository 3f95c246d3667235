"""A power cut behind every change of the small databases: accounts, aliases, passwords, what plugins keep, quarantine, decisions.

What was durable when its call returned is there after the cut; what was begun behind it is there whole, or not at all.
"""

import os
import random
import shutil
import subprocess
import sys
from bisect import bisect_right
from collections.abc import Mapping
from pathlib import Path
from typing import get_args

import pytest

from mailward.database import connect
from support import databases, power

ROOT = Path(__file__).parents[2]
STEP = 1 if "CRASH_KILLS" in os.environ else 24


def expected(folder: Path) -> list[Mapping[str, object]]:
    """The states before the first step and behind each, when nothing goes wrong."""
    folder.mkdir()
    states = []
    for step in databases.steps(folder):
        states.append(databases.state(folder))
        step()
    return [*states, databases.state(folder)]


def recorded(folder: Path) -> tuple[power.Medium, list[power.Entry], list[int]]:
    """The medium before the first step, all changes, and how long the journal was behind each step."""
    (folder / "data").mkdir(parents=True)
    (folder / "journal").touch()
    medium = power.Medium(folder / "data")
    path = os.pathsep.join(str(ROOT / name) for name in ("core", "plugins", "tests"))
    done = subprocess.run(
        [sys.executable, "-m", "support.databases", str(folder / "data"), str(folder / "journal")],
        env={**os.environ, "PYTHONPATH": path, **power.environment(folder / "data", folder / "journal")},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=120,
    )
    return medium, list(power.read(folder / "journal")), [int(line) for line in done.stdout.split()]


@pytest.mark.timeout(3600)
def test_t_q_02_03_what_a_database_has_said_is_durable_outlives_a_power_cut_behind_every_change(tmp_path: Path) -> None:
    states = expected(tmp_path / "whole")
    medium, entries, ends = recorded(tmp_path / "run")
    assert len(ends) == len(states) - 1 > 20
    for number, entry in enumerate(entries):
        medium.play(entry)
        if number % STEP and number != len(entries) - 1:
            continue
        told = bisect_right(ends, entry.end)
        for how in get_args(power.Survival):
            medium.left(tmp_path / "left", how, random.Random(number))
            found = databases.state(tmp_path / "left")
            assert found in states[told : told + 2], (
                f"power cut behind {entry.kind} {entry.path}, change {number}, {how}, {told} steps"
            )
            shutil.rmtree(tmp_path / "left")


KILLED = """
import os, signal, sys
from pathlib import Path
from mailward.database import connect
made = connect(Path(sys.argv[1]), schema="CREATE TABLE said (word)", version=1)
made.execute("PRAGMA synchronous = OFF")
made.execute("INSERT INTO said VALUES ('seen')")
os.kill(os.getpid(), signal.SIGKILL)
"""
SEEING = KILLED.partition("made.execute")[0] + "print(*made.execute('SELECT word FROM said').fetchone(), flush=True); os._exit(0)"


def test_t_q_02_what_a_process_killed_before_its_sync_has_written_is_on_the_medium_when_the_next_one_sees_it(
    tmp_path: Path,
) -> None:
    (tmp_path / "data").mkdir()
    medium = power.Medium(tmp_path / "data")
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "core"), **power.environment(tmp_path / "data", tmp_path / "journal")}
    for program, said in ((KILLED, ""), (SEEING, "seen\n")):
        command = [sys.executable, "-c", program, str(tmp_path / "data/some.sqlite")]
        assert subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=False).stdout == said
    for entry in power.read(tmp_path / "journal"):
        medium.play(entry)
    medium.left(tmp_path / "left", "synced", random.Random())
    assert connect(tmp_path / "left/some.sqlite", schema="", version=1).execute("SELECT word FROM said").fetchall() == [("seen",)]


SAYING = """
import os, signal, sys
from pathlib import Path
from mailward.database import connect
made = connect(Path(sys.argv[1]), schema="CREATE TABLE said (word)", version=1)
made.execute(f"PRAGMA synchronous = {sys.argv[3]}")
made.execute("INSERT INTO said VALUES (?)", (sys.argv[2],))
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_t_q_04_what_is_committed_behind_octets_that_no_sync_will_ever_save_outlives_a_power_cut(tmp_path: Path) -> None:
    """Linux takes octets whose sync failed for clean: the next sync of the file succeeds without them."""
    (tmp_path / "data").mkdir()
    medium = power.Medium(tmp_path / "data")
    for word, synchronous in (("first", "FULL"), ("lost", "OFF"), ("said", "FULL")):
        recording = power.environment(tmp_path / "data", tmp_path / word)
        command = [sys.executable, "-c", SAYING, str(tmp_path / "data/some.sqlite"), word, synchronous]
        subprocess.run(command, env={**os.environ, "PYTHONPATH": str(ROOT / "core"), **recording}, check=False)
        entries = list(power.read(tmp_path / word))
        while word == "lost" and entries[-1].kind != "e":
            entries.pop()
        for entry in entries:
            medium.play(entry)
    medium.left(tmp_path / "left", "synced", random.Random())
    found = connect(tmp_path / "left/some.sqlite", schema="", version=1).execute("SELECT word FROM said").fetchall()
    assert {("first",), ("said",)} <= set(found)
