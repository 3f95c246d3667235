"""What SORT compares: base subject, mailboxes, sent date (RFC 5256 section 2), made once when a message is stored."""

import re

from mailward.formats.mailboxes import Mailbox
from mailward.formats.message import MessageView

_MOST_CHARACTERS = 1000

_TRAILER = re.compile(r"(?:\s|\(fwd\))+$", re.IGNORECASE)
_BLOB = r"\[[^\[\]]*\]\s*"
_LEADER = re.compile(rf"(?:{_BLOB})*(?:re|fwd?)\s*(?:{_BLOB})?:\s*", re.IGNORECASE)
_LEADING_BLOB = re.compile(rf"{_BLOB}(?=\S)")
_FORWARDED = re.compile(r"\[fwd:(.*)\]$", re.IGNORECASE)


def base_subject(subject: str) -> str:
    """The subject without "Re:", "[list]", "(fwd)" and the like (RFC 5256 section 2.1), case folded."""
    text = " ".join(subject[:_MOST_CHARACTERS].split())
    while True:
        text = _TRAILER.sub("", text)
        while match := _LEADER.match(text) or _LEADING_BLOB.match(text):
            text = text[match.end() :]
        forwarded = _FORWARDED.match(text)
        if forwarded is None:
            return text.casefold()
        text = forwarded[1].strip()


def mailbox_key(mailboxes: tuple[Mailbox, ...]) -> str:
    """The local-part of the first mailbox (addr-mailbox of RFC 5256 section 3), case folded; "" when there is none."""
    address = mailboxes[0].address if mailboxes else None
    return address.local_part[:_MOST_CHARACTERS].casefold() if address else ""


def sent_date(view: MessageView, internal_date: int) -> int:
    """The Date field as seconds since 1970 UTC; the internal date when it is missing or is none (RFC 5256 section 2.2)."""
    return internal_date if view.date is None else view.date.at_s
