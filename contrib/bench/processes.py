"""What a server's processes use: processor time and memory of the whole tree below each of its first processes."""

import os
import threading
import time
from collections.abc import Iterable
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
_SAMPLE_S = 0.1
_IDLE_S = 0.3
_IDLE_LIMIT_S = 120.0


def tree(pids: Iterable[int]) -> set[int]:
    """Processes and all their descendants."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            children.setdefault(parent, []).append(int(entry.name))
    found, todo = set(), list(pids)
    while todo:
        current = todo.pop()
        found.add(current)
        todo += children.get(current, [])
    return found


def cpu_s(pids: Iterable[int]) -> float:
    """Seconds used so far by processes, their descendants, and those of them that have ended and were waited for."""
    total = 0
    for member in tree(pids):
        try:
            fields = Path(f"/proc/{member}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        total += sum(int(value) for value in fields[11:15])
    return total / TICKS


def wait_until_idle(pids: Iterable[int]) -> None:
    """Until a server has done what it still had to do with mail it has taken: it uses no processor time worth the name."""
    deadline, used_s = time.monotonic() + _IDLE_LIMIT_S, cpu_s(pids)
    while True:
        time.sleep(_IDLE_S)
        before_s, used_s = used_s, cpu_s(pids)
        if used_s - before_s <= 2 / TICKS:
            return
        if time.monotonic() > deadline:
            raise SystemExit(f"processes {sorted(pids)} still work {_IDLE_LIMIT_S:.0f} s after the last message")


def pss_octets(pids: Iterable[int]) -> int:
    """Memory of the tree now; a page that several processes share counts once (proportional set size)."""
    total = 0
    for member in tree(pids):
        try:
            lines = Path(f"/proc/{member}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
    return total


class PeakMemory:
    """`with PeakMemory(pids) as peak:` looks at the memory ten times a second; then `peak.octets` is the most that was seen."""

    def __init__(self, pids: Iterable[int]) -> None:
        self._pids = tuple(pids)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.octets = 0

    def _watch(self) -> None:
        while not self._over.wait(_SAMPLE_S):
            self.octets = max(self.octets, pss_octets(self._pids))

    def __enter__(self) -> "PeakMemory":
        self.octets = pss_octets(self._pids)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
