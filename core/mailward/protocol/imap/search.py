"""What SEARCH asks for, as a tree of values (RFC 3501 section 6.4.4, RFC 5032, MODSEQ of RFC 7162, RFC 8474, RFC 8514), and the
answer it wants (RFC 4731, RFC 5182, RFC 5267, RFC 9394)."""

from dataclasses import dataclass
from datetime import date
from typing import Literal

from mailward.protocol.imap.arguments import Arguments, BadSyntax, SequenceSet
from mailward.protocol.imap.objectid import number_of
from mailward.protocol.imap.partial import Page, read_page

MAX_KEYS = 500
MAX_DEPTH = 64
"""Parentheses, NOT and OR together; deeper than other lists because clients write `OR a OR b OR c ...`."""
MAX_BODY_KEYS = 8
"""BODY and TEXT read every message they are asked about."""
CHARSETS = ("US-ASCII", "UTF-8")
RETURN_OPTIONS = frozenset({"MIN", "MAX", "ALL", "COUNT", "SAVE", "UPDATE", "CONTEXT"})
"""Beside PARTIAL. The last is a hint that the same will be asked again (RFC 5267 section 4)."""


@dataclass(frozen=True, slots=True)
class Returns:
    """What an answer is to tell. options: none where there was no RETURN. page: of PARTIAL, which is among them then."""

    options: frozenset[str] = frozenset()
    page: Page | None = None


class UnknownCharset(Exception):
    """A CHARSET that is not ours: NO [BADCHARSET]."""


class SearchRefused(Exception):
    """Of the grammar, but too costly: NO [LIMIT]."""


@dataclass(frozen=True, slots=True)
class And:
    keys: tuple["Key", ...]


@dataclass(frozen=True, slots=True)
class Or:
    first: "Key"
    second: "Key"


@dataclass(frozen=True, slots=True)
class Not:
    key: "Key"


@dataclass(frozen=True, slots=True)
class Flag:
    """The flag is set."""

    name: str


@dataclass(frozen=True, slots=True)
class Numbers:
    """Sequence numbers, or UIDs."""

    numbers: SequenceSet
    uid: bool


@dataclass(frozen=True, slots=True)
class Size:
    """Larger or smaller than so many octets."""

    larger: bool
    octets: int


DayField = Literal["internal", "sent", "saved"]
Relation = Literal["before", "on", "since"]


@dataclass(frozen=True, slots=True)
class Day:
    """field: when the message arrived, was sent or saved (RFC 8514); relation to a day, time of day and zone disregarded."""

    field: DayField
    relation: Relation
    day: date


@dataclass(frozen=True, slots=True)
class Age:
    """Arrived within the last `seconds` (younger), or before (RFC 5032)."""

    younger: bool
    seconds: int


@dataclass(frozen=True, slots=True)
class Text:
    """where: "header:<name>", "body" or "text" (header and body). text: compared without case; "" is in all that exists."""

    where: str
    text: str


@dataclass(frozen=True, slots=True)
class Changed:
    """Has at least this MODSEQ (RFC 7162)."""

    modseq: int


@dataclass(frozen=True, slots=True)
class Object:
    """Is this email, or in this thread (RFC 8474); None for an identifier that was never given. whose: see `objectid`."""

    kind: Literal["M", "T"]
    number: int | None
    whose: str = ""


Key = And | Or | Not | Flag | Numbers | Size | Day | Age | Text | Changed | Object

_FLAGS = {"ANSWERED": "\\Answered", "DELETED": "\\Deleted", "DRAFT": "\\Draft", "FLAGGED": "\\Flagged", "SEEN": "\\Seen"}
_HEADERS = {"BCC", "CC", "FROM", "SUBJECT", "TO"}
_OBJECTS: dict[str, Literal["M", "T"]] = {"EMAILID": "M", "THREADID": "T"}
_DAYS: dict[str, tuple[DayField, Relation]] = {
    "BEFORE": ("internal", "before"), "ON": ("internal", "on"), "SINCE": ("internal", "since"),
    "SENTBEFORE": ("sent", "before"), "SENTON": ("sent", "on"), "SENTSINCE": ("sent", "since"),
    "SAVEDBEFORE": ("saved", "before"), "SAVEDON": ("saved", "on"), "SAVEDSINCE": ("saved", "since"),
}  # fmt: skip
EVERYTHING = And(())
RECENT = Flag("\\Recent")


def asks_modseq(key: Key) -> bool:
    """Whether MODSEQ is among the keys: the answer then tells the highest that was found."""
    match key:
        case And():
            return any(map(asks_modseq, key.keys))
        case Or():
            return asks_modseq(key.first) or asks_modseq(key.second)
        case Not():
            return asks_modseq(key.key)
        case _:
            return isinstance(key, Changed)


def read_search(arguments: Arguments) -> Key:
    """SEARCH's arguments from the charset on. Raises BadSyntax, UnknownCharset and SearchRefused (T-IMAP-07)."""
    if arguments.take(b"CHARSET "):
        return read_keys(arguments)
    return _keys(arguments)


