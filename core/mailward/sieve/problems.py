"""What is wrong with a script, and where? Everything is told at once, as an editor would."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """line, column: from 1, the column in characters."""

    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Problem:
    """text: what is wrong and how to mend it, one line. script: the name of the script, "" for the one that was given."""

    place: Place
    text: str
    script: str = ""

    def __str__(self) -> str:
        return f"{self.script}:{self.place}: {self.text}" if self.script else f"{self.place}: {self.text}"


class Enough(Exception):
    """As many problems are told as are told; nothing more is looked for, which may take long (T-IMAP-20)."""


@dataclass(slots=True)
class Problems:
    """The problems of one script, in the order in which they were found; no more than `most` of them.

    hide_others: one of them leaves open what the rest of the script says.
    """

    most: int = 50
    found: list[Problem] = field(default_factory=list)
    hide_others: bool = False

    def add(self, place: Place, text: str) -> None:
        """Take one more. What is wrong at the same place for the same reason is told once. Raises Enough."""
        problem = Problem(place, text)
        if problem in self.found[-3:]:
            return
        if len(self.found) == self.most:
            raise Enough
        self.found.append(problem)
