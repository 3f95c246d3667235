"""Small helpers that split messages the way the dkim rules want them."""

import re

from mailward_plugins.dkim.rules import HeaderField

_FIELD_END = re.compile(rb"\r\n(?![ \t])")


def split(message: bytes) -> tuple[list[HeaderField], bytes]:
    """Fields and body of a message with CRLF line ends; an mbox line at the top is left out."""
    header, _, body = message.partition(b"\r\n\r\n")
    return [HeaderField.of(raw + b"\r\n") for raw in _FIELD_END.split(header) if not raw.startswith(b"From ")], body


def crlf(octets: bytes) -> bytes:
    return octets.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
