"""What octets does this transfer-encoded body stand for? (RFC 2045 section 6)

Lenient on purpose: a filter must see what the most forgiving client would show; what other clients would show, a scanner can have
beside it. In pieces of bounded size, whatever the size of the body; linear; never raises.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from mailward.formats import base64_body, old_encodings, quoted_printable
from mailward.formats.chunks import pieces
from mailward.formats.octets import Octets

IDENTITY = frozenset({"7bit", "8bit", "binary"})
"""Transfer encodings in which the body is the content (RFC 2045 section 6.2)."""
ENCODED = frozenset({"base64", "quoted-printable"})
"""Those in which it is not."""

Decoder = Callable[[Octets, int, int], Iterator[bytes]]
"""Octets, start and end of the body -> what it stands for, piece by piece, no piece empty."""


@dataclass(frozen=True, slots=True)
class Decoding:
    """One way to decode a body. name: for people, "padding skipped"."""

    name: str
    chunks: Decoder

    def decode(self, octets: bytes) -> bytes:
        return b"".join(self.chunks(octets, 0, len(octets)))


_USUAL: dict[str, Decoder] = {"base64": base64_body.lenient, "quoted-printable": quoted_printable.lenient}
_BASE64 = (
    Decoding("url-safe letters", base64_body.url_safe),
    Decoding("padding skipped", base64_body.without_padding),
    Decoding("ended by padding", base64_body.up_to_padding),
    Decoding("padding as zeros", base64_body.padding_as_zeros),
    Decoding("groups of four", base64_body.by_groups),
    Decoding("line by line", base64_body.by_lines),
    Decoding("rest of a line skipped", base64_body.by_line_starts),
)
_QUOTED_PRINTABLE = (
    Decoding("stray signs dropped", quoted_printable.without_signs),
    Decoding("stray signs dropped with the next character", quoted_printable.without_next),
    Decoding("illegal escapes dropped", quoted_printable.without_escapes),
    Decoding("lower-case digits kept", quoted_printable.upper_case_only),
    Decoding("doubled signs", quoted_printable.with_doubled_signs),
    Decoding("any soft break", quoted_printable.breaks_first),
    Decoding("lines joined", quoted_printable.without_line_ends),
)

_OLD: tuple[tuple[tuple[str, ...], tuple[Decoding, ...]], ...] = (
    (
        ("uu",),
        (
            Decoding("uuencode", old_encodings.uuencoded),
            Decoding("uuencode, lengths ignored", old_encodings.uuencoded_whole),
        ),
    ),
    (("gzip64",), (Decoding("base64", base64_body.lenient),)),
    (("yenc",), (Decoding("yEnc", old_encodings.yenc),)),
    (("binhex", "mac-binhex"), (Decoding("BinHex", old_encodings.binhex),)),
)
"""By how the name starts; whatever stands behind an "x-" too."""


def decode_transfer(octets: bytes, encoding: str) -> bytes:
    """Undo a Content-Transfer-Encoding given in lower case; an unknown one counts as identity (RFC 2045 section 6.4)."""
    decoder = _USUAL.get(encoding)
    return b"".join(decoder(octets, 0, len(octets))) if decoder else octets


def decode_chunks(octets: Octets, start: int, end: int, encoding: str) -> Iterator[bytes]:
    """What `decode_transfer` gives for the octets from start to end, piece by piece."""
    return _USUAL.get(encoding, pieces)(octets, start, end)


def is_sound(octets: Octets, start: int, end: int, encoding: str) -> bool:
    """The body keeps to its encoding, so that every reader decodes it alike; True for an encoding that changes nothing."""
    if encoding == "base64":
        return base64_body.is_sound(octets, start, end)
    if encoding == "quoted-printable":
        return quoted_printable.is_sound(octets, start, end)
    return True


def other_decodings(encoding: str) -> tuple[Decoding, ...]:
    """How else some client or scanner decodes a body; those of base64 and quoted-printable differ only where it is not sound.

    uuencode, yEnc and BinHex are no encodings of RFC 2045, so `decode_transfer` leaves them as they are.
    """
    if encoding == "base64":
        return _BASE64
    if encoding == "quoted-printable":
        return _QUOTED_PRINTABLE
    return next((decodings for names, decodings in _OLD if encoding.removeprefix("x-").startswith(names)), ())
