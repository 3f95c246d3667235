"""What may stand behind a word of the language, and what did stand there."""

from dataclasses import dataclass
from enum import Enum

from mailward.sieve.problems import Place
from mailward.sieve.text import Text


class Shape(Enum):
    """What an argument has to be, by the words of a problem."""

    STRING = "string"
    STRINGS = "string list"
    NUMBER = "number"


@dataclass(frozen=True, slots=True)
class Takes:
    """A positional argument. name: as problems name it."""

    name: str
    shape: Shape


@dataclass(frozen=True, slots=True)
class TagRule:
    """A tag that a word may have. group: of several tags of one group, one may stand there; as a rule its own name.

    takes: what has to follow it. extension: what has to be required for it.
    """

    name: str
    group: str = ""
    takes: Shape | None = None
    extension: str = ""

    @property
    def of_group(self) -> str:
        return self.group or self.name


class Inner(Enum):
    """Which tests stand inside a word."""

    NONE = 0
    ONE = 1
    LIST = 2


Value = int | tuple[Text, ...]


@dataclass(frozen=True, slots=True)
class TagUse:
    """A tag that stands there, and the value that followed it."""

    name: str
    place: Place
    value: Value | None = None

    @property
    def strings(self) -> tuple[Text, ...]:
        assert isinstance(self.value, tuple)
        return self.value

    @property
    def number(self) -> int:
        assert isinstance(self.value, int)
        return self.value
