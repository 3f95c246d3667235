"""What does an opaquely signed S/MIME message hold? (RFC 8551 section 3.5.2, RFC 5652 sections 5.2 and 6.1)

Just enough of BER (X.690) to step through ContentInfo, SignedData and EncapsulatedContentInfo: definite and indefinite lengths,
octet strings in pieces. Signatures are not checked here. Iterative and bounded; what does not fit the form is no content.
"""

from collections.abc import Iterator
from typing import Literal, NamedTuple

_SEQUENCE, _SET, _OID, _OCTETS, _OCTETS_IN_PIECES, _EXPLICIT_0 = 0x30, 0x31, 0x06, 0x04, 0x24, 0xA0
_SIGNED = bytes.fromhex("2a864886f70d010702")
_ENCRYPTED = frozenset(
    bytes.fromhex(name)
    for name in ("2a864886f70d010703", "2a864886f70d010706", "2a864886f70d0109100117")  # enveloped, encrypted, authEnveloped
)
_COMPRESSED = bytes.fromhex("2a864886f70d0109100109")
_PIECES = 100_000
_DEPTH = 16
_HEAD_OCTETS = 32
"""Within so many octets from the start stands what kind of object it is."""

CmsKind = Literal["signed", "encrypted", "compressed", "other"]


class _Value(NamedTuple):
    """A BER value. tag: identifier octet. start, end: its content. after: where the next value starts."""

    tag: int
    start: int
    end: int
    after: int


class Cms(NamedTuple):
    """kind: by the content type. content: the signed octets; b"" when they are not inside, or the form is broken.

    is_cut: there is content that was not read, because it is compressed or in too many pieces.
    """

    kind: CmsKind
    content: bytes = b""
    is_cut: bool = False


def read_cms(octets: bytes) -> Cms:
    """Look into a CMS object (RFC 5652 section 3). Never raises."""
    outer = _value(octets, 0, len(octets))
    if outer is None or outer.tag != _SEQUENCE:
        return Cms("other")
    kind = _value(octets, outer.start, outer.end)
    if kind is None or kind.tag != _OID:
        return Cms("other")
    name = octets[kind.start : kind.end]
    if name in _ENCRYPTED:
        return Cms("encrypted")
    if name == _COMPRESSED:
        return Cms("compressed", is_cut=True)
    if name != _SIGNED:
        return Cms("other")
    return Cms("signed", *_signed_content(octets, kind.after, outer.end))


def _signed_content(octets: bytes, position: int, end: int) -> tuple[bytes, bool]:
    """SignedData: version, digest algorithms, then the content info whose second value is the content. And whether it is cut."""
    inside = _value(octets, position, end)
    data = _value(octets, inside.start, inside.end) if inside and inside.tag == _EXPLICIT_0 else None
    if data is None or data.tag != _SEQUENCE:
        return b"", False
    for value in _values(octets, data.start, data.end):
        if value.tag == _SEQUENCE:
            members = list(_values(octets, value.start, value.end, limit=2))
            if len(members) == 2 and members[0].tag == _OID and members[1].tag == _EXPLICIT_0:
                return _octet_string(octets, members[1].start, members[1].end)
            return b"", False
    return b"", False


def _octet_string(octets: bytes, start: int, end: int) -> tuple[bytes, bool]:
    """An OCTET STRING, whole or in pieces (X.690 section 8.7), and whether there are too many of them."""
    pieces, waiting, count = [], [(start, end)], 0
    while waiting and count < _PIECES:
        start, end = waiting.pop()
        value = _value(octets, start, end)
        count += 1
        if value is None:
            continue
        waiting.append((value.after, end))
        if value.tag == _OCTETS:
            pieces.append(octets[value.start : value.end])
        elif value.tag == _OCTETS_IN_PIECES:
            waiting.append((value.start, value.end))
    return b"".join(pieces), bool(waiting)


def is_cms(octets: bytes) -> bool:
    """Whether octets that begin so are a CMS object of a kind that holds something, whatever they are called."""
    return octets[:1] == b"\x30" and any(name in octets[:_HEAD_OCTETS] for name in (_SIGNED, _COMPRESSED, *_ENCRYPTED))


def _values(octets: bytes, start: int, end: int, limit: int = 100) -> Iterator[_Value]:
    while limit and (value := _value(octets, start, end)) is not None:
        yield value
        start, limit = value.after, limit - 1


def _value(octets: bytes, start: int, end: int) -> _Value | None:
    """The value at `start`; None at the end, or when it is none. One that is cut off by the end is taken as far as it goes."""
    head = _head(octets, start, end)
    if head is None:
        return None
    tag, content, length = head
    if length is not None:
        after = min(content + length, end)
        return _Value(tag, content, after, after)
    # Indefinite (X.690 section 8.1.3.6): step over definite values and count the open ones, until two zero octets close this one.
    depth, position, steps = 1, content, 0
    while depth and position < end and steps < _PIECES:
        steps += 1
        inner = _head(octets, position, end)
        if inner is None:
            break
        if inner == (0, position + 2, 0):
            depth, position = depth - 1, position + 2
        elif inner[2] is None:
            depth, position = depth + 1, inner[1]
            if depth > _DEPTH:
                break
        else:
            position = min(inner[1] + inner[2], end)
    return _Value(tag, content, position - 2 if depth == 0 else position, position)


def _head(octets: bytes, start: int, end: int) -> tuple[int, int, int | None] | None:
    """Identifier octet, start of the content, its length (None: indefinite). Tags above 30 do not occur here."""
    if start + 2 > end or octets[start] & 0x1F == 0x1F:
        return None
    length = octets[start + 1]
    if length < 0x80:
        return octets[start], start + 2, length
    if length == 0x80:
        return octets[start], start + 2, None
    size = length & 0x7F
    if size > 8 or start + 2 + size > end:
        return None
    return octets[start], start + 2 + size, int.from_bytes(octets[start + 2 : start + 2 + size], "big")
