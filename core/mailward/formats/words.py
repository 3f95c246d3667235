"""What text do these words stand for? Encoded-words (RFC 2047) and extended parameter values (RFC 2231).

Linear in the input; never raises. Characters that act instead of being seen are left out of what people read, and told of.
"""

import binascii
import re
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from mailward.formats.budgets import ENCODED_WORDS
from mailward.formats.charsets import WIDE, codec_of, decode_charset

_ENCODED_WORD = re.compile(rb"=\?([^?\s*]{1,40})(?:\*[^?\s]{0,40})?\?([bBqQ])\?((?:[^?=]++|=(?!\?(?!=))|\?(?!=))*)\?=")
"""A question mark in the text is forbidden and common; the beginning of another encoded-word ends the text, so no octet is looked
at for two of them."""
_BETWEEN_WORDS = re.compile(rb"[ \t\r\n]*")
_Q_ESCAPE = re.compile(rb"=([0-9A-Fa-f]{2})")
_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/]+")
_WORD_OCTETS = 30
"""Written words are 52 octets long, so that one fits on a first line beside the name of its field."""
_CONTROLS = dict.fromkeys([*range(9), *range(10, 32), *range(127, 160), 0x2028, 0x2029])
_INVISIBLE = dict.fromkeys(
    [
        *(0x00AD, 0x180E, 0x200B, 0xFEFF),
        *range(0x202A, 0x202F),
        *range(0x2060, 0x2070),
        *range(0xFFF9, 0xFFFC),
        *range(0xE0000, 0xE0080),
    ]
)
"""Characters without width, and those that turn the direction of text (T-HDR-15). The joiners and the two marks of direction,
U+200C to U+200F, stay: Persian, Hebrew, Arabic, the scripts of India and emoji are written with them."""


@dataclass(frozen=True, slots=True)
class Words:
    """text: what people see.

    has_controls: control characters were left out, other than line ends of the field itself (T-HDR-09, T-HDR-10).
    has_invisible: invisible characters were. is_cut: there are more encoded-words than the budget, the rest stayed as it is.
    """

    text: str
    has_controls: bool = False
    has_invisible: bool = False
    is_cut: bool = False

    @property
    def problems(self) -> frozenset[str]:
        """The anomalies."""
        found = {"CONTROL_IN_WORDS": self.has_controls, "INVISIBLE_IN_WORDS": self.has_invisible, "TOO_MANY_WORDS": self.is_cut}
        return frozenset(name for name, is_there in found.items() if is_there)


def printable(text: str) -> str:
    """Text without control characters and line separators; a tab stays."""
    return text.translate(_CONTROLS)


def decode_words(value: bytes) -> str:
    """The text of an unstructured value or a phrase, encoded-words decoded, controls and invisible characters left out."""
    return read_words(value).text


def read_words(value: bytes) -> Words:
    """The text of an unstructured value or a phrase, and what was left out of it."""
    text, is_cut = _decoded(value) if b"=?" in value else (_plain(value), False)
    if text.isprintable():
        return Words(text, is_cut=is_cut)
    without_controls = printable(text)
    visible = without_controls.translate(_INVISIBLE)
    return Words(visible, len(without_controls) < len(text), len(visible) < len(without_controls), is_cut)


def _decoded(value: bytes) -> tuple[str, bool]:
    """The text, and whether there are more encoded-words than the budget."""
    pieces: list[str] = []
    position, charset, gathered, is_cut = 0, "", b"", False
    for number, found in enumerate(_ENCODED_WORD.finditer(value)):
        if number == ENCODED_WORDS:
            is_cut = True
            break
        name = found[1].decode("latin-1").lower()
        codec = codec_of(name)
        if codec is None or codec in WIDE:
            continue
        octets = _b_decoded(found[3]) if found[2] in b"bB" else _q_decoded(found[3])
        # RFC 2047 section 6.2: blanks between two encoded-words are not shown.
        adjacent = bool(charset) and _BETWEEN_WORDS.fullmatch(value, position, found.start()) is not None
        if not adjacent or charset != name:
            pieces.append(decode_charset(gathered, charset))
            gathered = b""
        if not adjacent:
            pieces.append(_plain(value[position : found.start()]))
        gathered, charset, position = gathered + octets, name, found.end()
    return "".join([*pieces, decode_charset(gathered, charset), _plain(value[position:])]), is_cut


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
    return unquote_to_bytes(value) if b"%" in value else value
