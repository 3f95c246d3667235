"""The arguments of GETMETADATA and SETMETADATA (RFC 5464 section 5), which entries the first of them asks for, and those that
LIST is to return (RFC 9590)."""

import re
from collections.abc import Sequence, Sized
from dataclasses import dataclass

from mailward.protocol.imap.arguments import Arguments, BadSyntax

PRIVATE, SHARED = "/private/", "/shared/"
SPECIAL_USE = "/private/specialuse"
"""What the mailbox is used for, by METADATA (RFC 6154 section 4)."""
MAX_ENTRIES = 200
"""Of one command."""
MAX_NAME_OCTETS = 256

# Section 3.2. Of a vendor's names the third part is his, and says nothing by itself (section 3.2.1).
_NAME = re.compile(r"/(?:private|shared)(?:/(?!vendor(?:/[^/]*)?$)[^/*%\x00-\x1f\x7f]+)(?:/[^/*%\x00-\x1f\x7f]+)*")
_ABOVE = re.compile(r"/(?:private|shared)(?:/vendor(?:/[^/*%\x00-\x1f\x7f]+)?)?")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Entries and, to a depth of None for all, what is below them (section 4.2.2); values of at most so many octets."""

    names: frozenset[str]
    depth: int | None = 0
    max_octets: int | None = None

    def includes(self, name: str) -> bool:
        """Whether it is asked for, by itself or for what it is below. What this costs does not grow with the names (T-DOS-08)."""
        steps = name.count("/") if self.depth is None else self.depth
        while name not in self.names:
            if not steps:
                return False
            steps, name = steps - 1, name.rpartition("/")[0]
        return True


def read_wanted(arguments: Arguments) -> tuple[bytes, Wanted]:
    """What follows GETMETADATA: a mailbox's name as written, and the entries.

    Options stand before the name by the grammar, and behind it in the examples of section 4.2 and in programs. Raises BadSyntax.
    """
    arguments.space()
    options = _read_options(arguments)
    mailbox = arguments.astring()
    arguments.space()
    options |= _read_options(arguments)

    def name() -> str:
        return _read_name(arguments, (_NAME, _ABOVE))

    names = arguments.parenthesised(name) if arguments.looks_like(b"(") else [name()]
    _end(arguments, names)
    return mailbox, Wanted(frozenset(names), options.get("DEPTH", 0), options.get("MAXSIZE"))


def _read_options(arguments: Arguments) -> dict[str, int | None]:
    """{} where there are none; what begins as a list of options goes on as one."""
    if not (arguments.looks_like(b"(MAXSIZE ") or arguments.looks_like(b"(DEPTH ")):
        return {}

    def option() -> tuple[str, int | None]:
        word = arguments.atom()
        arguments.space()
        if word == "DEPTH":
            depth = arguments.atom()
            if depth not in ("0", "1", "INFINITY"):
                raise BadSyntax("DEPTH is 0, 1 or infinity")
            return word, None if depth == "INFINITY" else int(depth)
        if word == "MAXSIZE":
            return word, arguments.number()
        raise BadSyntax("MAXSIZE and DEPTH are the options")

    options = dict(arguments.parenthesised(option))
    arguments.space()
    return options


def read_changes(arguments: Arguments) -> tuple[bytes, dict[str, bytes | None]]:
    """What follows SETMETADATA: a mailbox's name as written, and new values, None for what is to go. Raises BadSyntax."""
    arguments.space()
    mailbox = arguments.astring()
    arguments.space()

    def change() -> tuple[str, bytes | None]:
        name = _read_name(arguments, (_NAME,))
        arguments.space()
        return name, arguments.message() if arguments.take(b"~") else arguments.nstring()

    changes = arguments.parenthesised(change)
    _end(arguments, changes)
    return mailbox, dict(changes)


def read_returned(arguments: Arguments) -> tuple[str, ...]:
    """What follows METADATA among the return options of LIST (RFC 9590 section 5): names, each once. Raises BadSyntax."""
    arguments.space()
    names = arguments.parenthesised(lambda: _read_name(arguments, (_NAME,)))
    _check_count(names)
    return tuple(dict.fromkeys(names))


def _end(arguments: Arguments, entries: Sized) -> None:
    arguments.end()
    _check_count(entries)


def _check_count(entries: Sized) -> None:
    if len(entries) > MAX_ENTRIES:
        raise BadSyntax("Too many entries")


def _read_name(arguments: Arguments, forms: Sequence[re.Pattern[str]]) -> str:
    """In lower case: names are the same in any (section 3.2)."""
    octets = arguments.astring()
    name = octets.decode("ascii", "replace").lower()
    if not octets.isascii() or len(octets) > MAX_NAME_OCTETS or not any(form.fullmatch(name) for form in forms):
        raise BadSyntax("The name of an entry is such as /private/comment or /shared/vendor/token/what")
    return name
