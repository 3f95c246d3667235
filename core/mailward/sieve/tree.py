"""What does a script say, before anyone asks what it means? (RFC 5228 sections 2.6 to 2.9 and 8.2)"""

from dataclasses import dataclass

from mailward.sieve.problems import Place


@dataclass(frozen=True, slots=True)
class Number:
    """A number, its unit worked in."""

    value: int
    place: Place


@dataclass(frozen=True, slots=True)
class Tag:
    """name: in lower case, without the colon."""

    name: str
    place: Place


@dataclass(frozen=True, slots=True)
class Strings:
    """A string, or a list of them."""

    values: tuple[str, ...]
    place: Place
    is_list: bool = False


Argument = Number | Tag | Strings


@dataclass(frozen=True, slots=True)
class Node:
    """A command, or a test: its name in lower case, its arguments, the tests in it and, of commands, the block.

    tests: of a test list, or the one test. has_list: the tests stood in parentheses. block: None where there is none.
    """

    name: str
    place: Place
    arguments: tuple[Argument, ...] = ()
    tests: tuple["Node", ...] = ()
    has_list: bool = False
    block: tuple["Node", ...] | None = None
