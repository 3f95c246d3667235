"""What text do these words stand for? Encoded-words (RFC 2047) and extended parameter values (RFC 2231).

Linear in the input; never raises.
"""

import binascii
import re
from collections.abc import Iterator

from mailward.formats.charsets import WIDE, codec_of, decode_charset

_ENCODED_WORD = re.compile(rb"=\?([^?\s*]{1,40})(?:\*[^?\s]{0,40})?\?([bBqQ])\?([^?]*+)\?=")
_BETWEEN_WORDS = re.compile(rb"[ \t\r\n]*")
_Q_ESCAPE = re.compile(rb"=([0-9A-Fa-f]{2})")
_PERCENT_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})")
_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/]+")
_WORD_OCTETS = 30
"""Written words are 52 octets long, so that one fits on a first line beside the name of its field."""
_CONTROLS = dict.fromkeys([*range(9), *range(10, 32), 127, 0x85, 0x2028, 0x2029])


def printable(text: str) -> str:
    """Text without control characters and line separators; a tab stays."""
    return text.translate(_CONTROLS)


def decode_words(value: bytes) -> str:
    """The text of an unstructured value or a phrase, encoded-words decoded, control characters removed."""
    return printable("".join(_decoded(value)))


def _decoded(value: bytes) -> Iterator[str]:
    position, charset, gathered = 0, "", b""
    for found in _ENCODED_WORD.finditer(value):
        name = found.group(1).decode("latin-1").lower()
        codec = codec_of(name)
        if codec is None or codec in WIDE:
            continue
        octets = _b_decoded(found.group(3)) if found.group(2) in b"bB" else _q_decoded(found.group(3))
        # RFC 2047 section 6.2: blanks between two encoded-words are not shown.
        adjacent = bool(charset) and _BETWEEN_WORDS.fullmatch(value, position, found.start()) is not None
        if not adjacent or charset != name:
            yield decode_charset(gathered, charset)
            gathered = b""
        if not adjacent:
            yield _plain(value[position : found.start()])
        gathered, charset, position = gathered + octets, name, found.end()
    yield decode_charset(gathered, charset)
    yield _plain(value[position:])


def _plain(octets: bytes) -> str:
    return octets.decode("utf-8", "replace")


def _q_decoded(text: bytes) -> bytes:
    return _Q_ESCAPE.sub(lambda found: bytes.fromhex(found.group(1).decode()), text.replace(b"_", b" "))


def _b_decoded(text: bytes) -> bytes:
    text = _NOT_BASE64.sub(b"", text)
    text = text[: len(text) - (len(text) % 4 == 1)]
    return binascii.a2b_base64(text + b"=" * (-len(text) % 4))


def encode_words(text: str) -> list[str]:
    """Text as encoded-words of at most 52 octets, base64 in UTF-8, no character split (RFC 2047 sections 2 and 5)."""
    words, chunk = [], b""
    for character in text:
        octets = character.encode("utf-8", "replace")
        if len(chunk) + len(octets) > _WORD_OCTETS:
            words.append(chunk)
            chunk = b""
        chunk += octets
    if chunk:
        words.append(chunk)
    return [f"=?utf-8?B?{binascii.b2a_base64(word, newline=False).decode('ascii')}?=" for word in words]


def percent_decoded(value: bytes) -> bytes:
    """The octets of an RFC 2231 value, percent escapes undone."""
    return _PERCENT_ESCAPE.sub(lambda found: bytes.fromhex(found.group(1).decode()), value)


def decode_extended(value: bytes) -> str:
    """The text of an RFC 2231 extended value: charset'language'percent-encoded."""
    charset, quote, rest = value.partition(b"'")
    if not quote or b"'" not in rest:
        return printable(decode_charset(percent_decoded(value), ""))
    return printable(decode_charset(percent_decoded(rest.partition(b"'")[2]), charset.decode("latin-1")))
