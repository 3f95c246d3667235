"""Into which mailbox does a copy go, and what is done where there is none of that name?

Who says so, the strongest first: the script of the account's owner, the verdict or a rule, a plugin. Mail must be findable
whatever they say, so a mailbox that is not there, and is not to be made, is INBOX.
"""

from contextlib import suppress
from dataclasses import dataclass

from mailward.formats.mailbox_names import INBOX, SEPARATOR
from mailward.model.ids import MailboxId
from mailward.pipeline.folders import Chosen
from mailward.queue.item import JUNK_FOLDER, QueuedRecipient
from mailward.store.base import AccountStore, MailboxInfo
from mailward.store.ops import CreateMailbox, Subscribe
from mailward.store.refusals import MailboxExists, NotPermitted, SpecialUseRefused, StoreRefusal, TooMany

JUNK_USE = "\\Junk"
MOST_MAILBOXES = 1000
"""Of an account, that a script may make."""


@dataclass(frozen=True, slots=True)
class Filing:
    """One mailbox into which a script wants it. mailbox: its name, "" for where the copy would be without a script. flags: names,
    beside those of the rules. octets: what is stored, None for the copy as it is. makes: the mailbox, where there is none, with
    this special_use. why: the line of the script, "" where none says so. is_other: it is another message, which the script has
    sent.
    """

    mailbox: str = ""
    flags: tuple[str, ...] = ()
    octets: bytes | None = None
    makes: bool = False
    special_use: str = ""
    why: str = ""
    is_other: bool = False


@dataclass(frozen=True, slots=True)
class Filings:
    """All that a script wants, none where it wants the copy nowhere. said: what else it did, in plain words."""

    wanted: tuple[Filing, ...]
    said: tuple[str, ...] = ()


UNSCRIPTED = Filings((Filing(),))
"""What holds where there is no script."""


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a copy goes, and what is said of that."""

    mailbox: MailboxId
    outcome: str


def destination_of(store: AccountStore, recipient: QueuedRecipient, chosen: Chosen | None, filing: Filing) -> Destination:
    """chosen: by a plugin, where the recipient's own folder does not hold. A mailbox that is wanted may be made."""
    reason = f", by {filing.why}" if filing.why else ""
    if filing.mailbox:
        name = filing.mailbox
        reason = f", a copy of what was sent{reason}" if filing.is_other else reason
        found = _mailbox(store, name) or (made_mailbox(store, name, MOST_MAILBOXES, filing.special_use) if filing.makes else None)
    elif chosen is not None:
        name = chosen.choice.name
        reason = f", chosen by {chosen.plugin}: {chosen.choice.why}"
        found = _mailbox(store, name) or made_mailbox(store, name, chosen.choice.make_up_to)
    else:
        name = recipient.folder
        found = _junk_mailbox(store) if name == JUNK_FOLDER else _mailbox(store, name)
    if found is not None:
        return Destination(found.id, f"delivered to {found.name}{reason}")
    # The person has removed it, or has none of that name; the mail must be findable all the same.
    return Destination(store.mailbox(INBOX).id, f"delivered to {INBOX} (there is no mailbox {name}{reason})")


def _mailbox(store: AccountStore, name: str) -> MailboxInfo | None:
    try:
        return store.mailbox(name)
    except StoreRefusal:  # none of this name, or none can be
        return None


def _junk_mailbox(store: AccountStore) -> MailboxInfo | None:
    """The one with the special use, which people rename; else one of the usual name; else made again.

    A person who has removed it wanted to be rid of what was in it: in INBOX the next junk would pass for mail that they want.
    """
    found = _existing_junk_mailbox(store)
    if found is None:
        _make(store, CreateMailbox(JUNK_FOLDER, JUNK_USE))
        found = _existing_junk_mailbox(store)
    return found


def _existing_junk_mailbox(store: AccountStore) -> MailboxInfo | None:
    by_use = next((one for one in store.mailboxes() if one.special_use == JUNK_USE), None)
    return by_use or _mailbox(store, JUNK_FOLDER)


def made_mailbox(store: AccountStore, name: str, up_to: int, special_use: str = "") -> MailboxInfo | None:
    """A new one, subscribed, where the account has then no more than up_to; with the special use, if that can be. None where it
    cannot be made. Raises StorageError."""
    if len(store.mailboxes()) + len(name.split(SEPARATOR)) > up_to:
        return None
    if special_use:
        _make(store, CreateMailbox(name, special_use))
    if _mailbox(store, name) is None:
        _make(store, CreateMailbox(name))
    return _mailbox(store, name)


def _make(store: AccountStore, op: CreateMailbox) -> None:
    """Subscribed, or many mail programs would not show it. Nothing when it cannot be, or another process has just made it."""
    with suppress(MailboxExists, NotPermitted, SpecialUseRefused, TooMany):
        store.apply([op, Subscribe(op.name, True)])
