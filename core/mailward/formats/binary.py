"""How is a message with binary content written in lines? (RFC 3030 section 3; RFC 2045 sections 6.2 and 6.8)

A part whose transfer encoding is "binary" and whose octets are no lines is written in base64: it stands for the same octets as
before. All other octets stay. In pieces of bounded size, whatever the size of the message.
"""

from collections.abc import Iterator

from mailward.formats.lines import LineCounter
from mailward.formats.message import MessageView
from mailward.formats.part import PartView
from mailward.formats.reencoding import Encoding, may_be_encoded, reencoded
from mailward.formats.writing import MAX_LINE_OCTETS


def in_lines(message: MessageView) -> Iterator[bytes]:
    """The octets of the message with its binary parts in base64, no piece empty.

    What is no part of its own, or says nothing of "binary", stays as it is: whoever wants lines only looks at the outcome.
    Raises ValueError as `reencoded` does.
    """
    return reencoded(message, _choose, "8bit", frozenset({"binary"}))


def _choose(part: PartView) -> Encoding | None:
    """Does it say that it is binary, and is it?"""
    if part.encoding != "binary" or not may_be_encoded(part):
        return None
    counter = LineCounter()
    for piece in part.chunks():
        counter.feed(piece)
    facts = counter.facts
    is_binary = facts.bare_cr or facts.bare_lf or facts.nul or facts.longest_octets > MAX_LINE_OCTETS
    return "base64" if is_binary else None
