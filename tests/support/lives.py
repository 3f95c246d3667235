"""Runs tests/crash/local_life.py in copies of one installation: from commit to mailbox, quarantine and decision, with a fault.

Its process has faults.so and power.so preloaded, and forks for each life.
"""

import json
import os
import random
import re
import shutil
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from support import power
from support.faults import Action, Fault, library
from support.oracle import ClientLog, Copy, Findings, judge

ROOT = Path(__file__).parents[2]
REFUSED = 3
KILLED = -9
RECIPIENTS = 18
"""Of all messages of a life; see local_life.py."""


class Lives:
    """Runs lives one after another. names: what each file call of a life without faults is called."""

    def __init__(self, template: Path, folder: Path) -> None:
        self._template = template
        self._folder = folder
        path = os.pathsep.join(str(ROOT / name) for name in ("core", "plugins", "tests"))
        self._process = subprocess.Popen(
            [sys.executable, str(ROOT / "tests/crash/local_life.py")],
            env={**os.environ, "PYTHONPATH": path, "LD_PRELOAD": f"{library()} {power.library()}"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.names = self._names()

    def _order(self, what: str, folder: Path, fault: Fault | None = None, journal: Path | None = None) -> int:
        assert self._process.stdin is not None and self._process.stdout is not None
        raw = None if fault is None else asdict(fault)
        self._process.stdin.write(json.dumps([what, str(folder), raw, None if journal is None else str(journal)]) + "\n")
        self._process.stdin.flush()
        code: int = json.loads(self._process.stdout.readline())
        return code

    def _fresh(self, name: str = "life") -> Path:
        folder = self._folder / name
        if folder.exists():
            shutil.rmtree(folder)
        shutil.copytree(self._template, folder / "mail")
        return folder

    def _names(self) -> list[str]:
        folder = self._fresh()
        assert self._order("live", folder, Fault()) == 0, _output(folder)
        return [kind_of(line) for line in (folder / "trace").read_text().splitlines()]

    def run(self, fault: Fault) -> Findings:
        """One life with a fault, then mending; nothing may be wrong after it."""
        folder = self._fresh()
        self._live(folder, fault, None)
        return self._mended(folder, ClientLog(folder / "log"), str(fault))

    def _live(self, folder: Path, fault: Fault, journal: Path | None) -> None:
        code = self._order("live", folder, fault, journal)
        killed = fault.action in (Action.KILL, Action.TEAR)
        assert code in ((0, KILLED) if killed else (0, REFUSED)), (str(fault), _output(folder))

    def _mended(self, folder: Path, log: ClientLog, why: str, cut_at: int | None = None) -> Findings:
        assert self._order("mend", folder) == 0, (why, _output(folder))
        ends, *found = map(json.loads, (folder / "ends").read_text().splitlines())
        assert not ends["open"], (why, ends)
        unexplained = log.read(cut_at)[1] - set(ends["explained"])
        assert not unexplained, (why, "without a decision record", unexplained)
        copies = [Copy(end, to, token, octets.encode("latin-1")) for end, to, token, octets in found]
        return judge(log, copies, marked=False, cut_at=cut_at).require(why=why)

    def recorded(self, fault: Fault | None = None) -> "Recording":
        """One life, with all its changes written down; one with a fault goes on until all is mended."""
        folder = self._fresh()
        journal = folder / "journal"
        medium = power.Medium(folder / "mail/data")
        journal.touch()
        self._live(folder, fault or Fault(), journal)
        mending_at = len(list(power.read(journal)))
        if fault is not None:
            assert self._order("mend", folder, None, journal) == 0, (str(fault), _output(folder))
        return Recording(medium, list(power.read(journal)), mending_at, ClientLog(folder / "log"), str(fault))

    def after_cut(self, recording: "Recording", at: int, how: power.Survival) -> Findings:
        """What is wrong after a power cut right after the change of this number, from 0, when all is mended: nothing may be.

        One recording is cut from its beginning to its end.
        """
        medium, entries = recording.medium, recording.entries
        while recording.played <= at:
            medium.play(entries[recording.played])
            recording.played += 1
        folder = self._fresh("cut")
        shutil.rmtree(folder / "mail/data")
        medium.left(folder / "mail/data", how, random.Random(at))
        shutil.copy(recording.log.path, folder / "log")
        why = f"power cut behind {entries[at].kind} {entries[at].path}, change {at} of {len(entries)}, {how}; {recording.why}"
        return self._mended(folder, recording.log, why, entries[at].end)

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(20)


@dataclass
class Recording:
    """A life that was written down. medium: how the first `played` changes leave it. mending_at: the first change of the mending."""

    medium: power.Medium
    entries: list[power.Entry]
    mending_at: int
    log: ClientLog
    why: str
    played: int = 0


def kind_of(line: str) -> str:
    """A line of the trace without what differs from run to run."""
    call, _, path = line.partition(" ")
    return f"{call} {re.sub(r'[0-9a-z]{16}|[0-9]+', '*', path)}"


def _output(folder: Path) -> str:
    return (folder / "output").read_text()[-6000:]
