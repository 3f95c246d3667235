"""What FETCH asks for, as values (RFC 3501 section 6.4.5; MODSEQ of RFC 7162, OBJECTID, SAVEDATE and PREVIEW)."""

import re
from dataclasses import dataclass
from typing import Literal

from mailward.protocol.imap.arguments import Arguments, BadSyntax

MAX_ITEMS = 100
MAX_FIELD_NAMES = 200
MAX_PART_LEVELS = 100

SectionKind = Literal["", "HEADER", "TEXT", "MIME", "HEADER.FIELDS", "HEADER.FIELDS.NOT"]

_MACROS = {
    "ALL": ("FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE"),
    "FAST": ("FLAGS", "INTERNALDATE", "RFC822.SIZE"),
    "FULL": ("FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE", "BODY"),
}
_PLAIN = ("FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE", "BODYSTRUCTURE", "UID", "MODSEQ", "EMAILID", "THREADID", "SAVEDATE")
_OLD: dict[str, SectionKind] = {"RFC822.HEADER": "HEADER", "RFC822.TEXT": "TEXT", "RFC822": ""}


@dataclass(frozen=True, slots=True)
class Section:
    """One BODY[...] item. label: how the answer names it. partial: first octet and length. peek: does not set \\Seen."""

    label: bytes
    path: tuple[int, ...]
    kind: SectionKind
    names: tuple[str, ...] = ()
    partial: tuple[int, int] | None = None
    peek: bool = True


@dataclass(frozen=True, slots=True)
class FetchItems:
    """items: plain attributes in order, each once, and sections."""

    items: tuple[str | Section, ...]

    @property
    def marks_seen(self) -> bool:
        return any(isinstance(item, Section) and not item.peek for item in self.items)

    def having(self, *names: str) -> "FetchItems":
        """The same and these plain attributes."""
        return FetchItems(tuple(dict.fromkeys((*names, *self.items))))


def read_fetch_items(arguments: Arguments) -> FetchItems:
    """One item, a macro, or several in parentheses. Raises BadSyntax."""
    if arguments.looks_like(b"("):
        found = arguments.parenthesised(lambda: _item(arguments))
    else:
        for name, members in _MACROS.items():
            if arguments.looks_like(name.encode()):
                arguments.take(name.encode())
                return FetchItems(members)
        found = [_item(arguments)]
    if len(found) > MAX_ITEMS:
        raise BadSyntax("Too many items")
    return FetchItems(tuple(dict.fromkeys(found)))


def _item(arguments: Arguments) -> str | Section:
    for name in _PLAIN:
        if arguments.take(name.encode()):
            return name
    if arguments.take(b"PREVIEW"):
        arguments.take(b" (LAZY)")  # RFC 8970 section 3.1; ours is there already
        return "PREVIEW"
    for name, kind in _OLD.items():
        if arguments.take(name.encode()):
            return Section(name.encode(), (), kind, peek=name == "RFC822.HEADER")
    if arguments.take(b"BODY.PEEK["):
        return _section(arguments, peek=True)
    if arguments.take(b"BODY["):
        return _section(arguments, peek=False)
    if arguments.take(b"BODY"):
        return "BODY"
    raise BadSyntax("There is no such FETCH item")


def _section(arguments: Arguments, *, peek: bool) -> Section:
    path: list[int] = []
    kind: SectionKind = ""
    names: tuple[str, ...] = ()
    while not arguments.looks_like(b"]"):
        if path and not arguments.take(b"."):
            raise BadSyntax("']' was expected")
        if arguments.take(b"HEADER.FIELDS.NOT"):
            kind, names = "HEADER.FIELDS.NOT", _names(arguments)
        elif arguments.take(b"HEADER.FIELDS"):
            kind, names = "HEADER.FIELDS", _names(arguments)
        elif arguments.take(b"HEADER"):
            kind = "HEADER"
        elif arguments.take(b"TEXT"):
            kind = "TEXT"
        elif path and arguments.take(b"MIME"):
            kind = "MIME"
        else:
            path.append(arguments.number())
            if path[-1] == 0 or len(path) > MAX_PART_LEVELS:
                raise BadSyntax("Part numbers begin at 1 and do not go that deep")
            continue
        break
    arguments.expect(b"]")
    label = b"BODY[" + b".".join([b"%d" % n for n in path] + ([kind.encode()] if kind else []))
    if names:
        label += b" (" + b" ".join(_shown(name) for name in names) + b")"
    label += b"]"
    partial = None
    if arguments.take(b"<"):
        start = arguments.number()
        arguments.expect(b".")
        length = arguments.number()
        if not length:
            raise BadSyntax("A partial fetch is of at least one octet")
        arguments.expect(b">")
        partial = (start, length)
        label += b"<%d>" % start
    return Section(label, tuple(path), kind, names, partial, peek)


def _names(arguments: Arguments) -> tuple[str, ...]:
    arguments.space()
    found = arguments.parenthesised(arguments.astring)
    if len(found) > MAX_FIELD_NAMES:
        raise BadSyntax("Too many field names")
    names = tuple(name.decode("ascii", "replace") for name in found)
    if any(not re.fullmatch(r"[!-9;-~]+", name) for name in names):
        raise BadSyntax("A field name was expected")
    return names


def _shown(name: str) -> bytes:
    return (
        name.encode()
        if re.fullmatch(r"[A-Za-z0-9-]+", name)
        else b'"' + name.replace("\\", "\\\\").replace('"', '\\"').encode() + b'"'
    )
