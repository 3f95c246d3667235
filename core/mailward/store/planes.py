"""Columns of numbers in few octets: of a mailbox's flags, MODSEQs and messages most octets are alike for hundreds of messages.

A column of `WIDTH` numbers is written as one octet that says by its bits which octets of a number differ within the column, the
lowest first; the first number, little-endian; then, for each octet that differs, that octet of all the numbers.
"""

import sys
from array import array

from mailward.model.errors import StorageError

WIDTH = 512
"""Numbers of a column. With three of them, whose two or three lowest octets differ, a row is nearly a page of the database."""

_OCTETS = 8
_PLACES = tuple(range(_OCTETS) if sys.byteorder == "little" else range(_OCTETS - 1, -1, -1))
"""Where the octets of a number are in an array, the lowest first."""
_SET_BITS = tuple(tuple(bit for bit in range(_OCTETS) if mask >> bit & 1) for mask in range(256))
_HEAD = 1 + _OCTETS


def pack(column: "array[int]") -> bytes:
    """column: array('Q') of WIDTH."""
    octets = column.tobytes()
    head = column[0].to_bytes(_OCTETS, "little")
    if octets == octets[:_OCTETS] * WIDTH:
        return b"\0" + head
    mask, planes = 0, []
    for bit, place in enumerate(_PLACES):
        plane = octets[place::_OCTETS]
        if plane != plane[:1] * WIDTH:
            mask |= 1 << bit
            planes.append(plane)
    return b"".join((mask.to_bytes(1, "little"), head, *planes))


def unpack(octets: bytes) -> "array[int]":
    """What `pack` was given. Raises StorageError for other octets."""
    planes = _SET_BITS[octets[0]] if octets else ()
    if len(octets) != _HEAD + len(planes) * WIDTH:
        raise StorageError("a column of a block is damaged; mend it: mailward store check --repair", permanent=True)
    first = octets[1:_HEAD] if sys.byteorder == "little" else octets[_HEAD - 1 : 0 : -1]
    column = bytearray(first * WIDTH)
    for start, bit in enumerate(planes):
        column[_PLACES[bit] :: _OCTETS] = octets[_HEAD + start * WIDTH : _HEAD + (start + 1) * WIDTH]
    return array("Q", column)
