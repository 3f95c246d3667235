"""What ASCII may stand in these octets that is not written as ASCII? For scanners, whatever the charset is called (T-MIME-26).

A scanner looks for octets. Text in UTF-16, UTF-32 or UTF-7, or cut in two by an escape sequence, has none that it knows, and how
a client reads a charset by a name that nobody registered is anybody's guess. So each form that octets or name suggest is undone.
"""

import re
from collections.abc import Iterable, Iterator

_ESCAPES = re.compile(rb"\x1b[ -/]*[0-~]|[\x0e\x0f]")
"""Changes of the code set (ISO 2022)."""
_BASE64_IN_TEXT = re.compile(rb"[+&][A-Za-z0-9+/,]{2}")
_WIDE = ("utf-16-le", "utf-16-be")
_WIDER = ("utf-32-le", "utf-32-be")
_ASCII_OF_EBCDIC = "cp500"
ESCAPED = "iso-2022"
_NOT_IN_NAME = re.compile(r"[^a-z0-9]+")


def hidden_texts(octets: bytes, charsets: Iterable[str]) -> Iterator[str]:
    """The forms of text in which the octets may be read, as `undone` names them. charsets: every name the part gives."""
    names = [_NOT_IN_NAME.sub("", name.lower()) for name in charsets]
    if b"\0" in octets or any("16" in name or "ucs2" in name or "unicode" in name for name in names):
        yield from _WIDE
    if b"\0\0" in octets or any("32" in name or "ucs4" in name for name in names):
        yield from _WIDER
    if any("utf7" in name or name == "u7" for name in names) and _BASE64_IN_TEXT.search(octets):
        yield "utf-7"
    if any("ebcdic" in name or re.search(r"(?:cp|ibm|ccsid)\d", name) for name in names) and not octets.isascii():
        yield _ASCII_OF_EBCDIC
    if any(sign in octets for sign in (b"\x1b", b"\x0e", b"\x0f")):
        yield ESCAPED


def undone(octets: bytes, form: str) -> bytes:
    """The text as UTF-8; what cannot be read in this form is left out."""
    if form == ESCAPED:
        return _ESCAPES.sub(b"", octets)
    return octets.decode(form, "ignore").encode("utf-8", "ignore")
