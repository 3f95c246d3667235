"""How can a body in quoted-printable be read? (RFC 2045 section 6.7)

Readers differ about an equals sign that begins no escape. All readings are here, each in pieces of bounded size.
None raises.
"""

import binascii
import re
from collections.abc import Callable, Iterator

from mailward.formats.chunks import line_cut, line_pieces, pieces
from mailward.formats.octets import Octets

_UNSOUND_SIGN = re.compile(rb"=(?![0-9A-F]{2}|\r?\n|\Z)")
_ALLOWED = bytes([*b"\t\r\n", *range(32, 127)])
"""RFC 2045 section 6.7: what may stand in the encoded text."""
_TRAILING_BLANKS = re.compile(rb"(?<![ \t])[ \t]++(?=\r?\n)")
_BLANKS_AT_LINE_END = (b" \r\n", b" \n", b"\t\r\n", b"\t\n")
_STRAY_SIGN = re.compile(rb"=(?![0-9A-Fa-f]{2}|\r?\n)")
_STRAY_OR_LOWER_CASE = re.compile(rb"=(?![0-9A-F]{2}|\r?\n)")
_STRAY_WITH_NEXT = re.compile(rb"=(?![0-9A-Fa-f]{2})[^=\r\n]")
_STRAY_WITH_BOTH = re.compile(rb"=(?![0-9A-F]{2}|\r?\n)[^=\r\n]{0,2}")
_ANY_BREAK = re.compile(rb"=[ \t]*+(?:\r*+\n|\r)")


def is_sound(octets: Octets, start: int, end: int) -> bool:
    """Every equals sign begins an escape of two hexadecimal digits or ends its line, and nothing stands there but ASCII text.

    Readers differ about any other sign, about lower-case digits, which RFC 2045 section 6.7 rule 1 forbids, about blanks behind
    the sign of a soft line break, and about octets that had to be encoded: some leave those out.
    """
    if _UNSOUND_SIGN.search(octets, start, end) is not None:
        return False
    return not any(piece.translate(None, _ALLOWED) for piece in pieces(octets, start, end))


def lenient(octets: Octets, start: int, end: int) -> Iterator[bytes]:
    """What is no escape stays as it is; blanks before a line end go (rule 3); digits may be in lower case."""
    return _read(octets, start, end, _literally)


def upper_case_only(octets: Octets, start: int, end: int) -> Iterator[bytes]:
    """What is no escape stays as it is, an escape in lower case too."""
    return _read(octets, start, end, lambda text: _STRAY_OR_LOWER_CASE.sub(b"=3D", text))


def without_signs(octets: Octets, start: int, end: int) -> Iterator[bytes]:
    """An equals sign that begins no escape goes. Line ends are line feeds, as where most of those readers are at home."""
    return _read(octets, start, end, lambda text: _STRAY_SIGN.sub(b"", _with_line_feeds(text)))


def without_next(octets: Octets, start: int, end: int) -> Iterator[bytes]:
    """It goes first, together with the digit, blank or letter behind it. Line ends are line feeds."""
    return _read(octets, start, end, lambda text: _STRAY_SIGN.sub(b"", _STRAY_WITH_NEXT.sub(b"", _with_line_feeds(text))))


def without_escapes(octets: Octets, start: int, end: int) -> Iterator[bytes]:
    """It goes together with the two characters behind it, lower-case digits too. Line ends are line feeds."""
    return _read(octets, start, end, lambda text: _STRAY_WITH_BOTH.sub(b"", _with_line_feeds(text)))


def with_doubled_signs(octets: Octets, start: int, end: int) -> Iterator[bytes]:
    """As Python's own decoder does it: two equals signs are one, blanks stay, and a soft break ends at the next line feed."""
    for piece in line_pieces(octets, start, end):
        if decoded := binascii.a2b_qp(piece):
            yield decoded


def breaks_first(octets: Octets, start: int, end: int) -> Iterator[bytes]:
    """Soft breaks go first, of whatever line end, so that one may stand within an escape."""
    return _rejoined(octets, start, end, b"")


def without_line_ends(octets: Octets, start: int, end: int) -> Iterator[bytes]:
    """All line ends go first, those that are no soft break too."""
    return _rejoined(octets, start, end, b"\r\n")


def _read(octets: Octets, start: int, end: int, tidy: Callable[[bytes], bytes]) -> Iterator[bytes]:
    """Decodes piece by piece; `tidy` sees to the equals signs that begin neither escape nor soft break."""
    at = start
    while at < end:
        cut = _cut(octets, at, end)
        text = octets[at:cut]
        at = cut
        if any(map(text.__contains__, _BLANKS_AT_LINE_END)):
            text = _TRAILING_BLANKS.sub(b"", text)
        if cut == end:
            text = _without_last_break(text)
        if decoded := binascii.a2b_qp(tidy(text)):
            yield decoded


def _cut(octets: Octets, at: int, end: int) -> int:
    """Where a piece ends: behind a line feed, else clear of what may be an escape, a soft break or blanks before a line end."""
    cut = line_cut(octets, at, end)
    if cut == end or octets[cut - 1] == 0x0A:
        return cut
    kept = octets[at:cut].rstrip(b" \t\r")
    if kept.endswith(b"="):
        kept = kept[:-1]
    elif kept[-2:-1] == b"=":
        kept = kept[:-2]
    # A line with more blanks than a piece is long is cut among them.
    return at + len(kept) if kept else cut


def _without_last_break(text: bytes) -> bytes:
    """An equals sign in the very end is a soft break, too."""
    kept = text.rstrip(b" \t")
    return kept[:-1] if kept.endswith(b"=") else text


def _literally(text: bytes) -> bytes:
    return _STRAY_SIGN.sub(b"=3D", text)


def _with_line_feeds(text: bytes) -> bytes:
    return text.replace(b"\r\n", b"\n")


def _rejoined(octets: Octets, start: int, end: int, dropped: bytes) -> Iterator[bytes]:
    carry = b""
    at = start
    while at < end:
        cut = _cut(octets, at, end)
        text = _ANY_BREAK.sub(b"", octets[at:cut])
        at = cut
        text = carry + text.translate(None, dropped)
        # What may be the start of an escape waits for the next piece.
        whole = len(text) if cut == end or (sign := text.rfind(b"=", -2)) < 0 else sign
        carry = text[whole:]
        if decoded := binascii.a2b_qp(_literally(text[:whole])):
            yield decoded
