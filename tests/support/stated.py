"""What do other projects state about their own messages, and what do we read there?"""

from dataclasses import dataclass, field

from mailward.formats.message import MessageView
from mailward.formats.part import PartView


@dataclass(frozen=True)
class Statement:
    """One thing that is stated beside a message, and the same thing as we read it.

    fixture: "project/name". item: of which part what, e.g. "[1.2] fields"; the root is "[]", and what an attached message
    holds is counted as its one part. read: the message as we read it.
    """

    fixture: str
    item: str
    theirs: object
    ours: object
    read: MessageView = field(repr=False, compare=False)

    @property
    def is_so(self) -> bool:
        return self.theirs == self.ours

    def __str__(self) -> str:
        return f"{self.fixture} {self.item}\n    theirs: {_short(self.theirs)}\n    ours:   {_short(self.ours)}"


def _short(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) < 400 else f"{shown[:200]} ... {shown[-200:]}"


def opened(view: MessageView) -> dict[str, PartView]:
    """The parts of a message by their place, attached messages opened, those with a transfer encoding too."""
    places: dict[int, str] = {}
    counts: dict[int, int] = {}
    found: dict[str, PartView] = {}
    for part in view.parts():
        place = ""
        if part.parent is not None:
            above = id(part.parent)
            counts[above] = counts.get(above, 0) + 1
            place = f"{places[above]}.{counts[above]}".lstrip(".")
        places[id(part)] = place
        found[place] = part
    return found


def kind_of(part: PartView) -> str:
    """ "multipart", "message" or "leaf"."""
    return "multipart" if part.is_multipart else "message" if part.is_message else "leaf"


def preamble_of(part: PartView) -> bytes:
    """What stands before the first delimiter, whose line end is no part of it (RFC 2046 section 5.1.1)."""
    return without_line_end(bytes(part.buffer[part.body_start : part.preamble_end or part.body_start]))


def epilogue_of(part: PartView) -> bytes:
    return bytes(part.buffer[part.epilogue_start : part.end]) if part.epilogue_start is not None else b""


def without_line_end(octets: bytes) -> bytes:
    return octets.removesuffix(b"\n").removesuffix(b"\r")
