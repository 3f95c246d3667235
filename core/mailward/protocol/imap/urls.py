"""Which message, or part of one, does an IMAP URL name? (RFC 5092) Only those of this server, which begin with a mailbox or with
`;UID=` for the selected one."""

import re
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from mailward.protocol.imap.arguments import BadSyntax
from mailward.protocol.imap.fetch import Section, read_section
from mailward.protocol.imap.names import NameRefused, decode_name

# Section 11: enc-mailbox, uidvalidity, iuid, isection and ipartial. A ";" in a name is percent-encoded.
_URL = re.compile(
    rb"(?:/(?!/)([^;?#]+?)(?:;UIDVALIDITY=([1-9][0-9]{0,9}))?/)?;UID=([1-9][0-9]{0,9})"
    rb"(?:/;SECTION=([^;?#]+?))?(?:/;PARTIAL=([0-9]{1,10})(?:\.([1-9][0-9]{0,9}))?)?",
    re.IGNORECASE,
)
_ESCAPES = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_TO_THE_END = 1 << 40


class BadUrl(ValueError):
    """It names nothing that there is."""


@dataclass(frozen=True, slots=True)
class MessageUrl:
    """written: as the client has it. mailbox: its name, None for the selected one. uidvalidity: None where none is said."""

    written: bytes
    mailbox: str | None
    uidvalidity: int | None
    uid: int
    section: Section


def read_url(octets: bytes) -> MessageUrl:
    """As `/Drafts;UIDVALIDITY=385759045/;UID=20/;SECTION=1.MIME`, or `;UID=20`. Raises BadUrl."""
    match = _URL.fullmatch(octets)
    if match is None or _ESCAPES.search(octets):
        raise BadUrl("The URLs are such as /mailbox;UIDVALIDITY=1/;UID=20/;SECTION=HEADER")
    mailbox, uidvalidity, uid, section, start, length = match.groups()
    partial = None if start is None else (int(start), int(length or _TO_THE_END))
    try:
        name = None if mailbox is None else decode_name(unquote_to_bytes(mailbox), utf8=True)  # section 4
        wanted = read_section(unquote_to_bytes(section or b""), partial)
    except (NameRefused, BadSyntax) as error:
        raise BadUrl(str(error)) from None
    return MessageUrl(octets, name, int(uidvalidity) if uidvalidity else None, int(uid), wanted)
