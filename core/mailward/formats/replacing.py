"""What stands in the place of a part that is replaced? (RFC 2045, RFC 2046 section 5.1.1)

Both encodings are written so that no line begins with two hyphens: whatever the boundaries around it are, none can occur inside.
"""

import base64
import binascii
import re

from mailward.formats.octets import Octets
from mailward.formats.part import PartView
from mailward.formats.rewriting import CRLF, HeaderBlock
from mailward.model.edits import PartEncoding, ReplacePart

_NEWLINE = re.compile(rb"\r\n|\r|\n")
_LINE_OCTETS = 76
"""RFC 2045 section 6.7 (5)."""
_WORD = r"[!#$%&'*+\-.0-9A-Za-z^_`{|}~]+"
_CONTENT_TYPE = re.compile(rf"(?!multipart/|message/){_WORD}/{_WORD} *(?:;[ -~]*)?", re.IGNORECASE)
_DISPOSITION = re.compile(rf"{_WORD} *(?:;[ -~]*)?")


def check_replacement(edit: ReplacePart) -> None:
    """Raises ValueError for an edit that cannot be written whatever the message is."""
    if not _CONTENT_TYPE.fullmatch(edit.content_type):
        raise ValueError(f"{edit.content_type[:60]!r} is not the type of a single part (RFC 2045 section 5.1)")
    if edit.disposition is not None and not _DISPOSITION.fullmatch(edit.disposition):
        raise ValueError(f"{edit.disposition[:60]!r} is not a disposition (RFC 2183 section 2)")


def put_content_fields(header: HeaderBlock, edit: ReplacePart) -> None:
    """Let a header tell of the new content; what it says of anything else stays. Raises ValueError, see `check_replacement`."""
    check_replacement(edit)
    header.put("Content-Type", edit.content_type)
    header.put("Content-Transfer-Encoding", edit.encoding)
    if edit.disposition is not None:
        header.put("Content-Disposition", edit.disposition)
    header.remove("Content-MD5")  # of the old content (RFC 1864)


def new_part(octets: Octets, part: PartView, edit: ReplacePart) -> bytes:
    """Header and body to stand from the part's start to its end. Raises ValueError, see `check_replacement`."""
    header = HeaderBlock(bytes(octets[part.start : part.body_start]))
    put_content_fields(header, edit)
    return _end_of_header_above(part) + header.octets(with_empty_line=True) + new_body(octets, part, edit)


def _end_of_header_above(part: PartView) -> bytes:
    """What the header of an attached message lacks where the message in it had nothing, not even the empty line before it."""
    if part.parent is None or not part.parent.is_message or part.parent.depth == 0:  # the root's header is written anew
        return b""
    block = part.parent.header_octets
    return HeaderBlock(block).octets(with_empty_line=True)[len(block) :]


def new_body(octets: Octets, part: PartView, edit: ReplacePart) -> bytes:
    """The body alone."""
    written = encode_content(edit.content, edit.encoding)
    if octets[part.end : part.end + 1] in (b"\r", b"\n") or (not written and part.end == len(octets)):
        return written
    # Neither the end of the message nor a delimiter right below the old header has a line end of its own to follow.
    return written if written.endswith(CRLF) and part.end == len(octets) else written + CRLF


def encode_content(content: bytes, encoding: PartEncoding) -> bytes:
    """Content in its transfer encoding, with CRLF line ends; decoded it is the same again, but for line ends of text."""
    if encoding == "base64":
        return base64.encodebytes(content).replace(b"\n", CRLF).removesuffix(CRLF)
    # Given CRLF it would end the soft breaks of a first line with a bare LF.
    lines = binascii.b2a_qp(_NEWLINE.sub(b"\n", content), istext=True).split(b"\n")
    return CRLF.join(_guarded(line) for line in lines)


def _guarded(line: bytes) -> bytes:
    """A line of quoted-printable that does not begin with two hyphens."""
    written = b""
    while line.startswith(b"--"):
        line = b"=2D" + line[1:]
        if len(line) > _LINE_OCTETS:
            cut = _LINE_OCTETS - 4
            while b"=" in line[cut - 2 : cut]:  # not inside an escape
                cut -= 1
            written += line[:cut] + b"=" + CRLF
            line = line[cut:]
    return written + line
