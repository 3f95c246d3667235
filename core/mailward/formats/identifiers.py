"""Which messages are named in Message-ID, In-Reply-To or References? (RFC 5322 sections 3.6.4 and 4.5.4)

An identifier is opaque: whoever sends a message chooses it, so two messages may share one and a reply may name any (T-HDR-21).
"""

import re
from dataclasses import dataclass

from mailward.formats.budgets import FIELD_OCTETS, IDENTIFIER_OCTETS, IDENTIFIERS
from mailward.formats.lexical import Token, tokens
from mailward.formats.words import printable

_PLAIN = re.compile(rb"[ \t]*+<([A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]++@[A-Za-z0-9!#$%&'*+/=?^_`{|}~.\[\]:-]++)>[ \t]*+")

_BETWEEN = re.compile(rb"[ \t,;]+")
_BARE = re.compile(rb"[^@<>\"()]++@[^@<>\"()]++")


@dataclass(frozen=True, slots=True)
class Identifiers:
    """ids: in order, as "<left@right>", without comments, blanks, controls, and quotes that change nothing (RFC 5256, 2.2).

    is_malformed: something else stands there too, or an identifier has no at sign. is_cut: the budget ended the reading.
    """

    ids: tuple[str, ...]
    is_malformed: bool = False
    is_cut: bool = False


def read_identifiers(value: bytes) -> Identifiers:
    """Every identifier of an unfolded value, those without angle brackets only where none has some. Never raises."""
    ids: list[str] = []
    position, size = 0, len(value)
    while position < size and len(ids) < IDENTIFIERS:
        found = _PLAIN.match(value, position)
        if found is None or len(found[1]) > IDENTIFIER_OCTETS:
            return _by_tokens(value, ids, position)
        ids.append(f"<{found[1].decode('ascii')}>")
        position = found.end()
    return Identifiers(tuple(ids), False, position < size)


def _by_tokens(value: bytes, ids: list[str], position: int) -> Identifiers:
    """The rest of the value, which is not as plain as the pattern."""
    rest = value[position:FIELD_OCTETS]
    is_malformed, is_cut = False, len(value) > FIELD_OCTETS
    inside: list[Token] | None = None
    for token in tokens(rest):
        if token.kind in ("blank", "comment"):
            is_malformed |= not token.is_sound
        elif token.is_special(b"<"):
            is_malformed |= inside is not None
            inside = []
        elif inside is None:
            is_malformed = True
        elif token.is_special(b">"):
            if len(ids) == IDENTIFIERS:
                is_cut = True
                break
            octets = b"".join(each.octets for each in inside)
            is_malformed |= not _is_sound(inside)
            if 0 < len(octets) <= IDENTIFIER_OCTETS:
                ids.append(printable(f"<{octets.decode('utf-8', 'replace')}>"))
            inside = None
        else:
            inside.append(token)
    if is_malformed and not ids:
        ids = _without_brackets(rest)
    return Identifiers(tuple(ids[:IDENTIFIERS]), is_malformed or inside is not None, is_cut or len(ids) > IDENTIFIERS)


def _without_brackets(value: bytes) -> list[str]:
    """The words that are what should have stood in brackets; some clients forget these."""
    words = (word for word in _BETWEEN.split(value) if len(word) <= IDENTIFIER_OCTETS and _BARE.fullmatch(word))
    return [printable(f"<{word.decode('utf-8', 'replace')}>") for word in words]


def _is_sound(inside: list[Token]) -> bool:
    """Something, an at sign and something (no more is asked: readers compare identifiers, they do not use their halves)."""
    size = sum(len(token.octets) for token in inside)
    at = [number for number, token in enumerate(inside) if token.is_special(b"@")]
    return all(token.is_sound for token in inside) and len(at) == 1 and 0 < at[0] < len(inside) - 1 and size <= IDENTIFIER_OCTETS
