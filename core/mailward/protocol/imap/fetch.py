"""What FETCH asks for, as values (RFC 3501 section 6.4.5; MODSEQ of RFC 7162, BINARY, OBJECTID, SAVEDATE and PREVIEW)."""

import re
from dataclasses import dataclass, replace
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
class Decoded:
    """One BINARY[...] or BINARY.SIZE[...] item (RFC 3516): a part with its transfer encoding undone, or only how long that is.

    path: never empty, since the message as a whole has no encoding.
    """

    label: bytes
    path: tuple[int, ...]
    partial: tuple[int, int] | None = None
    peek: bool = True
    is_size: bool = False


Item = str | Section | Decoded


@dataclass(frozen=True, slots=True)
class FetchItems:
    """items: plain attributes in order, each once, sections and decoded parts."""

    items: tuple[Item, ...]

    @property
    def marks_seen(self) -> bool:
        return any(not isinstance(item, str) and not item.peek for item in self.items)

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


def read_section(octets: bytes, partial: tuple[int, int] | None) -> Section:
    """What stands between the brackets of BODY[...], alone. Raises BadSyntax."""
    arguments = Arguments(octets + b"]")
    found = _section(arguments, peek=True)
    arguments.end()
    return replace(found, partial=partial)


def _item(arguments: Arguments) -> Item:
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
    if arguments.take(b"BINARY.SIZE["):
        return _size(arguments)
    if arguments.take(b"BINARY.PEEK["):
        return _binary(arguments, peek=True)
    if arguments.take(b"BINARY["):
        return _binary(arguments, peek=False)
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
            _add_number(path, arguments)
            continue
        break
    arguments.expect(b"]")
    label = b"BODY[" + b".".join([b"%d" % n for n in path] + ([kind.encode()] if kind else []))
    if names:
        label += b" (" + b" ".join(_shown(name) for name in names) + b")"
    partial = _partial(arguments)
    return Section(label + _end(partial), tuple(path), kind, names, partial, peek)


def _binary(arguments: Arguments, *, peek: bool) -> Section | Decoded:
    path = _path(arguments)
    partial = _partial(arguments)
    label = b"BINARY[" + b".".join([b"%d" % n for n in path]) + _end(partial)
    return Decoded(label, path, partial, peek) if path else Section(label, (), "", (), partial, peek)


def _size(arguments: Arguments) -> Item:
    path = _path(arguments)
    if not path:
        return "BINARY.SIZE[]"
    return Decoded(b"BINARY.SIZE[" + b".".join([b"%d" % n for n in path]) + b"]", path, is_size=True)


def _path(arguments: Arguments) -> tuple[int, ...]:
    """`1.2]`, the number of a part."""
    path: list[int] = []
    while not arguments.take(b"]"):
        if path:
            arguments.expect(b".")
        _add_number(path, arguments)
    return tuple(path)


def _add_number(path: list[int], arguments: Arguments) -> None:
    path.append(arguments.number())
    if path[-1] == 0 or len(path) > MAX_PART_LEVELS:
        raise BadSyntax("Part numbers begin at 1 and do not go that deep")


def _partial(arguments: Arguments) -> tuple[int, int] | None:
    """`<0.100>` where it is next."""
    if not arguments.take(b"<"):
        return None
    start = arguments.number()
    arguments.expect(b".")
    length = arguments.number()
    if not length:
        raise BadSyntax("A partial fetch is of at least one octet")
    arguments.expect(b">")
    return start, length


def _end(partial: tuple[int, int] | None) -> bytes:
    """How a label ends."""
    return b"]" if partial is None else b"]<%d>" % partial[0]


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
