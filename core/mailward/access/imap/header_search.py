"""Does a header field hold a text? Answered from the fields that are kept beside a message, where their octets leave no doubt."""

import re
from collections.abc import Callable

from mailward.formats.common_fields import UNKNOWN, cut

Find = Callable[[bytes], bool | None]

_READ_OTHERWISE = bytes([*range(10), 11, 12, *range(14, 32), *range(127, 256)])
"""What a reading leaves out or decodes, a tab among it."""
_ANOTHER_FIELD = re.compile(rb"\n[^ ]")
_BLANKS = re.compile(rb"\s+")
_ADDRESS_OTHERWISE = re.compile(rb'\(|\\|"@|\s[@.]|[@.]\s')
"""Where an address may be written in other octets than it has: comments, quotes, blanks."""


def finder(name: str, wanted: str) -> Find | None:
    """What looks into common fields for a text that is folded already; it gives None where the header has to be read.

    None when such fields are not kept, or when the text is not ASCII.
    """
    take = cut((name,))
    if take is None or not wanted.isascii():
        return None
    sought = wanted.encode("ascii")
    colon = len(name)

    def find(kept: bytes) -> bool | None:
        if kept == UNKNOWN:
            return None
        octets = take(kept).rstrip(b"\r\n")
        if not octets:
            return False
        if octets[colon : colon + 1] != b":" or b"=?" in octets or len(octets.translate(None, _READ_OTHERWISE)) < len(octets):
            return None
        if _ANOTHER_FIELD.search(octets):
            return None
        value = octets[colon + 1 :].upper()
        if b" " in sought:
            value = _BLANKS.sub(b" ", value).strip()
        if sought in value:
            return True
        return None if b"@" in sought and _ADDRESS_OTHERWISE.search(value) else False

    return find
