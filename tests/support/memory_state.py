"""What the plainest message store holds of an account: dicts, and a log of everything."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from mailward.model.ids import MailboxId
from mailward.store.base import FIRST_KEYWORD_BIT, SYSTEM_FLAGS
from mailward.store.refusals import NoSuchMailbox


@dataclass
class Entry:
    """A message in a mailbox. flags: names as the mailbox has them."""

    message: int
    flags: frozenset[str]
    modseq: int
    added_modseq: int
    email: int
    saved_at: int
    pop3_uidl: str | None = None


@dataclass
class Box:
    """A mailbox."""

    id: MailboxId
    name: str
    special_use: str
    uidvalidity: int
    modseq: int
    uidnext: int = 1
    keywords: tuple[str, ...] = ()
    entries: dict[int, Entry] = field(default_factory=dict)
    changes: list[tuple[int, int]] = field(default_factory=list)
    """(modseq, UID) of everything added or changed."""
    grants: dict[str, str] = field(default_factory=dict)
    gone: list[tuple[int, int, int]] = field(default_factory=list)
    """(modseq, UID, modseq at which it had been added) of everything removed."""

    def canonical(self, flags: Sequence[str]) -> frozenset[str]:
        """The flags as this mailbox spells them; those it has not seen as they are given."""
        known = {name.casefold(): name for name in (*SYSTEM_FLAGS, *self.keywords)}
        return frozenset(known.setdefault(flag.casefold(), flag) for flag in flags)

    def learn(self, flags: frozenset[str]) -> None:
        self.keywords += tuple(sorted(flags - {*SYSTEM_FLAGS, *self.keywords}))

    def bits(self, flags: frozenset[str]) -> int:
        system = sum(1 << bit for bit, name in enumerate(SYSTEM_FLAGS) if name in flags)
        return system + sum(1 << bit for bit, name in enumerate(self.keywords, FIRST_KEYWORD_BIT) if name in flags)


@dataclass
class Left:
    """A message that was expunged. box: as it is, or was when it was deleted. is_final: it never comes back."""

    box: Box
    flags: frozenset[str]
    email: int
    at: int
    is_final: bool


@dataclass
class State:
    """All of an account."""

    boxes: dict[MailboxId, Box] = field(default_factory=dict)
    messages: dict[int, tuple[bytes, datetime]] = field(default_factory=dict)
    left: dict[int, Left] = field(default_factory=dict)
    deliveries: dict[str, tuple[MailboxId, int, int]] = field(default_factory=dict)
    past_pop3_uidls: set[str | None] = field(default_factory=set)
    subscriptions: set[str] = field(default_factory=set)
    past_names: dict[str, int] = field(default_factory=dict)
    scripts: dict[str, bytes] = field(default_factory=dict)
    active_script: str = ""
    annotations: dict[tuple[str, MailboxId], dict[str, bytes]] = field(default_factory=dict)
    last_mailbox: int = 0
    last_message: int = 0
    last_email: int = 0
    last_uidvalidity: int = 0
    last_modseq: int = 0


def box_of(state: State, mailbox: MailboxId) -> Box:
    if mailbox not in state.boxes:
        raise NoSuchMailbox("gone")
    return state.boxes[mailbox]


def put_back(state: State) -> dict[int, Left]:
    """What can be put back, by message."""
    there = {entry.message for box in state.boxes.values() for entry in box.entries.values()}
    return {message: left for message, left in state.left.items() if not left.is_final and message not in there}
