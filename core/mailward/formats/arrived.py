"""What did a stored message look like when it came? Our trace fields go off its top, then what was put into its header.

Nothing is guessed: the header and the whole are known by their hashes. Fields that edits took away can be kept and put back; what
they replaced cannot be had again.
"""

import hashlib
from collections.abc import Iterable

from mailward.formats.header import FieldView, fields_of, header_end
from mailward.formats.octets import Octets
from mailward.model.edits import RecordedEdit, RemoveFieldAt, RemoveHeader

MOST_ON_TOP = 40
"""Fields that may have been put above those that came."""
MOST_REMOVED_OCTETS = 8192

Removed = tuple[int, bytes]
"""Where a field stood in the message, and its octets."""


def removed_by(octets: Octets, edits: Iterable[RecordedEdit]) -> tuple[Removed, ...]:
    """The fields that these edits take away, in order; () when they are too large to be kept."""
    end = header_end(octets)
    fields = fields_of(bytes(octets[:end]), 0, most=end)
    gone: set[int] = set()
    for edit in edits:
        if isinstance(edit, RemoveHeader):
            named = [index for index, field in enumerate(fields) if field.name.lower() == edit.name.lower()]
            gone.update(named if edit.nth is None else named[edit.nth : edit.nth + 1])
        elif isinstance(edit, RemoveFieldAt):
            gone.update([edit.index][: edit.index < len(fields)])
    found = tuple((fields[index].start, fields[index].raw) for index in sorted(gone))
    return found if sum(len(raw) for _, raw in found) <= MOST_REMOVED_OCTETS else ()


def as_arrived(stored: bytes, size_octets: int, header: bytes, whole: bytes, removed: Iterable[Removed] = ()) -> bytes | None:
    """The octets that were judged, None where they cannot be had from this copy. header, whole: their SHA-256."""
    removed_octets = sum(len(raw) for _, raw in removed)
    end = header_end(stored)
    fields = fields_of(stored[:end], 0, most=end)
    starts = [*(field.start for field in fields[:MOST_ON_TOP]), *(field.end for field in fields[-1:])]
    for number, start in enumerate(starts):
        added = len(stored) - start + removed_octets - size_octets
        if added < 0:
            return None
        came = stored[start:end] if not added else _without_prefix(fields[number:], stored[start:end], added)
        if came is None:
            continue
        for at, raw in removed:
            came = came[:at] + raw + came[at:]
        if hashlib.sha256(came).digest() == header:
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