def read_keys(arguments: Arguments) -> Key:
    """A charset and search keys, to the end of the command. Raises as `read_search`."""
    charset = arguments.astring().decode("ascii", "replace").upper()
    if charset not in CHARSETS:
        raise UnknownCharset(charset)
    arguments.space()
    return _keys(arguments)


def read_returns(arguments: Arguments) -> Returns:
    """`RETURN (MIN COUNT) ` when it comes next; () is ALL (RFC 4731 section 3.1)."""
    if not arguments.take(b"RETURN "):
        return Returns()
    page: Page | None = None

    def option() -> str:
        nonlocal page
        word = arguments.atom()
        if word == "PARTIAL":
            if page is not None:
                raise BadSyntax("PARTIAL may stand once")
            page = read_page(arguments)
        elif word not in RETURN_OPTIONS:
            raise BadSyntax("There is no such result option")
        return word

    options = frozenset(arguments.parenthesised(option, allow_empty=True))
    if options >= {"ALL", "PARTIAL"}:
        raise BadSyntax("ALL and PARTIAL exclude each other")
    arguments.space()
    return Returns(options or frozenset({"ALL"}), page)


def _keys(arguments: Arguments) -> Key:
    reader = _Reader(arguments)
    keys = [reader.key(0)]
    while arguments.take(b" "):
        keys.append(reader.key(0))
    arguments.end()
    return And(tuple(keys))


class _Reader:
    def __init__(self, arguments: Arguments) -> None:
        self._arguments = arguments
        self._count = 0
        self._body_keys = 0

    def key(self, depth: int) -> Key:
        self._count += 1
        if depth > MAX_DEPTH or self._count > MAX_KEYS:
            raise SearchRefused("The search is too deep or too long")
        arguments = self._arguments
        if arguments.looks_like(b"("):
            return And(tuple(arguments.parenthesised(lambda: self.key(depth + 1))))
        if any(arguments.looks_like(b"%c" % c) for c in b"0123456789*$"):
            return Numbers(arguments.sequence_set(), uid=False)
        word = arguments.atom()
        if word == "NOT":
            arguments.space()
            return Not(self.key(depth + 1))
        if word == "OR":
            arguments.space()
            first = self.key(depth + 1)
            arguments.space()
            return Or(first, self.key(depth + 1))
        return self._simple(word)

    def _simple(self, word: str) -> Key:
        arguments = self._arguments
        if word in ("ALL", "SAVEDATESUPPORTED"):
            return EVERYTHING
        if word == "NEW":
            return And((RECENT, Not(Flag("\\Seen"))))
        if word in ("RECENT", "OLD"):
            return RECENT if word == "RECENT" else Not(RECENT)
        if word in _FLAGS:
            return Flag(_FLAGS[word])
        if word.startswith("UN") and word[2:] in _FLAGS:
            return Not(Flag(_FLAGS[word[2:]]))
        arguments.space()
        if word in ("KEYWORD", "UNKEYWORD"):
            flag = Flag(arguments.flag())
            return flag if word == "KEYWORD" else Not(flag)
        if word in ("LARGER", "SMALLER"):
            return Size(word == "LARGER", arguments.number())
        if word in _DAYS:
            field, relation = _DAYS[word]
            return Day(field, relation, arguments.date())
        if word in ("YOUNGER", "OLDER"):
            return Age(word == "YOUNGER", arguments.number())
        if word == "UID":
            return Numbers(arguments.sequence_set(), uid=True)
        if word == "MODSEQ":
            return self._changed()
        if word in _OBJECTS:
            number, whose = number_of(_OBJECTS[word], arguments.atom_as_written()) or (None, "")
            return Object(_OBJECTS[word], number, whose)
        if word == "HEADER":
            name = arguments.astring().decode("ascii", "replace")
            arguments.space()
            return Text(f"header:{name}", self._text())
        if word in _HEADERS:
            return Text(f"header:{word}", self._text())
        if word in ("BODY", "TEXT"):
            self._body_keys += 1
            if self._body_keys > MAX_BODY_KEYS:
                raise SearchRefused(f"A search has at most {MAX_BODY_KEYS} keys that read whole messages")
            return Text(word.lower(), self._text())
        raise BadSyntax("There is no such search key")

    def _changed(self) -> Key:
        """A flag may be named to ask for its own MODSEQ; ours is the message's, which RFC 7162 section 3.1.5 allows."""
        arguments = self._arguments
        if arguments.looks_like(b'"'):
            arguments.string()
            arguments.space()
            if arguments.atom() not in ("PRIV", "SHARED", "ALL"):
                raise BadSyntax("priv, shared or all was expected")
            arguments.space()
        return Changed(arguments.modseq())

    def _text(self) -> str:
        return self._arguments.astring().decode("utf-8", "replace")
