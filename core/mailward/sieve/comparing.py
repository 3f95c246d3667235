"""When are two texts equal, which one is first? Comparators (RFC 4790, RFC 5051) and address parts (RFC 5228 section 2.7)."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from mailward.formats.collation import casemap

_LOWER = re.compile(r"[a-z]+")
_DIGITS = re.compile(r"[0-9]+")


def _ascii_casemap(text: str) -> str:
    """RFC 4790 section 9.2.1: only ASCII letters have a case."""
    return text.upper() if text.isascii() else _LOWER.sub(lambda found: found[0].upper(), text)


def _ascii_numeric(text: str) -> int | float:
    """RFC 4790 section 9.1: the digits at the start; text without any is more than every number."""
    found = _DIGITS.match(text)
    return _number(found[0]) if found else float("inf")


def _number(digits: str) -> int:
    """Python refuses to read numbers of thousands of digits; no two that long are told apart."""
    significant = digits.lstrip("0")
    return int(significant or "0") if len(significant) < 1000 else 10**1000


@dataclass(frozen=True, slots=True)
class Comparator:
    """normal: makes text that is equal, and ordered, as the comparator says; None where it compares numbers instead. weight: how
    much dearer it is than others where there is more than ASCII.
    """

    normal: Callable[[str], str] | None
    weight: int = 1

    def key(self, text: str) -> str | int | float:
        """What equality and order go by."""
        return _ascii_numeric(text) if self.normal is None else self.normal(text)


COMPARATORS = {
    "i;octet": Comparator(str),
    "i;ascii-casemap": Comparator(_ascii_casemap),
    "i;ascii-numeric": Comparator(None),
    "i;unicode-casemap": Comparator(casemap, 8),
}
ALWAYS_THERE = frozenset({"i;octet", "i;ascii-casemap", "i;unicode-casemap"})
"""The first two need no require (RFC 5228 section 2.7.3); scripts written for Dovecot use the third without one."""
