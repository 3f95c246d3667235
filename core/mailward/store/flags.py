"""Flag names to bits and back: five system flags, then one bit for each keyword a mailbox has seen."""

import sys
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import compress

from mailward.store.base import FIRST_KEYWORD_BIT, SYSTEM_FLAGS
from mailward.store.ops import ANY_KEYWORD, Mode
from mailward.store.refusals import NotPermitted

MAX_KEYWORDS = 63 - FIRST_KEYWORD_BIT
"""A flags value stays a positive signed 64-bit integer, as SQLite has it."""

SEEN = 1 << SYSTEM_FLAGS.index("\\Seen")
DELETED = 1 << SYSTEM_FLAGS.index("\\Deleted")

_SYSTEM_BITS = {name.casefold(): 1 << bit for bit, name in enumerate(SYSTEM_FLAGS)}
_OCTETS = tuple(range(8) if sys.byteorder == "little" else range(7, -1, -1))
"""Where the octets of a flags value are in an array, the lowest first."""
_MAX_KEYWORD_CHARACTERS = 100
_NOT_IN_ATOMS = frozenset('(){%*"\\] ')


def bits_of(flags: Sequence[str], keywords: tuple[str, ...], *, make: bool) -> tuple[int, tuple[str, ...]]:
    """The flags as bits, and the mailbox's keywords with the new ones behind (only if `make`; else unknown ones count as 0).

    Names are compared without case and keep the form they were first given (RFC 9051 section 2.3.2).
    Raises NotPermitted for a flag that cannot be stored and for more than MAX_KEYWORDS.
    """
    bits = 0
    for flag in flags:
        folded = flag.casefold()
        if folded.startswith("\\"):
            if folded not in _SYSTEM_BITS:
                raise NotPermitted(f"The flag {flag} cannot be stored")
            bits |= _SYSTEM_BITS[folded]
            continue
        for number, keyword in enumerate(keywords):
            if keyword.casefold() == folded:
                bits |= 1 << (FIRST_KEYWORD_BIT + number)
                break
        else:
            if make:
                keywords = (*keywords, _checked(flag))
                if len(keywords) > MAX_KEYWORDS:
                    raise NotPermitted(f"A mailbox has at most {MAX_KEYWORDS} different keywords")
                bits |= 1 << (FIRST_KEYWORD_BIT + len(keywords) - 1)
    return bits, keywords


def mask_of(flags: Sequence[str], keywords: tuple[str, ...]) -> int:
    """Their bits; `ANY_KEYWORD` is those of all keywords there can be."""
    bits, _ = bits_of([flag for flag in flags if flag != ANY_KEYWORD], keywords, make=False)
    return bits | (-1 << FIRST_KEYWORD_BIT if ANY_KEYWORD in flags else 0)


@dataclass(frozen=True, slots=True)
class FlagChange:
    """A flags value becomes `value & keep | put`."""

    keep: int
    put: int

    @classmethod
    def of(cls, mode: Mode, bits: int, kept: int = 0) -> "FlagChange":
        """kept: "replace" leaves these alone."""
        match mode:
            case "add":
                return cls(-1, bits)
            case "remove":
                return cls(~bits, 0)
            case "replace":
                return cls(kept, bits & ~kept)

    def concerns(self, flag: int) -> bool:
        """Whether it may change this one."""
        return bool(~self.keep & flag or self.put & flag)

    def one(self, value: int) -> int:
        return value & self.keep | self.put

    def many(self, values: "array[int]") -> tuple["array[int]", bytes]:
        """What they become, and for each of them 1 where that is another value, else 0.

        One octet of all of them at once, by a table, which takes less than a tenth of the time that each by itself does.
        """
        octets, other = bytearray(values), 0
        for number, place in enumerate(_OCTETS):
            keep, put = self.keep >> 8 * number & 255, self.put >> 8 * number & 255
            if keep != 255 or put:
                becomes, differs = _tables(keep, put)
                before = octets[place::8]
                octets[place::8] = before.translate(becomes)
                other |= int.from_bytes(before.translate(differs), "little")
        return array("Q", octets), other.to_bytes(len(values), "little")

    def apply(
        self, flags: "array[int]", modseqs: "array[int]", places: Sequence[int], modseq: int
    ) -> tuple[bytes, "array[int]", "array[int]"]:
        """Change the flags at these places; what changes has this MODSEQ then. As `many` says which those are, and the values at
        all the places before and after. flags, modseqs: array('Q')."""
        if isinstance(places, range):
            some = slice(places.start, places.stop)
            old = flags[some]
            new, differs = self.many(old)
            flags[some] = new
        else:
            old = array("Q", [flags[place] for place in places])
            new, differs = self.many(old)
            for place, value in zip(places, new, strict=True):
                flags[place] = value
        if isinstance(places, range) and 0 not in differs:
            modseqs[some] = array("Q", [modseq]) * len(places)
        else:
            for place in compress(places, differs):
                modseqs[place] = modseq
        return differs, old, new


@lru_cache(1024)
def _tables(keep: int, put: int) -> tuple[bytes, bytes]:
    """What each octet becomes, and 1 where that is another."""
    becomes = bytes(octet & keep | put for octet in range(256))
    return becomes, bytes(octet != becomes[octet] for octet in range(256))


def how_many(values: "array[int]", flag: int) -> int:
    """Of these flags values have this system flag."""
    return _having(values, flag).count(1)


def first_without(values: "array[int]", flag: int) -> int | None:
    """The place of the first flags value that does not have this system flag."""
    start, some = 0, 64
    while start < len(values):
        place = _having(values[start : start + some], flag).find(0)
        if place >= 0:
            return start + place
        start, some = start + some, 8 * some
    return None


def _having(values: "array[int]", flag: int) -> bytes:
    """1 for each flags value that has this system flag, else 0."""
    _, has = _tables(255 ^ flag, 0)
    return values.tobytes()[_OCTETS[0] :: 8].translate(has)


def _checked(keyword: str) -> str:
    if not 0 < len(keyword) <= _MAX_KEYWORD_CHARACTERS or any(not "!" <= c <= "~" or c in _NOT_IN_ATOMS for c in keyword):
        raise NotPermitted("A keyword is an atom of at most 100 printable ASCII characters")
    return keyword


def names_of(bits: int, keywords: Sequence[str]) -> tuple[str, ...]:
    """The flags' names, system flags first."""
    system = [name for bit, name in enumerate(SYSTEM_FLAGS) if bits >> bit & 1]
    return (*system, *(name for bit, name in enumerate(keywords, FIRST_KEYWORD_BIT) if bits >> bit & 1))
