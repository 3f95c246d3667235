"""How is a message with 8-bit content written in seven bits? (RFC 6152 section 3; RFC 2045 section 6)

Each part stands for the same octets as before, by whichever transfer encoding is shorter. What is 8-bit and no content of a part
(a header, what stands between parts) has no such form, nor has what a signature covers.
"""

from mailward.formats.message import MessageView
from mailward.formats.part import PartView
from mailward.formats.reencoding import Encoding, may_be_encoded, reencoded
from mailward.formats.transfer import IDENTITY

_EIGHT_BIT = bytes(range(128, 256))


def in_seven_bits(octets: bytes) -> bytes:
    """octets: a message in lines. Raises ValueError, which says what stands in the way."""
    written = b"".join(reencoded(MessageView(octets), _choose, "7bit", frozenset({"8bit", "binary"})))
    if not written.isascii():
        raise ValueError("8-bit octets stand in a header, or outside its parts")
    return written


def _choose(part: PartView) -> Encoding | None:
    octets = part.body_octets
    if octets.isascii():
        return None
    if not may_be_encoded(part):
        raise ValueError(f"8-bit content lies in a part of type {part.declared_type.value}, which may not be encoded")
    if part.encoding not in IDENTITY:
        raise ValueError(f"8-bit content is called {part.encoding}")
    beyond_ascii = len(octets) - len(octets.translate(None, _EIGHT_BIT))
    # Base64 writes three octets as four, quoted-printable each of these as three.
    return "quoted-printable" if beyond_ascii * 6 < len(octets) else "base64"
