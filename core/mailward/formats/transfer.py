"""What octets does this transfer-encoded body stand for? (RFC 2045 sections 6.7 and 6.8)

Lenient on purpose: a filter must see what the most forgiving client would show. Linear; never raises.
"""

import binascii
import re

_LETTERS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_BLANKS = b" \t\r\n"
_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/=]+")
_URL_SAFE = bytes.maketrans(b"-_", b"+/")
_PADDING = re.compile(rb"=+")
_ILLEGAL_ESCAPE = re.compile(rb"=(?![0-9A-F]{2}|[ \t]*+(?:\r?\n|\Z))")
_SOFT_BREAK = re.compile(rb"=[ \t]*(?:\r?\n|\Z)")
_TRAILING_BLANKS = re.compile(rb"(?<![ \t])[ \t]++(?=\r?\n)")


def decode_transfer(octets: bytes, encoding: str) -> bytes:
    """Undo a Content-Transfer-Encoding given in lower case; an unknown one counts as identity (RFC 2045 section 6.4)."""
    if encoding == "base64":
        return decode_base64(octets)
    if encoding == "quoted-printable":
        return decode_quoted_printable(octets)
    return octets


def is_sound_base64(octets: bytes) -> bool:
    """Nothing but letters, line ends and blanks, padded at the end only, so that every reader decodes it alike."""
    padding = octets.translate(None, _LETTERS + _BLANKS)
    letters = octets.translate(None, _BLANKS)
    return padding in (b"", b"=", b"==") and letters.endswith(padding) and len(letters) % 4 == 0


def decode_base64(octets: bytes) -> bytes:
    """Base64 that may hold junk, url-safe letters, missing padding, and padding in the middle, after which it starts anew."""
    if is_sound_base64(octets):
        return binascii.a2b_base64(octets)
    letters = octets.translate(_URL_SAFE, _BLANKS)
    return b"".join(_quads(run) for run in _PADDING.split(_NOT_BASE64.sub(b"", letters)))


def _quads(letters: bytes) -> bytes:
    """The octets of base64 letters without padding; one letter left over says nothing."""
    if len(letters) % 4 == 1:
        letters = letters[:-1]
    return binascii.a2b_base64(letters + b"=" * (-len(letters) % 4))


def is_sound_quoted_printable(octets: bytes) -> bool:
    """Every equals sign begins an escape of two hexadecimal digits or a soft line break.

    Readers differ about any other, and about lower-case digits, which RFC 2045 section 6.7 rule 1 forbids.
    """
    return _ILLEGAL_ESCAPE.search(octets) is None


def decode_quoted_printable(octets: bytes) -> bytes:
    """Quoted-printable: what is no escape stays as it is; blanks before a line end go (RFC 2045 section 6.7 rule 3)."""
    text = _TRAILING_BLANKS.sub(b"", _SOFT_BREAK.sub(b"", octets))
    head, *pieces = text.split(b"=")
    return b"".join([head, *map(_unescaped, pieces)])


def _unescaped(piece: bytes) -> bytes:
    """What stands after an equals sign, the sign itself included where it began no escape."""
    try:
        return binascii.unhexlify(piece[:2]) + piece[2:] if len(piece) > 1 else b"=" + piece
    except binascii.Error:
        return b"=" + piece
