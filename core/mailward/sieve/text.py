"""What does a string of a script stand for? Encoded characters (RFC 5228 section 2.4.2.4), variables (RFC 5229 section 3).

Text is str; an octet of ${hex:} that is not UTF-8 is a lone surrogate in it, as PEP 383 has it, and matches nothing of a message.
"""

import re
from dataclasses import dataclass

from mailward.sieve.problems import Place, Problems

MOST_MATCH_VALUES = 32
"""${0} to ${32}; RFC 5229 section 3.2 asks for nine."""
_ENCODED = re.compile(
    r"\$\{(?:(hex):((?:\s*[0-9a-f]{1,2}(?=[\s}]))+)|(unicode):((?:\s*[0-9a-f]+(?=[\s}]))+))\s*\}", re.IGNORECASE
)
_REFERENCE = re.compile(r"\$\{((?:[a-z_][a-z0-9_]*+\.)*[a-z_][a-z0-9_]*+|[0-9]++)\}", re.IGNORECASE)
NAME = re.compile(r"(?:[a-z_][a-z0-9_]*+\.)*[a-z_][a-z0-9_]*+", re.IGNORECASE)
"""The name of a variable, with its namespaces (RFC 5229 section 3)."""


@dataclass(frozen=True, slots=True)
class Reference:
    """A variable: its name in lower case with the namespace in front, or the number of a match value."""

    name: str
    index: int | None = None


@dataclass(frozen=True, slots=True)
class Text:
    """One string: what is known of it, and what a run has to fill in."""

    pieces: tuple[str | Reference, ...]
    place: Place

    @property
    def constant(self) -> str | None:
        """The whole text where it is known before the run, else None."""
        return self.pieces[0] if len(self.pieces) == 1 and isinstance(self.pieces[0], str) else None


def read_text(
    written: str, place: Place, problems: Problems, *, encoded: bool, variables: bool, namespaces: frozenset[str]
) -> Text:
    """The text of a string. encoded, variables: whether these extensions are required. What is wrong becomes a problem."""
    if encoded and "${" in written:
        written = _decoded(written, place, problems)
    if not variables or "${" not in written:
        return Text((written,), place)
    pieces: list[str | Reference] = []
    position = 0
    for found in _REFERENCE.finditer(written):
        pieces.append(written[position : found.start()])
        pieces.append(_reference(found[1].lower(), place, namespaces, problems))
        position = found.end()
    pieces.append(written[position:])
    return Text(tuple(piece for piece in pieces if piece) or ("",), place)


def _reference(name: str, place: Place, namespaces: frozenset[str], problems: Problems) -> Reference:
    if name.isdigit():
        index = int(name) if len(name) < 10 else MOST_MATCH_VALUES + 1
        if index > MOST_MATCH_VALUES:
            problems.add(place, f"the match value ${{{name[:20]}}} is beyond the last one, ${{{MOST_MATCH_VALUES}}}")
        return Reference(name, index)
    namespace = name.rpartition(".")[0]
    if namespace and namespace not in namespaces:
        problems.add(place, f"unknown namespace '{namespace[:40]}' of a variable; is its extension required?")
    return Reference(name)


def _decoded(written: str, place: Place, problems: Problems) -> str:
    def octets_of(found: re.Match[str]) -> bytes:
        if found[1]:
            return bytes(int(octet, 16) for octet in found[2].split())
        numbers = [int(number, 16) if len(number) <= 12 else 0x110000 for number in found[4].split()]
        wrong = next((number for number in numbers if number > 0x10FFFF or 0xD800 <= number <= 0xDFFF), None)
        if wrong is not None:
            problems.add(place, f"{found[0][:40]!r} is no character of Unicode")
            return b""
        return "".join(map(chr, numbers)).encode()

    pieces: list[bytes] = []
    position = 0
    for found in _ENCODED.finditer(written):
        pieces += [written[position : found.start()].encode("utf-8", "surrogateescape"), octets_of(found)]
        position = found.end()
    pieces.append(written[position:].encode("utf-8", "surrogateescape"))
    return b"".join(pieces).decode("utf-8", "surrogateescape")


def is_utf8(text: str) -> bool:
    """Whether text can be written as UTF-8: no octet of ${hex:} is left alone."""
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)
