"""How is a message with binary content written in lines? (RFC 3030 section 3; RFC 2045 sections 6.2 and 6.8)

A part whose transfer encoding is "binary" and whose octets are no lines is written in base64: it stands for the same octets as
before. All other octets stay. In pieces of bounded size, whatever the size of the message.
"""

import base64
from collections.abc import Iterable, Iterator

from mailward.formats.chunks import pieces
from mailward.formats.lines import LineCounter
from mailward.formats.message import MessageView
from mailward.formats.octets import PIECE_OCTETS
from mailward.formats.part import PartView
from mailward.formats.rewriting import CRLF, HeaderBlock
from mailward.formats.transfer import IDENTITY
from mailward.formats.writing import MAX_LINE_OCTETS

_OCTETS_A_LINE = 57
_LINES_A_PIECE = PIECE_OCTETS // 76
_COMPOSITE = ("multipart/", "message/")


def in_lines(message: MessageView) -> Iterator[bytes]:
    """The octets of the message with its binary parts in base64, no piece empty.

    What is no part of its own, or says nothing of "binary", stays as it is: whoever wants lines only looks at the outcome.
    Raises ValueError where a signature covers binary content (which RFC 1847 section 2.1 wants in 7 bits), or not all parts are
    read.
    """
    octets = message.octets
    position = 0
    for start, end, written in sorted(_changes(message.root), key=lambda change: change[:2]):
        if start < position:
            raise ValueError("its parts lie inside each other")
        yield from pieces(octets, position, start)
        yield from written
        position = end
    yield from pieces(octets, position, len(octets))


def _changes(root: PartView) -> list[tuple[int, int, Iterable[bytes]]]:
    """Start, end, and what is to stand there: the headers that say "binary", and the bodies below them that are."""
    above: dict[int, PartView] = {}
    changes: list[tuple[int, int, Iterable[bytes]]] = []
    for part in root.walk():
        if part.children or not _is_binary(part):
            continue
        holder = part.parent
        while holder is not None:
            if holder.content_type == "multipart/signed":
                raise ValueError("binary content of a signed part cannot be converted without breaking the signature")
            if holder.encoding not in IDENTITY:
                raise ValueError("binary content lies in a part that is encoded")
            above[id(holder)] = holder
            holder = holder.parent
        changes.append((part.start, part.body_start, [_header(part, "base64")]))
        changes.append((part.body_start, part.end, _body(part)))
    if changes and "MIME_PARTS" in root.problems:
        raise ValueError("it has more parts than are read")
    # What holds nothing binary any more may not be called so (RFC 2045 section 6.4).
    changes += [(p.start, p.body_start, [_header(p, "8bit")]) for p in above.values() if p.encoding == "binary"]
    return changes


def _is_binary(part: PartView) -> bool:
    """Does it say that it is, and is it? A multipart that cannot be split cannot be encoded either (RFC 2045 section 6.4)."""
    if part.encoding != "binary" or part.declared_type.value.startswith(_COMPOSITE):
        return False
    counter = LineCounter()
    for piece in part.chunks():
        counter.feed(piece)
    facts = counter.facts
    return facts.bare_cr or facts.bare_lf or facts.nul or facts.longest_octets > MAX_LINE_OCTETS


def _header(part: PartView, encoding: str) -> bytes:
    header = HeaderBlock(part.header_octets)
    header.put("Content-Transfer-Encoding", encoding)
    if part.parent is None and not header.has("MIME-Version"):
        header.put("MIME-Version", "1.0")  # else the other fields mean nothing (RFC 2045 section 4)
    return header.octets(with_empty_line=True)


def _body(part: PartView) -> Iterator[bytes]:
    """In lines of 76, the last of which ends here only where no line end follows already."""
    octets = part.buffer
    step = _OCTETS_A_LINE * _LINES_A_PIECE
    for start in range(part.body_start, part.end, step):
        written = base64.encodebytes(octets[start : min(start + step, part.end)]).replace(b"\n", CRLF)
        is_last = start + step >= part.end
        yield written.removesuffix(CRLF) if is_last and octets[part.end : part.end + 1] in (b"\r", b"\n") else written
