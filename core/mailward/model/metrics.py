"""What may be counted and measured: the declarations, and what came of them in all processes together.

Names are as Prometheus wants them: lower case, the unit last (`scan_seconds`, `waiting_bytes`); what is added on the way out
(`_total` and the like) is nobody's to write.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_ENDS = ("_total", "_sum", "_count", "_bucket", "_created", "_info")
MOST_LABELS = 4
MOST_BOUNDS = 12
MOST_TEXT = 200


@dataclass(frozen=True, slots=True)
class Counter:
    """What only grows. name: lower case letters, digits and single underscores. text: one plain line for people.

    labels: what tells its series apart, at most four; their values must be few: kinds of answers, never addresses or subjects.
    Raises ValueError for what cannot be a metric.
    """

    name: str
    text: str
    labels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check(self)


@dataclass(frozen=True, slots=True)
class Gauge:
    """What goes up and down. As a Counter; adds_up: each process has its own part, and all are added up.

    Otherwise the value that was set last, by whichever process, is the one that counts.
    """

    name: str
    text: str
    labels: tuple[str, ...] = ()
    adds_up: bool = False

    def __post_init__(self) -> None:
        _check(self)


@dataclass(frozen=True, slots=True)
class Histogram:
    """How values are spread. As a Counter; bounds: the upper bounds of its buckets, growing, at most twelve."""

    name: str
    text: str
    labels: tuple[str, ...] = ()
    bounds: tuple[float, ...] = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)

    def __post_init__(self) -> None:
        _check(self)
        growing = all(a < b for a, b in zip(self.bounds, self.bounds[1:], strict=False))
        if not growing or not all(map(math.isfinite, self.bounds)) or not 0 < len(self.bounds) <= MOST_BOUNDS:
            raise ValueError(f"metric {self.name!r}: bounds are 1 to {MOST_BOUNDS} growing numbers")


Metric = Counter | Gauge | Histogram
Kind = Literal["counter", "gauge", "histogram"]


@dataclass(frozen=True, slots=True)
class Spread:
    """Of a histogram. at_most: how many values were at most each bound. total: of all values, `count` of them."""

    at_most: tuple[tuple[float, int], ...]
    count: int
    total: float


@dataclass(frozen=True, slots=True)
class Series:
    """What one series came to. values: of the labels, in their order. number: a counter's or a gauge's. spread: a histogram's."""

    values: tuple[str, ...]
    number: float = 0.0
    spread: Spread | None = None


@dataclass(frozen=True, slots=True)
class Family:
    """All series of one metric. owner: the plugin, "" for the server itself."""

    owner: str
    name: str
    kind: Kind
    text: str
    labels: tuple[str, ...]
    series: tuple[Series, ...]


def label_values(metric: Metric, given: Mapping[str, str]) -> tuple[str, ...]:
    """In the metric's order. Raises ValueError when others are given than it has, or one that is no text."""
    if len(given) != len(metric.labels) or not all(name in given for name in metric.labels):
        wanted, got = ", ".join(metric.labels) or "no labels", ", ".join(given) or "none"
        raise ValueError(f"metric {metric.name!r} has {wanted}; {got} were given")
    values = tuple(given[name] for name in metric.labels)
    if not all(isinstance(value, str) for value in values):
        raise ValueError(f"metric {metric.name!r}: the value of a label is text; {values!r} were given")
    return values


def _check(metric: Metric) -> None:
    what = f"metric {metric.name!r}"
    if not _NAME.fullmatch(metric.name) or len(metric.name) > 60:
        raise ValueError(f"{what}: lower case letters, digits and single underscores were expected, at most 60")
    if metric.name.endswith(_ENDS):
        raise ValueError(f"{what}: the endings {', '.join(_ENDS)} are written by the server where they belong")
    if not metric.text or len(metric.text) > MOST_TEXT or not metric.text.isprintable():
        raise ValueError(f"{what}: one line for people was expected, at most {MOST_TEXT} characters")
    labels = metric.labels
    is_sound = isinstance(labels, tuple) and all(_NAME.fullmatch(name) and name != "le" for name in labels)
    if not is_sound or len(set(labels)) < len(labels) or len(labels) > MOST_LABELS:
        raise ValueError(f"{what}: labels is a tuple of at most {MOST_LABELS} different names")
