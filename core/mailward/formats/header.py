"""Where does a header block end, and which fields does it hold? (RFC 5322 sections 2.2 and 3.6.8)

Octets stay octets: fields are slices of the received block, so joining them gives the block back. Nothing here decides
whether a field is allowed; a line that is no field at all becomes a field with a mended name, and is marked malformed.
"""

import re
from itertools import islice

from mailward.formats.address_lists import read_address_list
from mailward.formats.mailboxes import AddressList
from mailward.formats.octets import Octets, find
from mailward.formats.words import decode_words

_FIELD = re.compile(rb"((?:([!-9;-~]++):)?[^\n]*+(?:\n(?:[ \t][^\n]*+(?:\n|\Z))*)?)")
"""A field with its folded lines; the second group is its name where that is sound."""
_BLANKS = bytes(range(33)) + b"\x7f"
_NEAR_OCTETS = 64 * 1024


class FieldView:
    """One header field.

    name: latin-1 text as received, without blanks and control characters; "" for a line without a colon, which is no field.
    raw: the octets of the field, its line ends included. start: where they begin in the message.
    is_malformed: the octets before the colon are no field name (or there is no colon), so readers may differ about it.
    """

    __slots__ = ("_addresses", "_text", "_value", "is_malformed", "name", "raw", "start")

    def __init__(self, raw: bytes, name: str, start: int = 0, *, is_malformed: bool = False) -> None:
        self.raw = raw
        self.name = name
        self.start = start
        self.is_malformed = is_malformed
        self._value: bytes | None = None
        self._text: str | None = None
        self._addresses: AddressList | None = None

    def __repr__(self) -> str:
        return f"FieldView({self.raw!r})"

    @classmethod
    def of(cls, raw: bytes, start: int = 0) -> "FieldView":
        """The field that these octets are."""
        found = _FIELD.match(raw)
        return _field(raw, found[2] if found else None, start)

    @property
    def value_start(self) -> int:
        """Where in the message the octets after the colon begin; those of the line itself where there is no colon."""
        return self.start + self.raw.find(b":") + 1

    @property
    def end(self) -> int:
        """Where in the message the field ends, its line end included."""
        return self.start + len(self.raw)

    @property
    def value(self) -> bytes:
        """Unfolded, trimmed, not decoded."""
        if self._value is None:
            self._value = unfold(self.raw[self.raw.find(b":") + 1 :] if b":" in self.raw else b"")
        return self._value

    @property
    def text(self) -> str:
        """The value for people: encoded-words decoded (RFC 2047), control characters removed."""
        if self._text is None:
            self._text = decode_words(self.value)
        return self._text

    @property
    def addresses(self) -> AddressList:
        """The value as an address list, whatever the field is."""
        if self._addresses is None:
            self._addresses = read_address_list(self.value)
        return self._addresses


def _field(raw: bytes, name: bytes | None, start: int) -> FieldView:
    if name:
        return FieldView(raw, name.decode("ascii"), start)
    # "From : x", "From\r\n : x" and "Fr\0om: x" are all From to somebody (RFC 5322 section 4.5 allows the first).
    before, colon, _ = raw.partition(b":")
    mended = before.translate(None, _BLANKS).decode("latin-1") if colon else ""
    return FieldView(raw, mended, start, is_malformed=True)


def fields_of(block: bytes, start: int, most: int) -> tuple[FieldView, ...]:
    """The first fields of a header block that begins at `start` in its message; its empty line is none of them."""
    fields: list[FieldView] = []
    for found in islice(_FIELD.finditer(_without_empty_line(block)[0]), most):
        raw, name = found.groups()
        if raw:
            fields.append(_field(raw, name, start + found.start()))
    return tuple(fields)


def split_header(block: bytes) -> tuple[list[bytes], bytes]:
    """The fields of a header block, and its empty line (b"" when missing). Joined they are the block again."""
    lines, empty_line = _without_empty_line(block)
    return [raw for raw, _ in _FIELD.findall(lines) if raw], empty_line


def named_fields(block: bytes) -> tuple[list[tuple[bytes, str]], bytes]:
    """The fields of a header block with their names as `FieldView` has them, and its empty line."""
    lines, empty_line = _without_empty_line(block)
    found = _FIELD.findall(lines)
    return [(raw, name.decode("ascii") if name else _field(raw, None, 0).name) for raw, name in found if raw], empty_line


def _without_empty_line(block: bytes) -> tuple[bytes, bytes]:
    for empty_line in (b"\r\n", b"\n"):
        if block == empty_line or block.endswith(b"\n" + empty_line):
            return block[: -len(empty_line)], empty_line
    return block, b""


def unfold(value: bytes) -> bytes:
    """A field's value without its line breaks (RFC 5322 section 2.2.3) and the blanks around it."""
    return value.replace(b"\r\n", b"").replace(b"\n", b"").strip(b" \t\r\n")


def header_end(octets: Octets, start: int = 0, end: int | None = None) -> int:
    """The offset just after the empty line that ends the header block at `start`; `end` (the length) when there is none."""
    end = len(octets) if end is None else end
    first = octets[start : min(start + 2, end)]
    if first == b"\r\n":
        return start + 2
    if first[:1] == b"\n":
        return start + 1
    near = min(start + _NEAR_OCTETS, end)
    for limit in (near, end):
        crlf = find(octets, b"\n\r\n", start, limit)
        bare = find(octets, b"\n\n", start, limit if crlf < 0 else crlf + 1)  # they may share a line feed
        if bare >= 0:
            return bare + 2
        if crlf >= 0:
            return crlf + 3
        if limit == end:
            break
    return end
