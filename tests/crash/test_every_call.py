"""A worker and a queue process stopped, torn or failed at every file call from commit to mailbox, SQLite's own included.

The calls of a life without faults are its named crash points: a call and the kind of file it is on. The short form meets each of
these, and every so many of all calls; `make crash` meets all of them, with every error.
"""

import errno
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.faults import Action, Fault, library
from support.oracle import ClientLog, Copy, Findings, judge
from support.server import server

ROOT = Path(__file__).parents[2]
IS_LONG = "CRASH_KILLS" in os.environ
ERRORS = (errno.EIO, errno.ENOSPC, errno.EMFILE, errno.EROFS)
SHORT_STEP = 24
REFUSED = 3
KILLED = -9
RECIPIENTS = 18
"""Of all messages of a life; see local_life.py."""


class Lives:
    """Runs lives in copies of one installation, in a process that has the faults preloaded."""

    def __init__(self, template: Path, folder: Path) -> None:
        self._template = template
        self._folder = folder
        path = os.pathsep.join(str(ROOT / name) for name in ("core", "plugins", "tests"))
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("local_life.py"))],
            env={**os.environ, "PYTHONPATH": path, "LD_PRELOAD": str(library())},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.names = self._names()

    def _order(self, *order: object) -> int:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        code: int = json.loads(self._process.stdout.readline())
        return code

    def _fresh(self) -> Path:
        folder = self._folder / "life"
        if folder.exists():
            shutil.rmtree(folder)
        shutil.copytree(self._template, folder / "mail")
        return folder

    def _names(self) -> list[str]:
        """What each call of a life without faults is called: the call and the kind of file."""
        folder = self._fresh()
        assert self._order("live", str(folder), {}) == 0, (folder / "output").read_text()
        return [_kind(line) for line in (folder / "trace").read_text().splitlines()]

    def run(self, fault: Fault) -> Findings:
        """One life with a fault, then mending; nothing may be wrong after it."""
        folder = self._fresh()
        raw = {"action": fault.action, "at": fault.at, "error": fault.error, "for_good": fault.for_good}
        code = self._order("live", str(folder), raw)
        killed = fault.action in (Action.KILL, Action.TEAR)
        assert code in ((0, KILLED) if killed else (0, REFUSED)), (str(fault), (folder / "output").read_text()[-6000:])
        assert self._order("mend", str(folder), None) == 0, (str(fault), (folder / "output").read_text()[-6000:])
        still_open, *found = map(json.loads, (folder / "ends").read_text().splitlines())
        assert not still_open, (str(fault), still_open)
        copies = [Copy(end, to, token, octets.encode("latin-1")) for end, to, token, octets in found]
        return judge(ClientLog(folder / "log"), copies, marked=False).require(why=str(fault))

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(20)


def _kind(line: str) -> str:
    """A line of the trace without what differs from run to run."""
    call, _, path = line.partition(" ")
    return f"{call} {re.sub(r'[0-9a-z]{16}|[0-9]+', '*', path)}"


@pytest.fixture(scope="module")
def lives(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lives]:
    with server(start=False) as made:
        made.add_account("second@example.test")
        running = Lives(made.folder, tmp_path_factory.mktemp("lives"))
        try:
            yield running
        finally:
            running.close()


def calls(lives: Lives, name: str = "") -> list[int]:
    """Which calls to meet: all whose name holds this word, or the first of each name and every so many of all."""
    some = [number for number, called in enumerate(lives.names, 1) if name in called]
    if IS_LONG:
        return [*some, len(lives.names) + 5]
    first = {lives.names[number - 1]: number for number in reversed(some)}
    return sorted({*first.values(), *some[::SHORT_STEP], len(lives.names) + 5})


@pytest.mark.timeout(36_000)
def test_t_q_01_killed_at_every_file_call_nothing_acknowledged_is_lost_or_doubled(lives: Lives) -> None:
    assert len(set(lives.names)) > 80
    acknowledged = [lives.run(Fault(Action.KILL, at)).acknowledged for at in calls(lives)]
    assert acknowledged[0] == 0 and acknowledged[-1] == RECIPIENTS and len(set(acknowledged)) > 3


@pytest.mark.timeout(36_000)
def test_t_q_03_killed_in_the_middle_of_every_write_nothing_acknowledged_is_lost_or_doubled(lives: Lives) -> None:
    for at in calls(lives, "write"):
        lives.run(Fault(Action.TEAR, at))


@pytest.mark.timeout(36_000)
@pytest.mark.parametrize("for_good", [False, True], ids=["once", "for good"])
def test_t_q_04_05_06_failing_at_every_file_call_nothing_acknowledged_is_lost_or_doubled(lives: Lives, for_good: bool) -> None:
    for at in calls(lives):
        for error in ERRORS if IS_LONG else (ERRORS[at % len(ERRORS)],):
            lives.run(Fault(Action.FAIL, at, error, for_good))


@pytest.mark.timeout(36_000)
def test_t_q_05_a_write_cut_short_at_any_call_costs_nothing(lives: Lives) -> None:
    for at in calls(lives, "write"):
        assert lives.run(Fault(Action.SHORT, at)).acknowledged == RECIPIENTS
