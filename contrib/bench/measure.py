"""What the benchmarks share: servers measured in turns, and how the figures are printed: a table, or an object of JSON a line."""

import json
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from processes import cpu_s, wait_until_idle


@dataclass(frozen=True, slots=True)
class Subject:
    """One server in one cell. pids: of its first processes. run: does the work once, and returns seconds by what was reached.

    The last of them is what servers are compared by: {"accepted": 1.2, "readable": 1.9}.
    """

    name: str
    pids: tuple[int, ...]
    run: Callable[[], Mapping[str, float]]


@dataclass(frozen=True, slots=True)
class Spread:
    """Figures of several rounds."""

    rounds: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.rounds)

    def text(self, digits: int) -> str:
        return f"{self.median:,.{digits}f} [{min(self.rounds):,.{digits}f}-{max(self.rounds):,.{digits}f}]"

    def raw(self) -> dict[str, object]:
        return {"median": self.median, "low": min(self.rounds), "high": max(self.rounds), "rounds": self.rounds}


class Report:
    """Where figures go."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._part = ""

    def part(self, name: str) -> None:
        self._part = name
        if not self._as_json:
            print(f"\n== {name}", flush=True)

    def note(self, text: str) -> None:
        """Under which conditions the figures of this part are taken."""
        print(json.dumps({"part": self._part, "note": text}) if self._as_json else f"  {text}", flush=True)

    def table(self, cell: str, rows: Mapping[str, Mapping[str, Spread]], digits: Mapping[str, int]) -> None:
        """One cell: for each server its figures by name. digits: behind the point, of each figure, in the order of the columns."""
        if self._as_json:
            for server, figures in rows.items():
                raw = {name: spread.raw() for name, spread in figures.items()}
                print(json.dumps({"part": self._part, "cell": cell, "server": server} | raw), flush=True)
            return
        names = [name for name in digits if any(name in figures for figures in rows.values())]
        print(f"\n  {cell:<36}" + "".join(f"{name:>26}" for name in names))
        for server, figures in rows.items():
            texts = [figures[name].text(digits[name]) if name in figures else "" for name in names]
            print(f"    {server:<34}" + "".join(f"{text:>26}" for text in texts), flush=True)


def compare(report: Report, cell: str, subjects: Sequence[Subject], rounds: int, count: int) -> None:
    """Measure the subjects in turns, every other round backwards, and report their rates, processor time and ratios.

    count: of what one run does. A ratio is the first subject's rate divided by another's of the same round, and "its CPU" the first
    one's processor time divided by the other's. Processor time is counted until a server is idle again, so what it leaves for
    later counts.
    """
    seconds: dict[str, list[Mapping[str, float]]] = {subject.name: [] for subject in subjects}
    used: dict[str, list[float]] = {subject.name: [] for subject in subjects}
    for number in range(rounds):
        for subject in subjects if number % 2 == 0 else reversed(subjects):
            before_s = cpu_s(subject.pids)
            seconds[subject.name].append(subject.run())
            wait_until_idle(subject.pids)
            used[subject.name].append(cpu_s(subject.pids) - before_s)
    first = subjects[0].name
    rows: dict[str, dict[str, Spread]] = {}
    for name, runs in seconds.items():
        rows[name] = {f"{reached}/s": Spread(tuple(count / run[reached] for run in runs)) for reached in runs[0]}
        rows[name]["CPU us each"] = Spread(tuple(s / count * 1e6 for s in used[name]))
        if name != first:
            deciding = list(runs[0])[-1]
            ratios = [theirs[deciding] / ours[deciding] for ours, theirs in zip(seconds[first], runs, strict=True)]
            rows[name][f"{first} to it"] = Spread(tuple(ratios))
            shares = [ours / theirs for ours, theirs in zip(used[first], used[name], strict=True) if theirs]
            rows[name]["its CPU"] = Spread(tuple(shares or (float("nan"),)))
    rates = [f"{reached}/s" for runs in seconds.values() for reached in runs[0]]
    report.table(cell, rows, {name: 0 for name in rates} | {"CPU us each": 1, f"{first} to it": 2, "its CPU": 2})
