"""Reads the arguments of one command from left to right (RFC 3501 section 9). What does not fit raises BadSyntax."""

import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from typing import TypeVar

from mailward.protocol.imap.events import LITERAL_MARK

T = TypeVar("T")

MAX_FLAGS = 64
MAX_RANGES = 5000
_NUMBER_OCTETS = 10

_ATOM = re.compile(rb"[^\x00-\x20\x7f-\xff(){%*\"\\\]]+")
_ASTRING = re.compile(rb"[^\x00-\x20\x7f-\xff(){%*\"\\]+")
_LIST = re.compile(rb"[^\x00-\x20\x7f-\xff(){\"\\]+")
_QUOTED = re.compile(rb'"((?:[^"\\\r\n\x00]|\\["\\])*)"')
_NUMBER = re.compile(rb"[0-9]{1,10}")
_MODSEQ = re.compile(rb"[0-9]{1,19}")
_FLAG = re.compile(rb"\\?[^\x00-\x20\x7f-\xff(){%*\"\\\]]+")
_ATTRIBUTE = re.compile(rb"\\[^\x00-\x20\x7f-\xff(){%*\"\\\]]+")
_SET = re.compile(rb"[0-9*:,]+")
_RANGE = re.compile(rb"([0-9]{1,10}|\*)(?::([0-9]{1,10}|\*))?")
_DATE = re.compile(r"(\d{1,2})-([A-Za-z]{3})-(\d{4})")
_DATE_TIME = re.compile(r"([ \d]\d)-([A-Za-z]{3})-(\d{4}) (\d\d):(\d\d):(\d\d) ([+-])(\d\d)(\d\d)")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_SYSTEM = {flag.lower(): flag for flag in ("\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "\\Draft")}


class BadSyntax(Exception):
    """The command is not of the grammar; the text is for the client's author."""


_ENDLESS = 1 << 32


@dataclass(frozen=True, slots=True)
class SequenceSet:
    """Ranges of numbers as written; None stands for "*". is_saved: "$", what a search saved (RFC 5182); no ranges then."""

    ranges: tuple[tuple[int | None, int | None], ...]
    is_saved: bool = False

    @property
    def is_single(self) -> bool:
        """One number, or "*"."""
        return len(self.ranges) == 1 and self.ranges[0][0] == self.ranges[0][1]

    @property
    def span(self) -> int:
        """How many numbers it names, at most: of a range up to "*" nobody knows yet."""
        return sum(1 if a == b else _ENDLESS if a is None or b is None else abs(a - b) + 1 for a, b in self.ranges)

    def reaches(self, number: int) -> bool:
        """It names this number or a higher one, or may do so."""
        return any(end is None or end >= number for pair in self.ranges for end in pair)

    def resolve(self, largest: int) -> tuple[tuple[int, int], ...]:
        """Ordered pairs (low, high) with "*" as `largest`, sorted and joined; reversed ranges are turned round."""
        pairs = sorted(
            (min(a, b), max(a, b))
            for a, b in ((largest if x is None else x, largest if y is None else y) for x, y in self.ranges)
        )
        joined: list[tuple[int, int]] = []
        for low, high in pairs:
            if joined and low <= joined[-1][1] + 1:
                joined[-1] = (joined[-1][0], max(high, joined[-1][1]))
            else:
                joined.append((low, high))
        return tuple(joined)

    def among(self, numbers: Sequence[int], largest: int) -> list[int]:
        """Those of ascending numbers that the set names, "*" being `largest`."""
        found: list[int] = []
        for low, high in self.resolve(largest):
            found += numbers[bisect_left(numbers, low) : bisect_left(numbers, high + 1)]
        return found


def set_text(numbers: Sequence[int]) -> str:
    """Numbers in the given order as a set, runs joined: in COPYUID the first of one set belongs to the first of the other."""
    return ranges_text((number, number) for number in numbers)


def ranges_text(ranges: Iterable[tuple[int, int]]) -> str:
    """The same of pairs (first, last)."""
    parts: list[list[int]] = []
    for first, last in ranges:
        if parts and first == parts[-1][1] + 1:
            parts[-1][1] = last
        else:
            parts.append([first, last])
    return ",".join(str(a) if a == b else f"{a}:{b}" for a, b in parts)


class Arguments:
    """A cursor over what follows the command's name."""

    def __init__(self, text: bytes, literals: Sequence[bytes] = (), *, utf8: bool = False) -> None:
        """utf8: quoted strings are UTF-8 (RFC 9755 section 3); else their octets are not looked at."""
        self._text = text
        self._utf8 = utf8
        self._literals = list(reversed(literals))
        self._at = 0

    @property
    def is_at_end(self) -> bool:
        return self._at == len(self._text)

    def end(self) -> None:
        """Nothing may follow."""
        if not self.is_at_end:
            raise BadSyntax("Something follows the end of the command")

    def space(self) -> None:
        self.expect(b" ")

    def expect(self, octets: bytes) -> None:
        if not self.take(octets):
            raise BadSyntax(f"'{octets.decode('ascii')}' was expected")

    def take(self, octets: bytes) -> bool:
        """Passes over these octets if they are next; letters in any case."""
        found = self._text[self._at : self._at + len(octets)].upper() == octets.upper()
        self._at += len(octets) if found else 0
        return found

    def looks_like(self, octets: bytes) -> bool:
        return self._text[self._at : self._at + len(octets)].upper() == octets.upper()

    def _match(self, pattern: re.Pattern[bytes], what: str) -> re.Match[bytes]:
        match = pattern.match(self._text, self._at)
        if match is None:
            raise BadSyntax(f"{what} was expected")
        self._at = match.end()
        return match

    def atom(self) -> str:
        """In capitals, for keywords."""
        return self._match(_ATOM, "A word")[0].decode("ascii").upper()

    def atom_as_written(self) -> bytes:
        """For what is not a keyword, base64 for one."""
        return self._match(_ASTRING, "A word")[0]

    def astring(self) -> bytes:
        return self._string_or(_ASTRING)

    def list_mailbox(self) -> bytes:
        return self._string_or(_LIST)

    def _string_or(self, pattern: re.Pattern[bytes]) -> bytes:
        first = self._text[self._at : self._at + 1]
        return self.string() if first in (b'"', LITERAL_MARK) else self._match(pattern, "A string")[0]

    def string(self) -> bytes:
        if self.take(LITERAL_MARK):
            octets = self._literals.pop()
            if b"\x00" in octets:
                raise BadSyntax("NUL is not allowed in a string")
            return octets
        octets = re.sub(rb"\\(.)", rb"\1", self._match(_QUOTED, "A string")[1])
        if self._utf8 and not is_utf8(octets):
            raise BadSyntax("A quoted string is UTF-8")
        return octets

    def nstring(self) -> bytes | None:
        return None if self.take(b"NIL") else self.string()

    def message(self) -> bytes:
        """The literal of APPEND, octets as they are."""
        if not self.take(LITERAL_MARK):
            raise BadSyntax("A literal was expected")
        return self._literals.pop()

    def number(self) -> int:
        value = int(self._match(_NUMBER, "A number")[0])
        if value > 0xFFFFFFFF:
            raise BadSyntax("A number of 32 bits was expected")
        return value

    def modseq(self) -> int:
        """A mod-sequence, 63 bits (RFC 7162 section 7). 0, which no message has, is taken everywhere."""
        value = int(self._match(_MODSEQ, "A mod-sequence")[0])
        if value >= 1 << 63:
            raise BadSyntax("A number of 63 bits was expected")
        return value

    def sequence_set(self) -> SequenceSet:
        if self.take(b"$"):
            return SequenceSet((), is_saved=True)
        text = self._match(_SET, "A set of numbers")[0]
        parts = text.split(b",")
        if len(parts) > MAX_RANGES:
            raise BadSyntax("Too many ranges")
        ranges = []
        for part in parts:
            match = _RANGE.fullmatch(part)
            if match is None:
                raise BadSyntax("A set of numbers was expected")
            first = _set_number(match[1])
            ranges.append((first, first if match[2] is None else _set_number(match[2])))
        return SequenceSet(tuple(ranges))

    def flag(self) -> str:
        text = self._match(_FLAG, "A flag")[0].decode("ascii")
        if not text.startswith("\\"):
            return text
        if text.lower() not in _SYSTEM:
            raise BadSyntax("No such system flag")
        return _SYSTEM[text.lower()]

    def attribute(self) -> str:
        """A mailbox attribute such as \\Sent, in lower case."""
        return self._match(_ATTRIBUTE, "A mailbox attribute")[0].decode("ascii").lower()

    def flags(self) -> tuple[str, ...]:
        """With or without parentheses (RFC 3501: STORE takes both)."""
        if self.looks_like(b"("):
            found = self.parenthesised(self.flag, allow_empty=True)
        else:
            found = [self.flag()]
            while self.take(b" "):
                found.append(self.flag())
        if len(found) > MAX_FLAGS:
            raise BadSyntax("Too many flags")
        return tuple(dict.fromkeys(found))

    def parenthesised(self, item: Callable[[], T], *, allow_empty: bool = False) -> list[T]:
        """(item item ...)"""
        self.expect(b"(")
        found: list[T] = []
        if allow_empty and self.take(b")"):
            return found
        found.append(item())
        while self.take(b" "):
            found.append(item())
        self.expect(b")")
        return found

    def date(self) -> date:
        text = (self.string() if self.looks_like(b'"') else self._match(_ATOM, "A date")[0]).decode("ascii", "replace")
        match = _DATE.fullmatch(text)
        if match is None:
            raise BadSyntax("A date such as 1-Feb-2026 was expected")
        return self._checked(lambda: date(int(match[3]), _month(match[2]), int(match[1])))

    def date_time(self) -> datetime:
        match = _DATE_TIME.fullmatch(self.string().decode("ascii", "replace"))
        if match is None:
            raise BadSyntax('A date-time such as " 1-Feb-2026 10:00:00 +0000" was expected')
        zone = timedelta(hours=int(match[8]), minutes=int(match[9])) * (-1 if match[7] == "-" else 1)
        parts = (int(match[3]), _month(match[2]), int(match[1]), int(match[4]), int(match[5]), int(match[6]))
        return self._checked(lambda: datetime(*parts, tzinfo=timezone(zone)).astimezone(UTC))

    def _checked(self, make: Callable[[], T]) -> T:
        try:
            return make()
        except (ValueError, OverflowError):
            raise BadSyntax("There is no such day or time") from None


def _month(text: str) -> int:
    if text.lower() not in _MONTHS:
        raise BadSyntax("There is no such month")
    return _MONTHS.index(text.lower()) + 1


def _set_number(text: bytes) -> int | None:
    if text == b"*":
        return None
    value = int(text)
    if not 0 < value <= 0xFFFFFFFF:
        raise BadSyntax("Numbers of a set are from 1 to 4294967295")
    return value


def is_utf8(octets: bytes) -> bool:
    try:
        octets.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
