"""What SORT compares: base subject, mailboxes, sent date (RFC 5256 section 2), made once when a message is stored.

Texts are mapped as I18NLEVEL=1 compares them (formats.collation)."""

from mailward.formats.collation import casemap
from mailward.formats.mailboxes import Mailbox
from mailward.formats.message import MessageView
from mailward.formats.subjects import base_subject

_MOST_CHARACTERS = 1000


def subject_key(subject: str) -> str:
    """The base subject."""
    return casemap(base_subject(subject).text)


def mailbox_key(mailboxes: tuple[Mailbox, ...]) -> str:
    """The local-part of the first mailbox (addr-mailbox of RFC 5256 section 3); "" when there is none."""
    address = mailboxes[0].address if mailboxes else None
    return casemap(address.local_part[:_MOST_CHARACTERS]) if address else ""


def sent_date(view: MessageView, internal_date: int) -> int:
    """The Date field as seconds since 1970 UTC; the internal date when it is missing or is none (RFC 5256 section 2.2)."""
    return internal_date if view.date is None else view.date.at_s
