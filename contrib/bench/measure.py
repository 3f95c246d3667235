"""What the benchmarks share: CPU time of process trees, and how figures are printed."""

import os
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


def tree(pid: int) -> set[int]:
    """A process and all its descendants."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            children.setdefault(parent, []).append(int(entry.name))
    found, todo = set(), [pid]
    while todo:
        current = todo.pop()
        found.add(current)
        todo += children.get(current, [])
    return found


def cpu_s(pid: int) -> float:
    """CPU seconds used so far by a process, its descendants, and those of them that have ended and were waited for."""
    total = 0
    for member in tree(pid):
        try:
            fields = Path(f"/proc/{member}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        total += sum(int(value) for value in fields[11:15])
    return total / TICKS


def peak_octets(pid: int) -> int:
    """The most memory that each process of a tree ever had at once, added up; what they share is counted in each."""
    total = 0
    for member in tree(pid):
        try:
            lines = Path(f"/proc/{member}/status").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
    return total


@dataclass(frozen=True, slots=True)
class Subject:
    """One server. run: does the work of a cell once and returns seconds. pid: whose tree's CPU is counted."""

    name: str
    pid: int
    run: Callable[[], float]


def compare(cell: str, subjects: Sequence[Subject], rounds: int, count: int) -> None:
    """Measure each subject in turn, `rounds` times, and print rates and the ratio of the first to each other one."""
    rates: dict[str, list[float]] = {s.name: [] for s in subjects}
    cpu: dict[str, list[float]] = {s.name: [] for s in subjects}
    for _ in range(rounds):
        for subject in subjects:
            before = cpu_s(subject.pid)
            seconds = subject.run()
            rates[subject.name].append(count / seconds)
            cpu[subject.name].append((cpu_s(subject.pid) - before) / count * 1000)
    first = subjects[0].name
    for subject in subjects:
        own = rates[subject.name]
        ratios = [a / b for a, b in zip(rates[first], own, strict=True)]
        versus = "" if subject.name == first else f"   {first} is {statistics.median(ratios):.2f} times as fast"
        print(
            f"  {cell:<34} {subject.name:<10} {statistics.median(own):>10.0f}/s [{min(own):.0f}-{max(own):.0f}]"
            f"   CPU {statistics.median(cpu[subject.name]):.3f} s per 1000{versus}"
        )
