"""How can a body in base64 be read? (RFC 2045 section 6.8)

What is sound every reader decodes alike. About the rest clients differ: some skip what is no letter of base64, some end
there, some take each line or each group of four on its own. All readings are here, each in pieces of bounded size. None raises.
"""

import binascii
import re
from collections.abc import Iterator

from mailward.formats.chunks import line_pieces, pieces
from mailward.formats.octets import Octets

_LETTERS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_BLANKS = b" \t\r\n"
_ALL = bytes(range(256))
_NO_LETTERS = _ALL.translate(None, _LETTERS)
_NO_LETTERS_NOR_PADDING = _NO_LETTERS.translate(None, b"=")
_URL_SAFE = bytes.maketrans(b"-_", b"+/")
_NO_LETTERS_OF_EITHER = _NO_LETTERS_NOR_PADDING.translate(None, b"-_")
_ZERO_PADDING = bytes.maketrans(b"=", b"A")
_PADDING = re.compile(rb"=+")
_REST_OF_LINE = re.compile(rb"[^A-Za-z0-9+/\n][^\n]*+")


def is_sound(octets: Octets, start: int, end: int) -> bool:
    """Nothing but letters, line ends and blanks, padded at the end only, so that every reader decodes it alike."""
    letters = 0
    padding = b""
    for piece in pieces(octets, start, end):
        rest = piece.translate(None, _LETTERS)
        found = len(piece) - len(rest)
        if found and padding:
            return False
        letters += found
        signs = rest.translate(None, _BLANKS)
        if not signs:
            continue
        padding += signs
        if padding not in (b"=", b"==") or piece[piece.index(b"=") :].translate(None, _NO_LETTERS):
            return False
    return (letters + len(padding)) % 4 == 0


def lenient(octets: Octets, start: int, end: int) -> Iterator[bytes]:
    """Skips what is no letter, needs no padding, and starts anew behind any."""
    return _anew(piece.translate(None, _NO_LETTERS_NOR_PADDING) for piece in pieces(octets, start, end))


def url_safe(octets: Octets, start: int, end: int) -> Iterator[bytes]:
    """The same, but takes url-safe letters (RFC 4648 section 5) for what they stand for; RFC 2045 has them ignored."""
    return _anew(piece.translate(_URL_SAFE, _NO_LETTERS_OF_EITHER) for piece in pieces(octets, start, end))


def without_padding(octets: Octets, start: int, end: int) -> Iterator[bytes]:
    """Everything that is no letter is skipped, padding and url-safe letters too."""
    return _joined(piece.translate(None, _NO_LETTERS) for piece in pieces(octets, start, end))


def padding_as_zeros(octets: Octets, start: int, end: int) -> Iterator[bytes]:
    """An equals sign stands for six bits that are zero, wherever it is."""
    return _joined(piece.translate(_ZERO_PADDING, _NO_LETTERS_NOR_PADDING) for piece in pieces(octets, start, end))


def up_to_padding(octets: Octets, start: int, end: int) -> Iterator[bytes]:
    """Ends where the first group is filled up by padding, as Python's own decoder does; stray padding is skipped."""
    return _joined(_until_filled(octets, start, end))


def by_groups(octets: Octets, start: int, end: int) -> Iterator[bytes]:
    """Each group of four on its own, padding counted wherever it stands in the group."""
    carry = b""
    for piece in pieces(octets, start, end):
        text = carry + piece.translate(None, _NO_LETTERS_NOR_PADDING)
        whole = len(text) & -4
        if decoded := _groups(text[:whole]):
            yield decoded
        carry = text[whole:]
    if decoded := _quads(carry.replace(b"=", b"")):
        yield decoded


def by_lines(octets: Octets, start: int, end: int) -> Iterator[bytes]:
    """Each line on its own, up to the first that is no letter, what does not fill a group left out."""
    carry = b""
    for text in _line_starts(octets, start, end):
        *lines, last = (carry + text).split(b"\n")
        whole = len(last) & -4
        groups = b"".join([line[: len(line) & -4] for line in lines]) + last[:whole]
        if groups:
            yield binascii.a2b_base64(groups)
        carry = last[whole:]


def by_line_starts(octets: Octets, start: int, end: int) -> Iterator[bytes]:
    """Of each line what stands before the first that is no letter; groups go on from line to line."""
    return _joined(text.replace(b"\n", b"") for text in _line_starts(octets, start, end))


def _line_starts(octets: Octets, start: int, end: int) -> Iterator[bytes]:
    """Letters and line feeds only: the rest of a line is left out from the first that is neither."""
    is_rest = False
    for piece in line_pieces(octets, start, end):
        text = b"=" + piece if is_rest else piece
        text = _REST_OF_LINE.sub(b"", text)
        is_rest = not piece.endswith(b"\n") and (
            _REST_OF_LINE.search(piece, piece.rfind(b"\n") + 1) is not None or (is_rest and b"\n" not in piece)
        )
        yield text


def _until_filled(octets: Octets, start: int, end: int) -> Iterator[bytes]:
    """The letters before the padding that fills a group."""
    letters = 0
    padding = 0
    for piece in pieces(octets, start, end):
        text = piece.translate(None, _NO_LETTERS_NOR_PADDING)
        at = 0
        for found in _PADDING.finditer(text):
            if found.start() > at:
                letters += found.start() - at
                padding = 0
            at = found.end()
            padding += at - found.start()
            if letters % 4 + padding >= 4 and letters % 4 >= 2:
                yield text[: found.start()].replace(b"=", b"")
                return
        if at < len(text):
            letters += len(text) - at
            padding = 0
        yield text.replace(b"=", b"")


def _anew(texts: Iterator[bytes]) -> Iterator[bytes]:
    """Decodes pieces that hold letters and padding; behind padding a new group begins."""
    carry = b""
    for text in texts:
        letters = carry + text
        *padded, carry = _PADDING.split(letters) if b"=" in letters else (letters,)
        decoded = b"".join(map(_quads, padded))
        whole = len(carry) & -4
        if decoded := decoded + binascii.a2b_base64(carry[:whole]):
            yield decoded
        carry = carry[whole:]
    if decoded := _quads(carry):
        yield decoded


def _joined(texts: Iterator[bytes]) -> Iterator[bytes]:
    """Decodes pieces that hold nothing but letters as one."""
    carry = b""
    for text in texts:
        letters = carry + text
        whole = len(letters) & -4
        if whole:
            yield binascii.a2b_base64(letters[:whole])
        carry = letters[whole:]
    if decoded := _quads(carry):
        yield decoded


def _groups(text: bytes) -> bytes:
    """Groups of four, some of which may hold padding."""
    decoded = []
    at = 0
    while (sign := text.find(b"=", at)) >= 0:
        group = sign & -4
        decoded.append(binascii.a2b_base64(text[at:group]))
        at = group + 4
        decoded.append(_quads(text[group:at].replace(b"=", b"")))
    decoded.append(binascii.a2b_base64(text[at:]))
    return b"".join(decoded)


def _quads(letters: bytes) -> bytes:
    """The octets of base64 letters without padding; one letter left over says nothing."""
    if len(letters) % 4 == 1:
        letters = letters[:-1]
    return binascii.a2b_base64(letters + b"=" * (-len(letters) % 4))
