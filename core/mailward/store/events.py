"""What did a command of IMAP do to messages? Told to the script that such messages meet (RFC 6785 section 2.2)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from mailward.model.identity import Identity
from mailward.model.ids import AccountId, MailboxId
from mailward.store.base import AccountStore

Cause = Literal["APPEND", "COPY", "FLAG"]


@dataclass(frozen=True, slots=True)
class Event:
    """Messages came into a mailbox, or have other flags there.

    identity: of who gave the command. owner, store: whose mailbox it is, maybe somebody else's. mailbox_name: as the owner has
    it. changed_flags: of all of them, for the cause FLAG.
    """

    cause: Cause
    identity: Identity
    owner: AccountId
    store: AccountStore
    mailbox: MailboxId
    mailbox_name: str
    uids: Sequence[int]
    changed_flags: tuple[str, ...] = ()
