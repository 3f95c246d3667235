"""Packs read without a database: every whole record there is, with what it says of itself."""

import mmap
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from mailward.formats.octets import find
from mailward.store.packs import CHECK, FIELDS, HEADER_OCTETS, MAGIC, VERSION, Locator


@dataclass(frozen=True, slots=True)
class Found:
    """A sound record. mailbox_name, flags: of the time when it was written; "" for what had been expunged by then."""

    locator: Locator
    internal_date: int
    mailbox_name: str
    flags: tuple[str, ...]
    end: int


def read_record(pack: int, octets: bytes | mmap.mmap, offset: int) -> Found | None:
    """The record that begins at this offset; None when there is none or a bit of it is wrong."""
    header = octets[offset : offset + HEADER_OCTETS]
    if len(header) < HEADER_OCTETS:
        return None
    magic, version, rescue_octets, record, size_octets, internal_date, crc, rescue_crc = FIELDS.unpack_from(header)
    if (magic, version) != (MAGIC, VERSION) or CHECK.unpack_from(header, FIELDS.size)[0] != zlib.crc32(header[: FIELDS.size]):
        return None
    start = offset + HEADER_OCTETS
    rescue = octets[start + size_octets : start + size_octets + rescue_octets]
    if zlib.crc32(octets[start : start + size_octets]) != crc or zlib.crc32(rescue) != rescue_crc:
        return None
    name, _, flags = rescue.decode(errors="replace").partition("\0")
    locator = Locator(pack, offset, record, size_octets)
    return Found(locator, internal_date, name, tuple(flags.split()), start + size_octets + rescue_octets)


def scan(pack: int, octets: bytes | mmap.mmap) -> Iterator[Found]:
    """Every sound record. Zeros between two are no damage (a large message begins where a page does)."""
    offset = 0
    while (offset := find(octets, MAGIC, offset, len(octets))) >= 0:
        found = read_record(pack, octets, offset)
        if found is None:
            offset += 1
        else:
            yield found
            offset = found.end
