"""Where a search for BODY or TEXT looks (RFC 9051 section 6.4.4), and how texts are compared."""

import re
from collections.abc import Iterator

from mailward.formats.collation import casemap
from mailward.formats.message import MessageView
from mailward.formats.texts import TEXT_TYPES

_BLANKS = re.compile(r"\s+")
_MUCH_OCTETS = 2 * 1024 * 1024


def folded(text: str) -> str:
    """For comparing without case and without minding how lines were broken."""
    return _BLANKS.sub(" ", casemap(text))


def has_much_text(view: MessageView) -> bool:
    """Whether it has more text than is worth remembering, by its size as it stands: nothing is decoded."""
    return sum(part.size_octets for part in view.parts() if part.content_type.startswith("text/")) > _MUCH_OCTETS


def searched_texts(view: MessageView) -> Iterator[str]:
    """Behind the message's header, folded: all texts as people and as programs read them, what is text of another
    kind, as calendars are, and the headers of the parts.

    What the store remembers of them is of no use once they are made otherwise: raise `store.textmarks.VERSION` then.
    """
    for text in view.texts():
        yield (read := folded(text.text))
        if (source := folded(text.source)) != read:
            yield source
    for part in view.parts():
        if part.content_type.startswith("text/") and part.content_type not in TEXT_TYPES:
            yield folded(part.text)
        if part is not view.root:
            yield folded(part.header_octets.decode("utf-8", "replace"))
