"""What did a stored message look like when it came? Our trace fields go off its top, then what was put into its header.

Nothing is guessed: the header and the whole are known by their hashes. What edits have removed or replaced cannot be had again.
"""

import hashlib
import re

from mailward.formats.header import FieldView, fields_of, header_end

MOST_ON_TOP = 40
"""Fields that may have been put above those that came."""

_OWN_ID = re.compile(rb"\sid\s+([0-9a-z]+)")


def own_id(octets: bytes) -> bytes | None:
    """The queue id in the topmost Received field, which is ours in what we have stored; None where there is none."""
    for field in fields_of(octets[: header_end(octets)], 0, MOST_ON_TOP):
        if field.name.lower() == "received":
            found = _OWN_ID.search(field.raw)
            return found[1] if found else None
    return None


def as_arrived(stored: bytes, size_octets: int, header: bytes, whole: bytes) -> bytes | None:
    """The octets that were judged, None where they cannot be had from this copy. header, whole: their SHA-256."""
    end = header_end(stored)
    fields = fields_of(stored[:end], 0, most=end)
    starts = [*(field.start for field in fields[:MOST_ON_TOP]), *(field.end for field in fields[-1:])]
    for number, start in enumerate(starts):
        added = len(stored) - start - size_octets
        if added < 0:
            return None
        came = stored[start:end] if not added else _without_prefix(fields[number:], stored[start:end], added)
        if came is not None and hashlib.sha256(came).digest() == header:
            octets = came + stored[end:]
            return octets if hashlib.sha256(octets).digest() == whole else None
    return None


def _without_prefix(fields: tuple[FieldView, ...], header: bytes, added: int) -> bytes | None:
    """The header with so many octets less before the values of its Subject fields, None where that cannot be."""
    subjects = [field for field in fields if field.name.lower() == "subject"]
    each, rest = divmod(added, len(subjects)) if subjects else (0, 1)
    if rest:
        return None
    first, came, at = fields[0].start, b"", 0
    for field in subjects:
        value = len(field.raw) - len(field.raw.partition(b":")[2].lstrip(b" \t"))
        place = field.start - first + value
        came += header[at:place]
        at = place + each
    return came + header[at:]
