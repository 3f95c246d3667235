"""What does an answer of a DNS list mean? (RFC 5782 section 2.1)

An A record in 127.0.0.0/8 is a listing whose last octets say why; several operators also use a few of them to say that they
refuse the question, which must never be taken for a listing (T-NET-04). Anything outside is a hijacked or expired zone.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

_OCTET = r"(?:\*|&?[0-9]{1,3}|[0-9]{1,3}-[0-9]{1,3})"
_PATTERN = re.compile(rf"127((?:\.{_OCTET}){{3}})(?:[ ]+([0-9.]+))?")

REFUSED = frozenset({"127.0.0.1", "127.0.0.255", "127.0.1.255"})
"""Used for "no more questions from you" (URIBL, SURBL; DNSWL) and for "not a name" (Spamhaus DBL); 127.255.255.* beside them."""


@dataclass(frozen=True, slots=True)
class CodePattern:
    """Return codes and how much they count. octets: the second to the fourth, each a test. strength: 0 to 1."""

    octets: tuple[str, str, str]
    strength: float

    def matches(self, code: str) -> bool:
        """code: an address in 127.0.0.0/8."""
        return all(_fits(test, int(value)) for test, value in zip(self.octets, code.split(".")[1:], strict=True))


ANY_CODE = CodePattern(("*", "*", "*"), 1.0)


def code_pattern(text: str) -> CodePattern:
    """`127.0.0.2-3 0.8`: codes, then the strength, 1 when left out. An octet is a number, a range, `*`, or `&8` for one bit.

    Raises ValueError.
    """
    match = _PATTERN.fullmatch(text.strip())
    try:
        strength = float(match[2] or 1) if match else -1.0
    except ValueError:
        strength = -1.0
    if match is None or not 0 <= strength <= 1:
        raise ValueError(f"'{text}' is no return code; write '127.0.0.2-3' or '127.0.0.10 0.5', the strength from 0 to 1")
    first, second, third = match[1][1:].split(".")
    return CodePattern((first, second, third), strength)


def _fits(test: str, value: int) -> bool:
    if test == "*":
        return True
    if test.startswith("&"):
        return bool(value & int(test[1:]))
    low, _, high = test.partition("-")
    return int(low) <= value <= int(high or low)


class UnusableAnswer(Exception):
    """The list refuses the question, or what answers is no such list; the text says which."""


def listed_strength(records: Iterable[str], patterns: Iterable[CodePattern]) -> float | None:
    """How much this answer counts: the strongest pattern that fits one of its codes, None when none does.

    records: A records. Raises UnusableAnswer when one of them can be no listing, whatever the others say.
    """
    records, patterns = tuple(records), tuple(patterns)
    for record in records:
        if not record.startswith("127."):
            raise UnusableAnswer(f"it answers {record}, which no list does")
        if record in REFUSED or record.startswith("127.255.255."):
            raise UnusableAnswer(f"it refuses to answer ({record})")
    return max((p.strength for p in patterns for record in records if p.matches(record)), default=None)
