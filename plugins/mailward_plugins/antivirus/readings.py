"""How else could a broken encoding be read? Clients differ, so the scanner gets each reading that some of them are known for."""

import binascii
import re
from collections.abc import Callable

_BLANKS = b" \t\r\n"
_LETTERS = re.compile(rb"[^A-Za-z0-9+/]+")
_PADDING = re.compile(rb"=+")
_UU_LINE = re.compile(rb"^[ -`]{2,86}\r?$", re.MULTILINE)


def other_readings(encoding: str, problems: frozenset[str]) -> tuple[Callable[[bytes], bytes], ...]:
    """Ways to decode a body beside the usual one, for the encoding a part names and what is wrong with the part."""
    if "BROKEN_BASE64" in problems:
        return (unpadded_base64, linewise_base64)
    if encoding in ("uue", "uuencode") or encoding.startswith("x-uu"):
        return (uuencoded,)
    return ()


def restarting_base64(octets: bytes) -> bytes:
    """Padding in the middle starts anew, and a letter left over says nothing."""
    return b"".join(_quads(run) for run in _PADDING.split(octets.translate(None, _BLANKS)))


def unpadded_base64(octets: bytes) -> bytes:
    """Everything that is no letter is skipped, padding too."""
    return _quads(_LETTERS.sub(b"", octets))


def linewise_base64(octets: bytes) -> bytes:
    """Each line on its own, up to the first that is no letter, what does not fill a group left out."""
    lines = (_LETTERS.split(line, maxsplit=1)[0] for line in octets.split(b"\n"))
    return b"".join(_quads(line[: len(line) // 4 * 4]) for line in lines)


def uuencoded(octets: bytes) -> bytes:
    """Lines of uuencoding with or without their begin and end; what is none is skipped."""
    decoded = []
    for line in _UU_LINE.findall(octets):
        try:
            decoded.append(binascii.a2b_uu(line.rstrip(b"\r")))
        except binascii.Error:
            continue
    return b"".join(decoded)


def _quads(letters: bytes) -> bytes:
    if len(letters) % 4 == 1:
        letters = letters[:-1]
    try:
        return binascii.a2b_base64(letters + b"=" * (-len(letters) % 4))
    except binascii.Error:
        return b""
