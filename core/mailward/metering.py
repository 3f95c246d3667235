"""The one way to count: numbers of all processes of a server, for `mailward metrics`.

Each process writes into a room of its own, in memory that all of them see, and whoever is asked reads all rooms: nothing waits
for anybody, and nothing is sent. A process that takes a dead one's place goes on in its room, so counters never fall. As with the
log, whoever counts need not be handed anything; outside the server it counts for itself alone.
"""

import json
import math
import mmap
import threading
import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

from mailward.model.metrics import MOST_BOUNDS, Counter, Family, Gauge, Histogram, Kind, Metric, Series, Spread, label_values

ROOM_OCTETS = 4 << 20
"""Of one process; pages that nobody wrote take no memory."""
MOST_SERIES = 200
"""Of one plugin in one process: what comes later counts under the label value "other" (T-DOS-16)."""
MOST_SERIES_OF_SERVER = 1000
MOST_OCTETS = 128 * 1024
"""What describes them, of one owner, beside their numbers."""
MOST_LABEL = 60
OTHER = "other"

Place = tuple["memoryview[float]", int]
"""The numbers of a room, and where those of a series begin."""


class Room:
    """Series of numbers by their keys: written by one process, read by any. A record counts once `used` covers it."""

    def __init__(self, octets: int = ROOM_OCTETS) -> None:
        """octets: a multiple of 8."""
        self._memory = mmap.mmap(-1, octets)
        self._words = memoryview(self._memory).cast("Q")
        self.numbers = memoryview(self._memory).cast("d")

    def add(self, key: bytes, count: int, first: float) -> int | None:
        """Where the first of its numbers stands, which is the only one that is not 0; None when there is no room."""
        start = self._words[0] or 1
        end = start + 1 + count + -(-len(key) // 8)
        if end > len(self._words):
            return None
        self._words[start] = count << 32 | len(key)
        at = (start + 1 + count) * 8
        self._memory[at : at + len(key)] = key
        self.numbers[start + 1] = first
        self._words[0] = end
        return int(start) + 1

    def records(self) -> Iterator[tuple[bytes, int, int]]:
        """Key, place of its first number, how many."""
        start, used = 1, self._words[0]
        while start < used:
            count, length = self._words[start] >> 32, self._words[start] & 0xFFFFFFFF
            at = (start + 1 + count) * 8
            yield self._memory[at : at + length], start + 1, count
            start += 1 + count + -(-length // 8)


class Meters:
    """The rooms of all processes."""

    def __init__(self) -> None:
        self.room = Room()
        self.lock = threading.RLock()  # counting may collect garbage, and what is collected may count
        self._rooms = {"": self.room}
        self._meters: dict[str, Meter] = {}

    def share(self, seats: Iterable[str]) -> None:
        """To be called before the processes are forked: one room for each."""
        self._rooms |= {seat: Room() for seat in seats}

    def sit(self, seat: str) -> None:
        """This process counts there from now on. Where a dead one has counted before, what was its own share is 0."""
        self.room = self._rooms[seat]
        self.lock = threading.RLock()  # whoever held it at the fork is not here
        for key, place, _ in self.room.records():
            if _Record.read(key).adds_up:
                self.room.numbers[place + 1] = 0.0
        for meter in self._meters.values():
            meter.begin()

    def of(self, owner: str) -> "Meter":
        """What a plugin counts with; "" for the server itself."""
        if owner not in self._meters:
            self._meters[owner] = Meter(self, owner, MOST_SERIES if owner else MOST_SERIES_OF_SERVER)
        return self._meters[owner]

    def read(self) -> tuple[Family, ...]:
        """All that was counted by anybody, sorted by owner and name."""
        found: defaultdict[tuple[str, str], list[tuple[_Record, list[float]]]] = defaultdict(list)
        for room in self._rooms.values():
            for key, place, count in room.records():
                record = _Record.read(key)
                found[record.owner, record.name].append((record, list(room.numbers[place : place + count])))
        return tuple(_family(found[name]) for name in sorted(found))


class Meter:
    """`mailward.api.Metrics` of one owner. From any thread."""

    def __init__(self, meters: Meters, owner: str, most: int) -> None:
        self._meters = meters
        self._owner = owner
        self._most = most
        self.begin()

    def begin(self) -> None:
        """In the room that is this process's now."""
        self._lock = self._meters.lock
        self._room = room = self._meters.room
        self._known = {key: place for key, place, _ in room.records() if _Record.read(key).owner == self._owner}
        self._octets = sum(map(len, self._known))
        # By what a call says, so that most calls need only look here.
        self._counters: dict[tuple[object, ...], Place] = {}
        self._gauges: dict[tuple[object, ...], Place] = {}
        self._histograms: dict[tuple[object, ...], Place] = {}

    def count(self, counter: Counter, amount: float = 1, /, **labels: str) -> None:
        """Add to a counter. Raises ValueError for an amount below 0 and for labels that it does not have."""
        if not 0 <= amount < math.inf:
            raise ValueError(f"metric {counter.name!r}: {amount} cannot be added to a counter")
        said = (counter.name, *labels.items())
        with self._lock:
            numbers, place = self._counters.get(said) or self._found(self._counters, said, counter, labels)
            numbers[place] += amount

    def set(self, gauge: Gauge, value: float, /, **labels: str) -> None:
        """Say what a gauge is now. Raises ValueError for no number and for labels that it does not have."""
        if not -math.inf < value < math.inf:
            raise ValueError(f"metric {gauge.name!r}: {value} is no value")
        said = (gauge.name, *labels.items())
        with self._lock:
            numbers, place = self._gauges.get(said) or self._found(self._gauges, said, gauge, labels)
            numbers[place], numbers[place + 1] = value, time.monotonic()

    def change(self, gauge: Gauge, by: float, /, **labels: str) -> None:
        """Add to a gauge that adds up, or take away."""
        with self._lock:
            numbers, place = self._place(gauge, labels)
            numbers[place] += by

    def observe(self, histogram: Histogram, value: float, /, **labels: str) -> None:
        """Note one value. Raises ValueError for no number and for labels that it does not have."""
        if not -math.inf < value < math.inf:
            raise ValueError(f"metric {histogram.name!r}: {value} is no value")
        said = (histogram.name, histogram.bounds, *labels.items())
        with self._lock:
            numbers, place = self._histograms.get(said) or self._found(self._histograms, said, histogram, labels)
            numbers[place] += value
            numbers[place + 1 + bisect_left(histogram.bounds, value)] += 1

    def place(self, counter: Counter, /, **labels: str) -> Place:
        """Where one series of a counter stands, for one thread that counts so often that a call would be felt."""
        with self._lock:
            return self._place(counter, labels)

    def _found(
        self, places: dict[tuple[object, ...], Place], said: tuple[object, ...], metric: Metric, labels: Mapping[str, str]
    ) -> Place:
        found = self._place(metric, labels)
        if len(places) < 2 * self._most:  # of labels that are given in another order each time
            places[said] = found
        return found

    def _place(self, metric: Metric, labels: Mapping[str, str]) -> Place:
        """Of the series with these labels, of the one for all others, or of one that nobody reads."""
        values = tuple(map(_shown, label_values(metric, labels)))
        place = self._added(metric, values, 1)
        if place is None:
            place = self._added(metric, tuple(OTHER for _ in values), 2)
        return (_NOWHERE, 0) if place is None else (self._room.numbers, place + 1)

    def _added(self, metric: Metric, values: tuple[str, ...], share: int) -> int | None:
        """share: so many times may what one owner has be taken."""
        key = _Record.of(self._owner, metric, values).key
        if key not in self._known and len(self._known) < share * self._most and self._octets < share * MOST_OCTETS:
            place = self._room.add(key, 1 + _size(metric), time.monotonic())
            if place is not None:
                self._known[key] = place
                self._octets += len(key)
        return self._known.get(key)


METERS = Meters()
"""Of this process and those that are forked from it."""

_NOWHERE = memoryview(bytearray(8 * (MOST_BOUNDS + 2))).cast("d")


@dataclass(frozen=True, slots=True)
class _Record:
    """What a record is of. Its numbers are when it was added, and then: a counter's sum; a gauge's value and when it was set; the
    sum of a histogram's values and how many fell into each bucket."""

    owner: str
    kind: Kind
    name: str
    text: str
    labels: tuple[str, ...]
    bounds: tuple[float, ...]
    adds_up: bool
    values: tuple[str, ...]

    @classmethod
    def of(cls, owner: str, metric: Metric, values: tuple[str, ...]) -> "_Record":
        bounds = metric.bounds if isinstance(metric, Histogram) else ()
        adds_up = isinstance(metric, Gauge) and metric.adds_up
        kind: Kind = "counter" if isinstance(metric, Counter) else "gauge" if isinstance(metric, Gauge) else "histogram"
        return cls(owner, kind, metric.name, metric.text, metric.labels, bounds, adds_up, values)

    @classmethod
    def read(cls, key: bytes) -> "_Record":
        owner, kind, name, text, labels, bounds, adds_up, values = json.loads(key)
        return cls(owner, kind, name, text, tuple(labels), tuple(bounds), adds_up, tuple(values))

    @property
    def key(self) -> bytes:
        fields = (self.owner, self.kind, self.name, self.text, self.labels, self.bounds, self.adds_up, self.values)
        return json.dumps(fields).encode("ascii")

    @property
    def shape(self) -> tuple[object, ...]:
        """Only series of one shape can be added up."""
        return self.kind, self.labels, self.bounds, self.adds_up


def _size(metric: Metric) -> int:
    return 1 if isinstance(metric, Counter) else 2 if isinstance(metric, Gauge) else len(metric.bounds) + 2


def _shown(value: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in value[:MOST_LABEL])


def _family(found: Sequence[tuple[_Record, list[float]]]) -> Family:
    """Of one metric's records. Where a plugin was changed and loaded again, the shape that it has now is the one that counts."""
    newest = max(found, key=lambda pair: pair[1][0])[0]
    rows: defaultdict[tuple[str, ...], list[list[float]]] = defaultdict(list)
    for record, (_, *numbers) in found:
        if record.shape == newest.shape:
            rows[record.values].append(numbers)
    together = tuple(_together(newest, values, rows[values]) for values in sorted(rows))
    return Family(newest.owner, newest.name, newest.kind, newest.text, newest.labels, together)


def _together(shape: _Record, values: tuple[str, ...], rows: Sequence[Sequence[float]]) -> Series:
    """What several processes counted, as one."""
    if shape.kind == "gauge" and not shape.adds_up:
        return Series(values, max(rows, key=lambda row: row[1])[0])
    if shape.kind != "histogram":
        return Series(values, sum(row[0] for row in rows))
    total, *counts = (sum(column) for column in zip(*rows, strict=True))
    *at_most, count = accumulate(map(int, counts))
    return Series(values, spread=Spread(tuple(zip(shape.bounds, at_most, strict=True)), count, total))
