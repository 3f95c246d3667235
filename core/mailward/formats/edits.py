"""What does a message look like after the edits recorded for it? Octets that no edit names stay as they were received.

The answer comes in pieces, and what no edit touches is a view of the octets given: a mapped body is not copied for the sake of
a header field.
"""

from collections.abc import Sequence

from mailward.formats.header import header_end
from mailward.formats.message import MessageView
from mailward.formats.octets import Octets
from mailward.formats.part import PartView
from mailward.formats.replacing import new_body, new_part, put_content_fields
from mailward.formats.rewriting import HeaderBlock
from mailward.formats.transfer import IDENTITY
from mailward.model.edits import (
    AddHeader,
    PrefixSubject,
    RecordedEdit,
    RemoveFieldAt,
    RemoveHeader,
    ReplaceHeader,
    ReplacePart,
)

Piece = bytes | memoryview


def render(octets: Octets, edits: Sequence[RecordedEdit]) -> bytes:
    """The message with the edits applied, as `render_pieces` has it, in one."""
    return b"".join(render_pieces(octets, edits))


def render_pieces(octets: Octets, edits: Sequence[RecordedEdit]) -> list[Piece]:
    """The message with the edits applied one after another; joined, the pieces are it. A map stays open while they are kept.

    Raises ValueError where a field or part cannot be written (see `fold_field`, `check_replacement`) or there is no part of the
    number: a part that was to go must not stay unnoticed. A field that is not there is not missed.
    """
    if not edits:
        return [octets if isinstance(octets, bytes) else memoryview(octets)]
    message = _Edited(octets)
    for edit in edits:
        message.apply(edit)
    return message.pieces()


def part_of_number(message: MessageView, number: str) -> PartView | None:
    """The part that a `ReplacePart` means; None when there is none. "1" is the body of a message of one part, as in IMAP.

    What lies in an attached message that is encoded has no place in these octets, so it is not found.
    """
    if number == "1" and not message.root.children:
        return message.root
    found = next((part for part in message.root.walk() if part.number == number), None)
    above = found and found.parent
    while above:
        if above.is_message and above.encoding not in IDENTITY:
            return None
        above = above.parent
    return found


class _Edited:
    """One message while its edits are applied."""

    def __init__(self, octets: Octets) -> None:
        self._octets = octets
        self._view = MessageView(octets)  # indexed only if a part is asked for
        self._body_start = header_end(octets)
        self._header = HeaderBlock(bytes(octets[: self._body_start]))
        self._replaced: dict[tuple[int, int], bytes] = {}

    def apply(self, edit: RecordedEdit) -> None:
        match edit:
            case AddHeader(name, value):
                self._header.insert(name, value)
            case RemoveHeader(name, nth):
                self._header.remove(name, nth)
            case ReplaceHeader(name, value, nth):
                self._header.replace(name, value, nth)
            case PrefixSubject(prefix):
                self._header.prefix("Subject", prefix)
            case RemoveFieldAt(index):
                self._header.remove_at(index)
            case ReplacePart(number):
                part = part_of_number(self._view, number)
                if part is None:
                    raise ValueError(f"the message has no part {number[:40]!r}")
                self._replace_part(part, edit)

    def _replace_part(self, part: PartView, edit: ReplacePart) -> None:
        if part.depth == 0:
            put_content_fields(self._header, edit)
            if not self._header.has("MIME-Version"):
                self._header.put("MIME-Version", "1.0")  # else the other fields mean nothing (RFC 2045 section 4)
            self._put(self._body_start, len(self._octets), new_body(self._octets, part, edit))
        else:
            self._put(part.start, part.end, new_part(self._octets, part, edit))

    def _put(self, start: int, end: int, written: bytes) -> None:
        """What stands there takes with it all that was put inside; inside of what is gone nothing can be put."""
        if any(first <= start and end <= last for first, last in self._replaced if (first, last) != (start, end)):
            return
        for first, last in list(self._replaced):
            if start <= first and last <= end:
                del self._replaced[first, last]
        self._replaced[start, end] = written

    def pieces(self) -> list[Piece]:
        pieces: list[Piece] = [self._header.octets(with_empty_line=bool(self._replaced))]
        received = memoryview(self._octets)
        position = self._body_start
        for (start, end), written in sorted(self._replaced.items()):
            pieces += [received[position:start], written]
            position = end
        return [*pieces, received[position:]]
