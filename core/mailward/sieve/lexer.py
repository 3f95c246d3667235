"""Which tokens is a script made of? (RFC 5228 sections 2.1 to 2.5 and 8.1)

One pass of one pattern, linear in the script. What is no token is told once and passed over, so that the rest is still read.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from mailward.sieve.problems import Place, Problems

MOST_NUMBER = 2**64 - 1
"""RFC 5228 section 2.4.1 asks for 31 bits."""
_NAME_CHARACTERS = 32
"""No word of any extension is longer; a longer one is a slip of the keyboard."""
_UNITS = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30}

_TOKEN = re.compile(
    r"""(?P<blank>[ \t\r\n]++|\#[^\n]*+|/\*.*?\*/)
    |(?P<lines>text:[ \t]*+(?:\#[^\n]*+)?\r?\n)
    |(?P<name>:?[A-Za-z_][A-Za-z0-9_]*+)
    |(?P<number>[0-9]++)(?P<unit>[A-Za-z_][A-Za-z0-9_]*+)?
    |"(?P<quoted>[^"\\]*+(?:\\.[^"\\]*+)*)"
    |(?P<sign>[][(){};,])
    |(?P<rest>/\*|"|[^][(){};,"\s]++)""",
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_LAST_LINE = re.compile(r"^\.\r?(?:\n|\Z)", re.MULTILINE)
_STUFFED = re.compile(r"^\.(?=\.)", re.MULTILINE)
_NEWLINE = re.compile(r"\r?\n")


class Kind(Enum):
    """What a token is, as a problem names it."""

    NAME = "identifier"
    TAG = "tag"
    NUMBER = "number"
    STRING = "string"
    SIGN = "sign"
    END = "end of the script"


@dataclass(frozen=True, slots=True)
class Token:
    """text: the name in lower case, a tag without its colon; the text of a string, escapes undone, its line ends CRLF."""

    kind: Kind
    text: str
    place: Place
    number: int = 0


class _Places:
    """From offsets to lines and columns."""

    def __init__(self, script: str) -> None:
        self._starts = [0, *(found.end() for found in re.finditer("\n", script))]

    def at(self, offset: int) -> Place:
        line = bisect_right(self._starts, offset)
        return Place(line, offset - self._starts[line - 1] + 1)


def tokens(script: str, problems: Problems) -> Iterator[Token]:
    """The tokens in order, blanks and comments left out, `Kind.END` last. What is no token becomes a problem."""
    places = _Places(script)
    position = 0
    while position < len(script):
        found = _TOKEN.match(script, position)
        if found is None:  # a control character or blank of Unicode between tokens
            problems.add(places.at(position), f"the character U+{ord(script[position]):04X} stands outside of a string")
            position += 1
            continue
        start, position = position, found.end()
        if found["blank"] is not None:
            continue
        place = places.at(start)
        if (quoted := found["quoted"]) is not None:
            yield Token(Kind.STRING, _with_crlf(_ESCAPE.sub(r"\1", quoted) if "\\" in quoted else quoted), place)
        elif found["sign"] is not None:
            yield Token(Kind.SIGN, found["sign"], place)
        elif found["number"] is not None:
            yield _number(found["number"], found["unit"] or "", place, problems)
        elif found["name"] is not None:
            yield _name(found["name"], place, problems)
        elif found["lines"] is not None:
            last = _LAST_LINE.search(script, position)
            if last is None:
                problems.add(place, "this text: has no end; a line with a single dot ends it")
                yield Token(Kind.SIGN, "", place)
                break
            # RFC 5228 section 2.4.2: a line that begins with a dot has one more.
            yield Token(Kind.STRING, _with_crlf(_STUFFED.sub("", script[position : last.start()])), place)
            position = last.end()
        elif found["rest"] in ('"', "/*"):
            is_string = found["rest"] == '"'
            problems.add(place, "this string has no closing quote" if is_string else "this comment has no closing */")
            problems.hide_others |= is_string
            yield Token(Kind.SIGN, "", place)
            break
        else:
            problems.add(place, f"unexpected {found['rest'][:20]!r}")
            yield Token(Kind.SIGN, "", place)
    yield Token(Kind.END, "", places.at(len(script)))


def _name(name: str, place: Place, problems: Problems) -> Token:
    kind, text = (Kind.TAG, name[1:]) if name[0] == ":" else (Kind.NAME, name)
    if len(text) > _NAME_CHARACTERS:
        problems.add(place, f"the {kind.value} '{name[:20]}...' is longer than any there is")
        return Token(Kind.SIGN, "", place)
    return Token(kind, text.lower(), place)


def _number(digits: str, unit: str, place: Place, problems: Problems) -> Token:
    if unit.lower() not in _UNITS:
        problems.add(place, f"'{unit[:20]}' is no unit of a number; there are K, M and G")
        return Token(Kind.NUMBER, digits, place)
    # Python refuses to read numbers of thousands of digits.
    number = int(digits) * _UNITS[unit.lower()] if len(digits) <= 20 else MOST_NUMBER + 1
    if number > MOST_NUMBER:
        problems.add(place, f"the number {digits[:20]}{unit} is too large")
    return Token(Kind.NUMBER, digits + unit, place, min(number, MOST_NUMBER))


def _with_crlf(text: str) -> str:
    return _NEWLINE.sub("\r\n", text) if "\n" in text else text
