"""How are parameters written that came in sections, or hold more than ASCII? (RFC 2231 sections 3, 4 and 6)

For those who pass parameters on as text of a protocol; what a parameter says is for `formats.parameters`.
"""

import re
from collections.abc import Sequence

from mailward.formats.words import decode_words

_SECTION = re.compile(rb"([^*]+)\*(0|[1-9][0-9]{0,3})(\*?)")
_NOT_IN_EXTENDED = re.compile(rb"[^!#$&+\-.0-9A-Z^_`a-z{|}~]")
"""RFC 2231 section 7: what is no attribute-char."""
_EIGHT_BIT = re.compile(rb"[\x80-\xff]")

Received = tuple[tuple[bytes, bytes], ...]
"""Parameters as they came: name, unquoted value."""


def joined(received: Received) -> Received:
    """Continuations as one parameter each: RFC 2231 section 6 wants servers to decode them for BODYSTRUCTURE.

    A parameter whose sections are not numbered 0, 1, 2 ... stays as it came.
    """
    if not any(b"*" in name for name, _ in received):
        return received
    sections: dict[bytes, dict[int, tuple[bool, bytes]]] = {}
    place: dict[bytes, int] = {}
    twice: set[bytes] = set()
    for number, (name, value) in enumerate(received):
        if (found := _SECTION.fullmatch(name)) is not None:
            base, section, star = found.groups()
            known = sections.setdefault(base, {})
            twice |= {base} if int(section) in known else set()
            known[int(section)] = (star == b"*", value)
            place.setdefault(base, number)
    whole = {base for base, known in sections.items() if base not in twice and sorted(known) == list(range(len(known)))}
    made: list[tuple[bytes, bytes]] = []
    for number, (name, value) in enumerate(received):
        found = _SECTION.fullmatch(name)
        if found is None or found.group(1) not in whole:
            made.append((name, value))
        elif place[found.group(1)] == number:
            made.append(_one(found.group(1), [sections[found.group(1)][n] for n in range(len(sections[found.group(1)]))]))
    return tuple(made)


def _one(name: bytes, sections: Sequence[tuple[bool, bytes]]) -> tuple[bytes, bytes]:
    """The parameter that these sections are. One encoded section makes it an extended one (RFC 2231 section 4.1)."""
    if not any(is_encoded for is_encoded, _ in sections):
        return name, b"".join(value for _, value in sections)
    start = b"" if sections[0][0] else b"''"  # an extended value always names charset and language, if only as ""
    return name + b"*", start + b"".join(value if is_encoded else _percent(value) for is_encoded, value in sections)


def _percent(octets: bytes) -> bytes:
    return _NOT_IN_EXTENDED.sub(_percent_octet, octets)


def _percent_octet(found: re.Match[bytes]) -> bytes:
    return b"%%%02X" % found.group()[0]


def in_ascii(parameter: tuple[bytes, bytes]) -> tuple[bytes, bytes]:
    """The parameter without line ends and NULs; a value beyond ASCII as an extended one (RFC 2231 section 4).

    Not as an encoded-word: those have no place in a parameter (RFC 2047 section 5).
    """
    name, value = parameter
    value = value.translate(None, b"\r\n\0")
    if value.isascii():
        return name, value
    if name.endswith(b"*"):
        return name, _EIGHT_BIT.sub(_percent_octet, value)
    if b"=?" in value:
        value = decode_words(value).encode()
    try:
        value.decode("utf-8")
        charset = b"utf-8"
    except UnicodeDecodeError:
        charset = b""  # not stated: to guess is for those who show it
    return name + b"*", charset + b"''" + _percent(value)
