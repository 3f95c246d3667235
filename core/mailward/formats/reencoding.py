"""How is a message written with other transfer encodings? (RFC 2045 section 6)

Each part that is chosen stands for the same octets as before; all other octets stay. In pieces, none of them empty.
"""

import base64
import binascii
from collections.abc import Callable, Iterable, Iterator
from typing import Literal

from mailward.formats.chunks import pieces
from mailward.formats.message import MessageView
from mailward.formats.octets import PIECE_OCTETS
from mailward.formats.part import PartView
from mailward.formats.rewriting import CRLF, HeaderBlock
from mailward.formats.transfer import IDENTITY

Encoding = Literal["base64", "quoted-printable"]

_OCTETS_A_LINE = 57
_LINES_A_PIECE = PIECE_OCTETS // 76
_COMPOSITE = ("multipart/", "message/")


def may_be_encoded(part: PartView) -> bool:
    """A multipart that cannot be split may not be encoded either, nor may what is called a message (RFC 2045 section 6.4)."""
    return not part.declared_type.value.startswith(_COMPOSITE)


def reencoded(
    message: MessageView, choose: Callable[[PartView], Encoding | None], called: str, outgrown: frozenset[str]
) -> Iterator[bytes]:
    """The octets of the message.

    choose: how a part without parts below it is to be written, None for as it is. called: where a part is written anew, the
    transfer encoding of what holds it and of the other parts, in place of the outgrown ones that they say. Raises ValueError
    where a signature covers what is to be written anew (RFC 1847 section 2.1), or not all parts are read.
    """
    octets = message.octets
    position = 0
    for start, end, written in sorted(_changes(message.root, choose, called, outgrown), key=lambda change: change[:2]):
        if start < position:
            raise ValueError("its parts lie inside each other")
        yield from pieces(octets, position, start)
        yield from written
        position = end
    yield from pieces(octets, position, len(octets))


def _changes(
    root: PartView, choose: Callable[[PartView], Encoding | None], called: str, outgrown: frozenset[str]
) -> list[tuple[int, int, Iterable[bytes]]]:
    """Start, end, and what is to stand there: headers, and the bodies of the parts that are chosen."""
    above: dict[int, PartView] = {}
    beside: list[PartView] = []
    changes: list[tuple[int, int, Iterable[bytes]]] = []
    for part in root.walk():
        if part.children:
            continue
        encoding = choose(part)
        if encoding is None:
            if may_be_encoded(part) and not _is_signed(part):
                beside.append(part)
            continue
        holder = part.parent
        while holder is not None:
            if holder.content_type == "multipart/signed":
                raise ValueError("content of a signed part cannot be converted without breaking the signature")
            if holder.encoding not in IDENTITY:
                raise ValueError("content to be converted lies in a part that is encoded")
            above[id(holder)] = holder
            holder = holder.parent
        changes.append((part.start, part.body_start, [_header(part, encoding)]))
        changes.append((part.body_start, part.end, _WRITERS[encoding](part)))
    if changes and "MIME_PARTS" in root.problems:
        raise ValueError("it has more parts than are read")
    if not changes:
        return []
    # What holds nothing of the kind any more may not be called so, nor what lies in it (RFC 2045 section 6.4).
    outgrowing = [part for part in (*above.values(), *beside) if part.encoding in outgrown]
    return [*changes, *((part.start, part.body_start, [_header(part, called)]) for part in outgrowing)]


def _is_signed(part: PartView) -> bool:
    holder = part.parent
    while holder is not None and holder.content_type != "multipart/signed":
        holder = holder.parent
    return holder is not None


def _header(part: PartView, encoding: str) -> bytes:
    header = HeaderBlock(part.header_octets)
    header.put("Content-Transfer-Encoding", encoding)
    if part.parent is None and not header.has("MIME-Version"):
        header.put("MIME-Version", "1.0")  # else the other fields mean nothing (RFC 2045 section 4)
    return header.octets(with_empty_line=True)


def _base64(part: PartView) -> Iterator[bytes]:
    """In lines of 76, the last of which ends here only where no line end follows already."""
    octets = part.buffer
    step = _OCTETS_A_LINE * _LINES_A_PIECE
    for start in range(part.body_start, part.end, step):
        written = base64.encodebytes(octets[start : min(start + step, part.end)]).replace(b"\n", CRLF)
        is_last = start + step >= part.end
        yield written.removesuffix(CRLF) if is_last and octets[part.end : part.end + 1] in (b"\r", b"\n") else written


def _quoted_printable(part: PartView) -> Iterator[bytes]:
    """Of octets in lines; each line end stays one."""
    # Given CRLF it would end the soft breaks of a first line with a bare LF.
    yield binascii.b2a_qp(part.body_octets.replace(CRLF, b"\n"), istext=True).replace(b"\n", CRLF)


_WRITERS: dict[Encoding, Callable[[PartView], Iterator[bytes]]] = {"base64": _base64, "quoted-printable": _quoted_printable}
