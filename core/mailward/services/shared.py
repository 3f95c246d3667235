"""Numbers that several processes share: made before they are forked, kept in memory that all of them see.

Nothing locks, so a process that dies at any moment leaves nothing locked. Where a number must never drift, each process
writes its own column and all are added up (`OpenCounts`); where one lost step in many is no harm, all write the same
(`services.rates`).
"""

import mmap

_WAYS = 8
"""Places that a name may have; of more names that fall together, the one with the smallest number gives way."""
_NAME_MASK = (1 << 64) - 1


class SharedTable:
    """A number for each of many names, 0 for any other. places: how many there are about; the memory is 16 octets each.

    Names are kept as Python's keyed hash, which forked processes have in common and strangers cannot aim at.
    """

    def __init__(self, places: int) -> None:
        self._groups = max(1, -(-places // _WAYS))
        room = self._groups * _WAYS * 8
        self._names = memoryview(mmap.mmap(-1, room)).cast("Q")  # pages that nobody wrote take no memory
        self._numbers = memoryview(mmap.mmap(-1, room)).cast("d")

    def get(self, name: str) -> float:
        mark = hash(name) & _NAME_MASK or 1
        start = mark % self._groups * _WAYS
        marks = self._names[start : start + _WAYS].tolist()
        return self._numbers[start + marks.index(mark)] if mark in marks else 0.0

    def put(self, name: str, number: float) -> None:
        mark = hash(name) & _NAME_MASK or 1
        start = mark % self._groups * _WAYS
        marks = self._names[start : start + _WAYS].tolist()
        if mark in marks:
            self._numbers[start + marks.index(mark)] = number
        elif number:
            numbers = self._numbers[start : start + _WAYS].tolist()
            place = start + numbers.index(min(numbers))
            self._numbers[place], self._names[place] = number, mark

    def clear(self) -> None:
        for place in range(len(self._names)):
            if self._names[place]:
                self._names[place], self._numbers[place] = 0, 0.0


class Seats:
    """The processes that count together. Each takes its seat once it is forked; one alone has the first."""

    def __init__(self, count: int = 1) -> None:
        self.count = count
        self.own = 0
        self._counts: list[OpenCounts] = []

    def take(self, seat: int) -> None:
        """Sit where nobody sits any more: what the process that sat there before had open is closed."""
        self.own = seat
        for counts in self._counts:
            counts.forget_own()

    def join(self, counts: "OpenCounts") -> None:
        self._counts.append(counts)


class OpenCounts:
    """How many each of many has open, in all processes. Who keeps to a limit opens, counts then, and closes what is too many."""

    def __init__(self, places: int, seats: Seats) -> None:
        self._seats = seats
        self._tables = [SharedTable(places) for _ in range(seats.count)]
        seats.join(self)

    def of(self, name: str) -> int:
        return int(sum(table.get(name) for table in self._tables))

    def open(self, name: str) -> None:
        table = self._tables[self._seats.own]
        table.put(name, table.get(name) + 1)

    def close(self, name: str) -> None:
        table = self._tables[self._seats.own]
        table.put(name, max(0.0, table.get(name) - 1))

    def forget_own(self) -> None:
        self._tables[self._seats.own].clear()


class SharedNames:
    """A few words, written by one process and read by all that were forked after it was made."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, mmap.PAGESIZE)

    def get(self) -> frozenset[str]:
        return frozenset(self._memory[:].rstrip(b"\0").decode("ascii").split())

    def add(self, name: str) -> None:
        """Raises ValueError when there is no room."""
        text = " ".join(sorted(self.get() | {name})).encode("ascii")
        if len(text) > len(self._memory):
            raise ValueError(f"no room for {name}")
        self._memory[: len(text)] = text
