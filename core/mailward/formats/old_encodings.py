"""What did senders encode files with before MIME, and some still do? uuencode, yEnc and BinHex 4.0 (T-MIME-18).

None of them is a Content-Transfer-Encoding of RFC 2045, yet several clients undo them. All in pieces of bounded size.
None raises.
"""

import binascii
import re
from collections.abc import Iterator
from itertools import islice

from mailward.formats.chunks import line_pieces, pieces
from mailward.formats.octets import Octets

_UU_NO_LINE = re.compile(rb"[^ -`\r\n]")
_YENC_CONTROL = re.compile(rb"(?:\A|(?<=\n))=y[^\n]*+\n?")
_YENC_ESCAPE = re.compile(rb"=(.)", re.DOTALL)
_YENC = bytes((octet - 42) & 0xFF for octet in range(256))
_YENC_UNESCAPED = [bytes([(octet - 64) & 0xFF]) for octet in range(256)]
_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_HQX = b"!\"#$%&'()\x2a+,-012345689@ABCDEFGHIJKLMNPQRSTUVXYZ[`abcdefhijklmpqr"
_HQX_TO_BASE64 = bytes.maketrans(_HQX, _BASE64)
_NO_HQX = bytes(range(256)).translate(None, _HQX)
_HQX_START = re.compile(rb"[\r\n]:")
_HQX_RUN = re.compile(rb"\x90(.)", re.DOTALL)
_HQX_PIECE = 4096
"""Three octets can stand for 255, so the pieces are small ones."""
_HQX_HEADER_OCTETS = 22
"""Beside the name: its length, a version, type and creator, flags, the lengths of both forks, a checksum."""


def uuencoded(octets: Octets, start: int, end: int) -> Iterator[bytes]:
    """Lines of uuencoding, with or without their begin and end, as long as their first character says. Others are skipped."""
    return _uu(octets, start, end, is_length_kept=True)


def uuencoded_whole(octets: Octets, start: int, end: int) -> Iterator[bytes]:
    """The same with all that stands in a line, whatever its first character says."""
    return _uu(octets, start, end, is_length_kept=False)


def is_uuencoded_line(line: bytes) -> bool:
    """The line is as long as its first character says; one character more may be a checksum."""
    return len(line) > 1 and _UU_NO_LINE.search(line) is None and 0 <= len(line) - 1 - _uu_letters(line) <= 1


def yenc(octets: Octets, start: int, end: int) -> Iterator[bytes]:
    """Every octet less 42, or less 106 behind an equals sign; lines that start with =y are about the file."""
    carry = b""
    is_line_start = True
    for piece in line_pieces(octets, start, end):
        text = piece
        if b"\n=y" in text or (is_line_start and text.startswith(b"=y")):
            text = _YENC_CONTROL.sub(b"", text if is_line_start else b"\0" + text)[not is_line_start :]
        is_line_start = piece.endswith(b"\n")
        text = carry + text.translate(None, b"\r\n")
        signs = len(text) - len(text.rstrip(b"="))
        carry = text[len(text) - signs % 2 :]
        text = text[: len(text) - len(carry)]
        if decoded := _YENC_ESCAPE.sub(lambda found: _YENC_UNESCAPED[found[1][0]], text).translate(_YENC):
            yield decoded


def binhex(octets: Octets, start: int, end: int) -> Iterator[bytes]:
    """The data fork and then the resource fork of a BinHex 4.0 file (RFC 1741 appendix A)."""
    header = b""
    forks: tuple[tuple[int, int], ...] = ()
    at = 0
    for piece in _unpacked(octets, start, end):
        text = piece
        if not forks:
            text = header = header + piece
            forks = _binhex_forks(header)
            if not forks:
                continue
        for fork_start, fork_end in forks:
            if taken := text[max(fork_start - at, 0) : max(fork_end - at, 0)]:
                yield taken
        at += len(text)


def binhex_name(octets: Octets, start: int, end: int) -> bytes:
    """The name that the file itself gives; b"" when there is none."""
    head = b"".join(islice(_unpacked(octets, start, end), 2))
    return head[1 : 1 + head[0]] if head else b""


def _uu(octets: Octets, start: int, end: int, *, is_length_kept: bool) -> Iterator[bytes]:
    for piece in line_pieces(octets, start, end):
        # A CR alone ends a line too, as it does to Python's own decoder.
        if decoded := b"".join([_uu_line(line, is_length_kept) for line in piece.splitlines() if len(line) > 1]):
            yield decoded


def _uu_letters(line: bytes) -> int:
    """How many letters stand for as many octets as the first character says."""
    return (_uu_octets(line) + 2) // 3 * 4


def _uu_octets(line: bytes) -> int:
    return line[0] - 0x20 & 0x3F


def _uu_line(line: bytes, is_length_kept: bool) -> bytes:
    if _UU_NO_LINE.search(line):
        return b""
    if is_length_kept:
        return _uu_groups(line[1 : 1 + _uu_letters(line)])[: _uu_octets(line)]
    return b"".join([_uu_groups(line[at : at + 84]) for at in range(1, len(line), 84)])


def _uu_groups(letters: bytes) -> bytes:
    """The octets of at most 84 letters; what does not fill a group is filled up with zeros."""
    return binascii.a2b_uu(bytes([0x20 + (len(letters) + 3) // 4 * 3]) + letters)


def _unpacked(octets: Octets, start: int, end: int) -> Iterator[bytes]:
    """The octets between the colons, runs undone: what stands before 0x90 so many times as what stands behind it says."""
    if octets[start : min(start + 1, end)] == b":":
        at_first = start + 1
    elif colon := _HQX_START.search(octets, start, end):
        at_first = colon.end()
    else:
        return
    carry = b""
    last = b""
    for packed in _unlettered(octets, at_first, end):
        for at in range(0, len(packed), _HQX_PIECE):
            text = carry + packed[at : at + _HQX_PIECE]
            unpacked = []
            done = 0
            for run in _HQX_RUN.finditer(text):
                before = text[done : run.start()]
                last = before[-1:] or last
                unpacked += [before, last * (run[1][0] - 1)]
                if run[1] == b"\0":
                    unpacked.append(b"\x90")
                    last = b"\x90"
                done = run.end()
            carry = b"\x90" if text.endswith(b"\x90") and done < len(text) else b""
            before = text[done : len(text) - len(carry)]
            last = before[-1:] or last
            if found := b"".join([*unpacked, before]):
                yield found


def _unlettered(octets: Octets, start: int, end: int) -> Iterator[bytes]:
    """The octets that the letters up to the next colon stand for."""
    colon = octets.find(b":", start, end)
    carry = b""
    for piece in pieces(octets, start, colon if colon >= 0 else end):
        letters = carry + piece.translate(_HQX_TO_BASE64, _NO_HQX)
        whole = len(letters) & -4
        carry = letters[whole:]
        yield binascii.a2b_base64(letters[:whole])
    if len(carry) > 1:
        yield binascii.a2b_base64(carry + b"=" * (4 - len(carry)))


def _binhex_forks(header: bytes) -> tuple[tuple[int, int], ...]:
    """Where the forks lie in the unpacked octets; nothing while the header is not whole.

    Each has two octets of checksum behind it.
    """
    size = _HQX_HEADER_OCTETS + header[0]
    if len(header) < size:
        return ()
    data, resource = (int.from_bytes(header[size - back : size - back + 4], "big") for back in (10, 6))
    return ((size, size + data), (size + data + 2, size + data + 2 + resource))
