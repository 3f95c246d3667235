"""What ASCII may stand in these octets that is not written as ASCII? For scanners, whatever the charset is called (T-MIME-26).

A scanner looks for octets. Text in UTF-16, UTF-32 or UTF-7, or cut in two by an escape sequence, has none that it knows, and how
a client reads a charset by a name that nobody registered is anybody's guess. So each form that octets or name suggest is undone.
"""

import re
from collections.abc import Iterable, Iterator

from mailward.formats.charset_readings import charset_in_markup
from mailward.formats.charsets import OVERLONG, UTF_8, WIDE, codec_of, decode_charset, has_overlong, refused_family

ESCAPED = "iso-2022"
_IMAP = "utf-7-imap"
_ESCAPES = re.compile(rb"\x1b[ -/]*[0-~]|[\x0e\x0f]")
"""Changes of the code set (ISO 2022)."""
_BASE64_IN_TEXT = re.compile(rb"[+&][A-Za-z0-9+/,]{2}")
_IMAP_SHIFT = re.compile(rb"\+|&([A-Za-z0-9+,]*+)-?")
_MAY_BE_WIDE = re.compile(r"16|ucs.?2|unicode", re.IGNORECASE)


def hidden_texts(octets: bytes, charsets: Iterable[str]) -> Iterator[str]:
    """The forms of text in which the octets may be read, as `undone` names them. charsets: every name the part gives."""
    names = {*charsets, charset_in_markup(octets)}
    families = {refused_family(name) for name in names}
    if b"\0" in octets or any(map(_is_wide, names)):
        yield from ("utf-16-le", "utf-16-be")
    if b"\0\0" in octets or "utf-32" in families:
        yield from ("utf-32-le", "utf-32-be")
    if {"utf-7", _IMAP} & families and _BASE64_IN_TEXT.search(octets):
        yield from ("utf-7", _IMAP)
    if "hz" in families and b"~" in octets:
        yield "hz"
    if "ebcdic" in families and not octets.isascii():
        yield from ("cp500", "cp037")  # they differ in brackets
    # By other names these octets are letters of other charsets.
    if any(codec_of(name) == UTF_8 and "utf" in name.lower() for name in names) and has_overlong(octets):
        yield OVERLONG
    if any(sign in octets for sign in (b"\x1b", b"\x0e", b"\x0f")):
        yield ESCAPED


def _is_wide(name: str) -> bool:
    codec = codec_of(name)
    return codec in WIDE or (codec is None and _MAY_BE_WIDE.search(name) is not None)


def undone(octets: bytes, form: str) -> bytes:
    """The text as UTF-8; what cannot be read in this form is left out."""
    if form == ESCAPED:
        return _ESCAPES.sub(b"", octets)
    if form == OVERLONG:
        return decode_charset(octets, OVERLONG).encode("utf-8", "ignore")
    if form == _IMAP:
        octets, form = _IMAP_SHIFT.sub(_as_utf_7, octets), "utf-7"
    return octets.decode(form, "ignore").encode("utf-8", "ignore")


def _as_utf_7(shift: re.Match[bytes]) -> bytes:
    """RFC 3501 section 5.1.3: the sign is "&", which stands for itself as "&-"; in base64 a comma stands for the slash."""
    if shift.group() == b"+":
        return b"+-"
    return b"+" + shift.group(1).replace(b",", b"/") + b"-" if shift.group(1) else b"&"
