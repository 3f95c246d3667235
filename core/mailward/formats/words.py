"""What text do these octets stand for? Charsets, encoded-words (RFC 2047) and extended parameter values (RFC 2231).

Charsets are names chosen by a stranger, so they are looked up in a list of our own and never by `codecs.lookup`:
no utf-7, no codec that is no charset (zip, idna, unicode_escape). Linear in the input; never raises.
"""

import binascii
import re
from collections.abc import Iterator

_SAME_NAME = (
    *(
        "koi8-r",
        "koi8-u",
        "gbk",
        "gb18030",
        "big5",
        "big5hkscs",
        "euc-jp",
        "shift_jis",
        "iso-2022-jp",
        "iso-2022-jp-1",
        "iso-2022-jp-2",
    ),
    *(
        "euc-kr",
        "iso-2022-kr",
        "johab",
        "cp437",
        "cp850",
        "cp852",
        "cp866",
        "cp932",
        "cp949",
        "utf-16",
        "utf-16le",
        "utf-16be",
        "tis-620",
    ),
)
_CODECS = {
    **{name: name for name in _SAME_NAME},
    **{f"iso-8859-{n}": f"iso-8859-{n}" for n in (2, 3, 4, 5, 6, 7, 8, 10, 13, 14, 15, 16)},
    **{f"windows-{n}": f"cp{n}" for n in (874, *range(1250, 1259))},
    **{f"cp{n}": f"cp{n}" for n in (874, *range(1250, 1259))},
    # What is labelled latin-1, latin-5 or Thai is windows text in practice (WHATWG Encoding standard).
    **dict.fromkeys(("iso-8859-1", "latin1", "latin-1", "iso8859-1", "iso_8859-1", "l1"), "cp1252"),
    **dict.fromkeys(("iso-8859-9", "latin5"), "cp1254"),
    "iso-8859-11": "cp874",
    "iso-8859-8-i": "iso-8859-8",
    "macintosh": "mac-roman",
    "x-mac-roman": "mac-roman",
    **dict.fromkeys(("utf-8", "utf8", "us-ascii", "ascii", "ansi_x3.4-1968", "unknown-8bit", "8bit", "default"), "utf-8"),
    **dict.fromkeys(("gb2312", "euc-cn", "x-gbk", "cp936"), "gb18030"),
    **dict.fromkeys(("ks_c_5601-1987", "ks_c_5601", "ksc5601", "korean"), "cp949"),
    **dict.fromkeys(("shift-jis", "sjis", "x-sjis", "windows-31j", "ms_kanji"), "cp932"),
    **dict.fromkeys(("big5-hkscs", "big-5"), "big5hkscs"),
    "x-euc-jp": "euc-jp",
}
_WIDE = {"utf-16", "utf-16le", "utf-16be"}

_ENCODED_WORD = re.compile(rb"=\?([^?\s*]{1,40})(?:\*[^?\s]{0,40})?\?([bBqQ])\?([^?]*+)\?=")
_BETWEEN_WORDS = re.compile(rb"[ \t\r\n]*")
_Q_ESCAPE = re.compile(rb"=([0-9A-Fa-f]{2})")
_PERCENT_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})")
_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/]+")
_WORD_OCTETS = 30
"""Written words are 52 octets long, so that one fits on a first line beside the name of its field."""
_CONTROLS = dict.fromkeys([*range(9), *range(10, 32), 127, 0x85, 0x2028, 0x2029])


def decode_charset(octets: bytes, charset: str) -> str:
    """Text of octets in a named charset; what is not in the list or not valid is read as UTF-8, then as windows-1252."""
    codec = _CODECS.get(charset.strip().lower())
    if codec is not None and codec != "utf-8":
        return octets.decode(codec, "replace")
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        # Labelled UTF-8 and broken: keep what is sound. Not labelled: western text is the likeliest.
        return (
            octets.decode("utf-8", "replace")
            if codec and charset.lower().startswith("utf")
            else octets.decode("cp1252", "replace")
        )


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
        if name not in _CODECS or name in _WIDE:
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
