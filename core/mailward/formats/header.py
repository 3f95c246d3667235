"""Where does a header block end, which fields does it hold, and how is one written? (RFC 5322 sections 2.2 and 3.6.8)

Octets stay octets: fields are slices of the received block, so joining them gives the block back. Nothing here decides
whether a field is allowed; a line that is no field at all becomes a field with a mended name, and is marked malformed.
"""

import mmap
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from mailward.formats.words import decode_words, encode_words

_END_OF_HEADER = re.compile(rb"\n\r?\n")
_FIELD = re.compile(rb"[^\n]*+(?:\n|\Z)(?:[ \t][^\n]*+(?:\n|\Z))*")
_NAME = re.compile(rb"[!-9;-~]++")
_FIELD_NAME = re.compile(r"[!-9;-~]+")
_BLANKS = bytes(range(33)) + b"\x7f"
_WORD = re.compile(r"[ \t]+[^ \t]+|^[^ \t]+")

Octets = bytes | mmap.mmap
"""A message as octets: in memory, or mapped from the spool or a pack."""

LINE_OCTETS = 78
"""RFC 5322 section 2.1.1: lines should not be longer."""
MAX_LINE_OCTETS = 998
"""RFC 5322 section 2.1.1: lines must not be longer."""


@dataclass(frozen=True)
class FieldView:
    """One header field.

    name: latin-1 text as received, without blanks and control characters; "" for a line of nothing else.
    raw: the octets of the field, its line ends included. value: unfolded, trimmed, not decoded.
    is_malformed: the octets before the colon are no field name (or there is no colon), so readers may differ about it.
    """

    name: str
    raw: bytes
    value: bytes
    is_malformed: bool = False

    @cached_property
    def text(self) -> str:
        """The value for people: encoded-words decoded (RFC 2047), control characters removed."""
        return decode_words(self.value)

    @classmethod
    def of(cls, raw: bytes) -> "FieldView":
        """The field that these octets are."""
        name, colon, value = raw.partition(b":")
        sound = bool(colon) and _NAME.fullmatch(name) is not None
        if not sound:
            # "From : x", "From\r\n : x" and "Fr\0om: x" are all From to somebody (RFC 5322 section 4.5 allows the first).
            name = name.translate(None, _BLANKS)
        return cls(name.decode("latin-1"), raw, unfold(value), not sound)


def unfold(value: bytes) -> bytes:
    """A field's value without its line breaks (RFC 5322 section 2.2.3) and the blanks around it."""
    return value.replace(b"\r\n", b"").replace(b"\n", b"").strip(b" \t\r\n")


def header_end(octets: Octets, start: int = 0) -> int:
    """The offset just after the empty line that ends the header block at `start`; the length when there is none."""
    if octets[start : start + 1] == b"\n":
        return start + 1
    if octets[start : start + 2] == b"\r\n":
        return start + 2
    found = _END_OF_HEADER.search(octets, start)
    return found.end() if found else len(octets)


def split_header(block: bytes) -> tuple[list[bytes], bytes]:
    """The fields of a header block, and its empty line (b"" when missing). Joined they are the block again."""
    for empty_line in (b"\r\n", b"\n"):
        if block == empty_line or block.endswith(b"\n" + empty_line):
            return list(_fields(block[: -len(empty_line)])), empty_line
    return list(_fields(block)), b""


def _fields(lines: bytes) -> Iterator[bytes]:
    return (found.group() for found in _FIELD.finditer(lines) if found.group())


def fold_field(name: str, value: str) -> bytes:
    """One header field as octets, its line end included, folded at blanks near 78 octets.

    A value that is not plain ASCII, or could not be folded below 998 octets, is sent as encoded-words (RFC 2047).
    Raises ValueError when the name is no field name, or the value holds CR, LF or NUL.
    """
    if not _FIELD_NAME.fullmatch(name):
        raise ValueError(f"{name!r} is not a header field name (RFC 5322 section 3.6.8)")
    if any(c in value for c in "\r\n\0"):
        raise ValueError(f"the value of {name} holds CR, LF or NUL")
    value = value.strip(" \t")
    words = _WORD.findall(value)
    if not all(" " <= c <= "~" or c == "\t" for c in value) or max(map(len, words), default=0) > MAX_LINE_OCTETS - len(name) - 2:
        words = [" " + word if number else word for number, word in enumerate(encode_words(value))]
    lines = [f"{name}:{' ' if words else ''}"]
    for number, word in enumerate(words):
        if number and len(lines[-1]) + len(word) > LINE_OCTETS:
            lines.append(word)
        else:
            lines[-1] += word
    return "\r\n".join(lines).encode("ascii") + b"\r\n"
