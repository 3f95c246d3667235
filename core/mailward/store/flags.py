"""Flag names to bits and back: five system flags, then one bit for each keyword a mailbox has seen."""

from collections.abc import Sequence

from mailward.store.base import FIRST_KEYWORD_BIT, SYSTEM_FLAGS
from mailward.store.ops import ANY_KEYWORD, Mode
from mailward.store.refusals import NotPermitted

MAX_KEYWORDS = 63 - FIRST_KEYWORD_BIT
"""A flags value stays a positive signed 64-bit integer, as SQLite has it."""

SEEN = 1 << SYSTEM_FLAGS.index("\\Seen")
DELETED = 1 << SYSTEM_FLAGS.index("\\Deleted")

_SYSTEM_BITS = {name.casefold(): 1 << bit for bit, name in enumerate(SYSTEM_FLAGS)}
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


def bits_to_change(mode: Mode, bits: int, kept: int = 0) -> tuple[int, int]:
    """What flags become: those of the first mask that are there, and the second. kept: "replace" leaves these alone."""
    match mode:
        case "add":
            return -1, bits
        case "remove":
            return ~bits, 0
        case "replace":
            return kept, bits & ~kept


def _checked(keyword: str) -> str:
    if not 0 < len(keyword) <= _MAX_KEYWORD_CHARACTERS or any(not "!" <= c <= "~" or c in _NOT_IN_ATOMS for c in keyword):
        raise NotPermitted("A keyword is an atom of at most 100 printable ASCII characters")
    return keyword


def names_of(bits: int, keywords: Sequence[str]) -> tuple[str, ...]:
    """The flags' names, system flags first."""
    system = [name for bit, name in enumerate(SYSTEM_FLAGS) if bits >> bit & 1]
    return (*system, *(name for bit, name in enumerate(keywords, FIRST_KEYWORD_BIT) if bits >> bit & 1))
