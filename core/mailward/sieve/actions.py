"""What may a script want to be done? The answers of a run, which others carry out."""

from dataclasses import dataclass

from mailward.formats.message import MessageView
from mailward.model.address import Address
from mailward.sieve.problems import Place


@dataclass(frozen=True, slots=True)
class Action:
    """script, place: the command that asked for it; 0:0 for the implicit keep."""

    script: str
    place: Place


@dataclass(frozen=True, slots=True)
class Keep(Action):
    """Store it where it would be without a script (RFC 5228 section 4.3).

    flags: IMAP flags to set (RFC 5232). message: what is stored, None for the message as it came. is_implicit: no command
    said so (RFC 5228 section 2.10.2).
    """

    flags: tuple[str, ...] = ()
    message: MessageView | None = None
    is_implicit: bool = False


@dataclass(frozen=True, slots=True)
class FileInto(Action):
    """Store it in a mailbox (RFC 5228 section 4.1). flags, message: as of `Keep`.

    mailbox: its name in UTF-8, that of the special use or mailbox id where there is such a mailbox. creates: make it where it
    is not there, with this special use (RFC 5490 section 3.2, RFC 8579 section 4); else the message is kept.
    """

    flags: tuple[str, ...]
    message: MessageView | None
    mailbox: str
    creates: bool = False
    special_use: str = ""


@dataclass(frozen=True, slots=True)
class Redirect(Action):
    """Send it on to this address, the envelope's reverse-path unchanged (RFC 5228 section 4.2). message: as of `Keep`."""

    address: Address
    message: MessageView | None = None


@dataclass(frozen=True, slots=True)
class Vacation(Action):
    """Tell the sender that the owner is away (RFC 5230), once for the key, the recipient and the period.

    withheld: why nothing is to be sent, "" where it is. sender: for the From field, with a name if it has one. text: plain, or
    with is_mime a MIME entity with its header. in_reply_to, references: with their angle brackets. fcc: where a copy goes.
    """

    recipient: Address | None
    withheld: str
    key: str
    period_s: int
    sender: str
    subject: str
    text: str
    is_mime: bool
    in_reply_to: str
    references: tuple[str, ...]
    fcc: FileInto | None


@dataclass(frozen=True, slots=True)
class Notify(Action):
    """Tell somebody of the message by mail (RFC 5435, RFC 5436).

    withheld: as of `Vacation`. to, cc: addresses, with names if they have some. fields: further ones, by name and value.
    importance: "1", which is high, to "3".
    """

    withheld: str
    to: tuple[str, ...]
    cc: tuple[str, ...]
    fields: tuple[tuple[str, str], ...]
    sender: str
    owner: str
    subject: str
    text: str
    importance: str
    fcc: FileInto | None


@dataclass(frozen=True, slots=True)
class Discard(Action):
    """Say nothing, store nothing (RFC 5228 section 4.4). It is there where it matters: when nothing else was asked for."""


@dataclass(frozen=True, slots=True)
class Reject(Action):
    """Refuse it with this reason (RFC 5429)."""

    reason: str
