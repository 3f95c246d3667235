"""What SORT and THREAD compare (RFC 5256, RFC 5957), made once when a message is stored: base subject, first addresses, date.

Texts are mapped as I18NLEVEL=1 compares them (formats.collation)."""

from mailward.formats.collation import casemap
from mailward.formats.mailboxes import Group, Mailbox
from mailward.formats.message import MessageView
from mailward.formats.subjects import BaseSubject
from mailward.formats.words import decode_words

_MOST_OCTETS = 1000


def subject_key(subject: BaseSubject) -> str:
    """The base subject."""
    return casemap(subject.text)


def first_address(view: MessageView, name: str) -> Mailbox | Group | None:
    """What stands first in all fields of this name, as ENVELOPE has them."""
    return next((entry for field in view.all(name) for entry in field.addresses.entries), None)


def mailbox_key(first: Mailbox | Group | None) -> str:
    """RFC 5256 section 3: the local-part, which for ENVELOPE is a group's name; "" when there is none."""
    if first is None:
        return ""
    octets = first.name_octets if isinstance(first, Group) else first.local_part_octets
    return casemap(octets[:_MOST_OCTETS].decode("utf-8", "replace"))


def display_key(first: Mailbox | Group | None) -> str:
    """RFC 5957 section 3: the name as people see it, else the address; "" when there is none."""
    if first is None:
        return ""
    name = decode_words(first.name_octets[:_MOST_OCTETS]).strip()
    if not name and isinstance(first, Mailbox):
        name = (first.local_part_octets + b"@" + first.domain_octets)[:_MOST_OCTETS].decode("utf-8", "replace")
    return casemap(name)


def sent_date(view: MessageView, internal_date: int) -> int:
    """The Date field as seconds since 1970 UTC; the internal date when it is missing or is none (RFC 5256 section 2.2)."""
    return internal_date if view.date is None else view.date.at_s
