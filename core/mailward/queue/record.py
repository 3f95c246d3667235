"""The form of a spool segment: what one record looks like, and how a file of them is read back, whole or damaged.

A record is a header of 36 octets, then `meta` (JSON), then the octets of a message where it carries them. Both parts
and the header have checksums, so a torn or flipped record is never mistaken for mail (T-Q-03, T-Q-13). Every record
begins with the mark of its segment, eight random octets that are part of the file's name: after damage the scan looks
for the next mark, and a message cannot smuggle in a record of its own because its sender cannot know the mark.
"""

import enum
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

RECORD_VERSION = 2
"""2 adds the kinds HELD, RELEASED and DUE; records of version 1 are read."""
MARK_OCTETS = 8

_FIELDS = ">8sBBHIQII"  # mark, version, kind, unused, meta length, body length, meta crc, body crc
_CHECKED = struct.Struct(_FIELDS)
_CHECK = struct.Struct(">I")  # checksum of the fields before it
_HEADER = struct.Struct(_FIELDS + "I")
HEADER_OCTETS = _HEADER.size


class Kind(enum.IntEnum):
    """What a record says. All but the first two are the journal: their meta names one recipient of a message of this segment."""

    MESSAGE = 1  # meta: the queue item; body: the message as received
    LARGE = 2  # meta: the queue item; the body is in a file of its own
    DONE = 3  # one recipient needs nothing more
    FAILED = 4  # an attempt for one recipient failed and will be repeated
    BEGUN = 5  # an attempt for one recipient is about to begin
    HELD = 6  # no attempt before it is released
    RELEASED = 7  # its next attempt is due at once, whatever held it
    DUE = 8  # its next attempt is due at once


_KINDS = {int(kind): kind for kind in Kind}
_LARGE = Kind.LARGE
"""Looked up once: there are millions of records, and until Python 3.12 a look-up in an enum runs code."""


class Header(NamedTuple):
    """What the header of a record says of its two parts: their lengths in octets and their checksums (CRC-32)."""

    kind: Kind
    meta_octets: int
    body_octets: int
    meta_crc: int
    body_crc: int


class Record(NamedTuple):
    """One whole record of a segment. offset: of its header. end: of the octet after it.

    body_octets, body_crc: of the message; for LARGE the message is not between offset and end.
    """

    kind: Kind
    offset: int
    end: int
    meta: bytes
    body_octets: int
    body_crc: int

    @property
    def body_offset(self) -> int:
        """Where the message begins in the segment, for MESSAGE."""
        return self.end - self.body_octets


@dataclass(frozen=True, slots=True)
class DamagedRange:
    """Octets of a segment that are no whole record, from offset to end."""

    offset: int
    end: int


class NewerVersion(Exception):
    """The segment was written by a newer release; nothing in it may be touched."""


def pack_header(mark: bytes, kind: Kind, meta: bytes, body_octets: int = 0, body_crc: int = 0) -> bytes:
    """The header that goes before `meta` and the body."""
    fields = _CHECKED.pack(mark, RECORD_VERSION, kind, 0, len(meta), body_octets, zlib.crc32(meta), body_crc)
    return fields + _CHECK.pack(zlib.crc32(fields))


def unpack_header(octets: bytes, mark: bytes, offset: int = 0) -> Header | None:
    """The header that begins at `offset`; None when there is none, or a damaged one. Raises NewerVersion."""
    fields = _unpack(octets, mark, offset)
    return None if fields is None else Header(*fields)


def _unpack(octets: bytes, mark: bytes, offset: int) -> tuple[Kind, int, int, int, int] | None:
    """The fields of a `Header`."""
    if len(octets) - offset < HEADER_OCTETS:
        return None
    found_mark, version, kind, _, meta_octets, body_octets, meta_crc, body_crc, check = _HEADER.unpack_from(octets, offset)
    if found_mark != mark or check != zlib.crc32(octets[offset : offset + _CHECKED.size]):
        return None
    if version > RECORD_VERSION or kind not in _KINDS:
        raise NewerVersion(f"record version {version}, kind {kind}; this release reads up to version {RECORD_VERSION}")
    return _KINDS[kind], meta_octets, body_octets, meta_crc, body_crc


def scan(segment: bytes, mark: bytes) -> Iterator[Record | DamagedRange]:
    """All records in order, with the damaged ranges between them.

    A tail that merely ends too early is what a crash leaves of a write that was never acknowledged, and is passed over.
    Raises NewerVersion.
    """
    offset = 0
    while offset < len(segment):
        found = _read(segment, offset, mark)
        if isinstance(found, Record):
            yield found
            offset = found.end
            continue
        following = _next_record(segment, offset + 1, mark)
        if following is None:
            if found is _Bad.DAMAGED:
                yield DamagedRange(offset, len(segment))
            return
        yield DamagedRange(offset, following)
        offset = following


class _Bad(enum.Enum):
    TORN = enum.auto()
    DAMAGED = enum.auto()


def _next_record(segment: bytes, start: int, mark: bytes) -> int | None:
    """Where the next whole record begins, None when there is none."""
    while (start := segment.find(mark, start)) >= 0:
        if isinstance(_read(segment, start, mark), Record):
            return start
        start += 1
    return None


def _read(segment: bytes, offset: int, mark: bytes) -> Record | _Bad:
    fields = _unpack(segment, mark, offset)
    if fields is None:
        torn = len(segment) - offset < HEADER_OCTETS or not any(memoryview(segment)[offset:])  # zeros: length written, octets not
        return _Bad.TORN if torn else _Bad.DAMAGED
    kind, meta_octets, body_octets, meta_crc, body_crc = fields
    meta_at = offset + HEADER_OCTETS
    body_at = meta_at + meta_octets
    end = body_at if kind is _LARGE else body_at + body_octets
    if end > len(segment):
        return _Bad.TORN
    meta = segment[meta_at:body_at]
    if zlib.crc32(meta) != meta_crc or (end > body_at and zlib.crc32(memoryview(segment)[body_at:end]) != body_crc):
        return _Bad.DAMAGED
    return Record(kind, offset, end, meta, body_octets, body_crc)
