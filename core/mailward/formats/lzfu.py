"""What text does compressed RTF stand for? (MS-OXRTFCP)"""

from collections.abc import Iterator

from mailward.formats.octets import Octets

_HEAD_OCTETS = 16
_PACKED = b"LZFu"
_PLAIN = b"MELA"
_WINDOW = 4096
_PIECE = 32 * 1024
_DICTIONARY = (
    rb"{\rtf1\ansi\mac\deff0\deftab720{\fonttbl;}"
    rb"{\f0\fnil \froman \fswiss \fmodern \fscript \fdecor MS Sans SerifSymbolArialTimes New RomanCourier"
    rb"{\colortbl\red0\green0\blue0" + b"\r\n" + rb"\par \pard\plain\f0\fs20\b\i\u\tab\tx"
)
"""MS-OXRTFCP section 2.1.2.1."""


def unpack_rtf(octets: Octets, start: int, end: int) -> Iterator[bytes]:
    """The RTF, piece by piece; what is damaged up to the damage, what is not compressed as it is."""
    kind = octets[start + 8 : min(start + 12, end)]
    if kind != _PACKED:
        at = start + _HEAD_OCTETS if kind == _PLAIN else start
        for piece in range(at, end, _PIECE):
            yield octets[piece : min(piece + _PIECE, end)]
        return
    size = int.from_bytes(octets[start : start + 4], "little") + 4
    yield from _unpack(octets, start + _HEAD_OCTETS, min(end, start + size))


def _unpack(octets: Octets, start: int, end: int) -> Iterator[bytes]:
    """Runs of eight tokens behind an octet of flags: an octet itself, or a reference to what stands in the window."""
    known = bytearray(_DICTIONARY)
    given = len(known)
    dropped = 0
    at = start
    while at < end:
        flags = octets[at]
        at += 1
        for bit in range(8):
            if not flags >> bit & 1:
                if at >= end:
                    break
                known.append(octets[at])
                at += 1
                continue
            if at + 2 > end:
                at = end
                break
            reference = octets[at] << 8 | octets[at + 1]
            at += 2
            write = dropped + len(known)
            offset = reference >> 4
            length = (reference & 0xF) + 2
            back = (write - offset) % _WINDOW
            if not back:
                at = end
                break
            first = write - back - dropped
            if first < 0:
                # Never written: the window is empty there.
                known += bytes(length)
                continue
            known += (known[first : first + length] * length)[:length] if back < length else known[first : first + length]
        if len(known) - given >= _PIECE:
            yield bytes(known[given:])
            drop = len(known) - _WINDOW
            del known[:drop]
            dropped += drop
            given = _WINDOW
    if len(known) > given:
        yield bytes(known[given:])
