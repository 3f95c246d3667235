"""Signs of spam in the shape of a message, each weak by itself: pure functions of what everybody can see.

They look at the form only, so they work before anything has been learnt. GTUBE is the test string every spam filter knows.
"""

import re
from collections.abc import Iterator

from mailward.api import Address, MessageView

GTUBE = "XJS*C4JDBQADN1.NSBN3*2IDNEN*" + "GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"
"""The generic test for unsolicited bulk e-mail; in two pieces, so that this file is not taken for one."""

MANY_RECIPIENTS = 20
SHOUTING_LETTERS = 12
_MESSAGE_ID = re.compile(r"<[^<>@\s]+@[^<>@\s]+>")
_MAX_LOOKED_AT = 200_000


def signs(message: MessageView) -> Iterator[tuple[str, str]]:
    """Pairs of symbol and sentence."""
    yield from _header_signs(message)
    yield from _text_signs(message)


def _header_signs(message: MessageView) -> Iterator[tuple[str, str]]:
    if not message.authors:
        yield "MISSING_FROM", "there is no readable From field (RFC 5322 section 3.6.2)"
    if message.field("Date") is None:
        yield "MISSING_DATE", "there is no Date field (RFC 5322 section 3.6.1)"
    if not message.message_id:
        yield "MISSING_MESSAGE_ID", "there is no Message-ID field"
    elif not _MESSAGE_ID.fullmatch(message.message_id):
        yield "ODD_MESSAGE_ID", "the Message-ID is not of the form <left@right>"
    recipients = len(message.recipients_in_header)
    if recipients == 0:
        yield "MISSING_TO", "neither To nor Cc names anybody"
    elif recipients >= MANY_RECIPIENTS:
        yield "MANY_RECIPIENTS", f"To and Cc name {recipients} recipients"
    letters = [c for c in message.subject if c.isalpha()]
    if len(letters) >= SHOUTING_LETTERS and all(c.isupper() for c in letters):
        yield "SUBJECT_SHOUTS", "the subject is all capitals"
    if any(_poses_as_another(author.display_name, author.address) for author in message.authors):
        yield "FROM_NAME_IS_ADDRESS", "the name in From looks like another mail address"


def _poses_as_another(display_name: str, address: Address | None) -> bool:
    return "@" in display_name and address is not None and str(address).lower() not in display_name.lower()


def _text_signs(message: MessageView) -> Iterator[tuple[str, str]]:
    texts = list(message.texts())
    kinds = {text.part.content_type for text in texts}
    if kinds == {"text/html"}:
        yield "HTML_ONLY", "the text is HTML and nothing else"
    if any(GTUBE in text.text[:_MAX_LOOKED_AT] for text in texts):
        yield "GTUBE", "the GTUBE test string is in the text"
