"""What are the first words of a message, for a list of messages? (RFC 8970)"""

import re

from mailward.formats.message import MessageView, is_attachment
from mailward.formats.part import PartView
from mailward.formats.texts import TEXT_TYPES, TextPart

CHARACTERS = 200
"""RFC 8970 section 3.2: 200 is enough for clients, and more than 256 is not allowed."""

_READ_OCTETS = (8 * 1024, 32 * 1024)
"""Of a part. The second only where the first says little: much HTML begins with its style, and reading HTML takes time."""
_ENOUGH_CHARACTERS = 50
_SIGNATURE = "-- "
"""RFC 3676 section 4.3."""
_NOT_SHOWN = re.compile(r"[\s\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]+")


def preview(view: MessageView) -> str:
    """At most CHARACTERS of its text in one line, what it quotes left out when there is more; "" when it has no text."""
    for part in view.parts():
        if part.content_type in TEXT_TYPES and not is_attachment(part) and (shown := _of_part(part)):
            return shown
    return ""


def _of_part(part: PartView) -> str:
    shown = ""
    for octets in _READ_OCTETS:
        text = TextPart(part, octets).text
        shown = _in_one_line(text, quoted=False) or _in_one_line(text, quoted=True)
        if len(shown) >= _ENOUGH_CHARACTERS or part.size_octets <= octets:
            break
    return shown


def _in_one_line(text: str, *, quoted: bool) -> str:
    """The first words up to the signature. quoted: with the lines that begin with ">"."""
    found = ""
    for line in text.splitlines():
        if line == _SIGNATURE or len(found) >= CHARACTERS:
            break
        if quoted or not line.lstrip().startswith(">"):
            found = f"{found} {_NOT_SHOWN.sub(' ', line).strip()}".strip()
    return found[:CHARACTERS].rstrip()
