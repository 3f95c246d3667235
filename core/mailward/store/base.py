"""The store's interface, with no word of any engine: what can be read of an account's mail. What changes it is in `ops`, how that
is refused in `refusals`.

All calls but `stamp` and `view_at_hand` block and are safe from any thread; callers on an event loop run them in a thread.
`apply` is the only writer: when it returns, the changes are durable. UIDs, MODSEQ as RFC 9051 and 7162 have them.
"""

import mmap
from array import array
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from mailward.model.errors import StorageError
from mailward.model.ids import AccountId, MailboxId, QueueId, Uid
from mailward.model.limits import MailLimits
from mailward.store.gone import LongGone
from mailward.store.marks import Marks
from mailward.store.ops import Op, OpResult

SYSTEM_FLAGS = ("\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "\\Draft")
"""Bits 0 to 4 of a flags value; keywords follow from bit 8, in the order of `MailboxView.keywords`."""

FIRST_KEYWORD_BIT = 8

EXPUNGED_KEPT_S = 7 * 86400.0
"""How long expunged mail is kept where nobody says otherwise: it can be put back, and be read by a session that has not been told
yet."""


@dataclass(frozen=True, slots=True)
class MailboxInfo:
    """One mailbox with its counters. name: UTF-8 in NFC, "/" between levels. special_use: "\\Junk" and so on, or ""."""

    id: MailboxId
    name: str
    special_use: str
    subscribed: bool
    uidvalidity: int
    uidnext: int
    highest_modseq: int
    exists: int
    unseen: int
    deleted: int
    size_octets: int


@dataclass(frozen=True, slots=True)
class MailboxView:
    """All messages of a mailbox at one moment, in UID order, as equally long arrays, which nobody changes: others have them too.

    uids: array('I'); flags and modseqs: array('Q'); messages: array('Q') of the store's message numbers for `meta` and `read`.
    stamp: the account's, before this was read.
    """

    mailbox: MailboxInfo
    keywords: tuple[str, ...]
    uids: "array[int]"
    flags: "array[int]"
    modseqs: "array[int]"
    messages: "array[int]"
    stamp: int | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Delta:
    """What changed in a mailbox after a MODSEQ: entries new or changed (as parallel tuples in UID order), UIDs gone.

    gone: of entries that were there at that MODSEQ. passed: of those that came later and are gone; who has been told of newer
    entries than its MODSEQ says may know them (RFC 7162 section 6). long_gone: where that MODSEQ is of so long ago that it is not
    known what has gone since: all that can have been. stamp: as of `MailboxView`.
    """

    highest_modseq: int
    uidnext: int
    keywords: tuple[str, ...]
    uids: tuple[int, ...]
    flags: tuple[int, ...]
    modseqs: tuple[int, ...]
    messages: tuple[int, ...]
    gone: tuple[int, ...]
    passed: tuple[int, ...]
    long_gone: LongGone = field(default_factory=LongGone)
    stamp: int | None = field(default=None, compare=False)

    @property
    def is_exact(self) -> bool:
        """Whether gone has all that went, and only that."""
        return not self.long_gone

    @property
    def is_empty(self) -> bool:
        """No message of then has changed or gone, and none has come that is still here."""
        return not (self.uids or self.gone or self.long_gone)


Column = Literal[
    "size_octets",
    "header_octets",
    "internal_date",
    "envelope",
    "bodystructure",
    "body",
    "headers",
    "common_fields",
    "sent_date",
    "subject_key",
    "from_key",
    "to_key",
    "cc_key",
    "from_display_key",
    "to_display_key",
    "is_answer",
    "preview",
    "ids",
    "thread",
    "surrogate_growth",
]
"""What `meta` can give of a message's content. internal_date, sent_date: int seconds since 1970 UTC (sent_date falls back to
internal_date). envelope, bodystructure, body: ready IMAP response bytes (RFC 3501). headers: the whole header block with its
final empty line. common_fields: some of its fields, in the form of `formats.common_fields`. *_key: text for sorting.
is_answer: 1 where the subject is one of a reply or a forwarded message, else 0 (RFC 5256 section 2.1). preview: at
most 200 characters of its text, "" when it has none (RFC 8970). ids: octets of an array('Q') of message identifiers as numbers of
63 bits: its own, a random one where it has none, then those it refers to, the oldest first (RFC 5256 section 3). thread: the
account's number of its thread, for ever (RFC 8474). surrogate_growth: how many octets more, or fewer,
its header has for programs that read ASCII only (`formats.surrogate`)."""

EntryColumn = Literal["email", "saved_at", "pop3_uidl"]
"""What `entry_meta` can give of a message in a mailbox. email: the account's number of it, kept by a move, new for a copy
(RFC 8474). saved_at: when it came into this mailbox, int seconds since 1970 UTC (RFC 8514). pop3_uidl: its unique-id at the
server from which it was moved in, None for other mail."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a message lies now. flags: names, the system flags first."""

    mailbox: MailboxId
    uid: Uid
    flags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Delivered:
    """What became of one Append with a delivery key: message is its number, and places are all where it lies now.

    () when it has been expunged everywhere. What a mail program has fetched and appended again is another message.
    """

    delivery_key: str
    message: int
    places: tuple[Place, ...]


@dataclass(frozen=True, slots=True)
class Expunged:
    """A message that is in no mailbox any more and can be put back. mailbox_name, flags: where it lay last, and as it lay there.

    expunged_at: seconds since 1970 UTC.
    """

    message: int
    mailbox_name: str
    flags: tuple[str, ...]
    expunged_at: int


@dataclass(frozen=True, slots=True)
class Script:
    """A Sieve script as its owner wrote it. At most one of an account is active."""

    name: str
    text: bytes
    is_active: bool


@dataclass(frozen=True, slots=True)
class Quota:
    """What all mailboxes of an account hold together, and what they may."""

    octets: int
    messages: int
    limits: MailLimits


class AccountStore(Protocol):
    """One account's mail."""

    @property
    def marks(self) -> Marks:
        """Which of its messages may hold a text."""
        ...

    def stamp(self) -> int | None:
        """A number that is another one after everything that was applied, by whichever process; to be had without waiting.

        So whoever has looked before he read something knows whether that still holds. None where it cannot be told now.
        """
        ...

    def view_at_hand(self, name: str) -> MailboxView | None:
        """The mailbox of this name with everything in it now, where that is in memory; without waiting. None else."""
        ...

    def mailboxes(self) -> tuple[MailboxInfo, ...]:
        """All mailboxes in name order, INBOX first."""
        ...

    def mailbox(self, name: str) -> MailboxInfo:
        """The mailbox of this name ("INBOX" in any case). Raises NoSuchMailbox."""
        ...

    def is_level(self, name: str) -> bool:
        """Whether there is a mailbox of this name, or one below it."""
        ...

    def subscriptions(self) -> frozenset[str]:
        """All names that are subscribed, also of mailboxes that are not here."""
        ...

    def grants(self) -> Mapping[MailboxId, Mapping[str, str]]:
        """Of each mailbox that is shared: what each grantee may do, in the order of `RIGHTS`; both in order."""
        ...

    def annotations(self, mailbox: MailboxId, owner: AccountId | Literal[""] = "") -> Mapping[str, bytes]:
        """Of a mailbox or of `ops.SERVER`: the values by the names of their entries, in order. owner: as of `SetAnnotations`."""
        ...

    def annotated(self) -> frozenset[tuple[AccountId, MailboxId]]:
        """The mailboxes of others about which something is noted here, with whose they are."""
        ...

    def view(self, mailbox: MailboxId) -> MailboxView:
        """Everything in it now. Raises NoSuchMailbox."""
        ...

    def delta(self, mailbox: MailboxId, since: int) -> Delta:
        """What changed after MODSEQ `since`. Raises NoSuchMailbox when the mailbox is gone."""
        ...

    def meta(self, messages: Sequence[int], columns: Sequence[Column]) -> Iterator[tuple[int | bytes | str, ...]]:
        """One tuple a message, in the order asked for. Works for messages expunged a while ago, too."""
        ...

    def entry_meta(
        self, mailbox: MailboxId, uids: Sequence[int], columns: Sequence[EntryColumn]
    ) -> Iterator[tuple[int | str | None, ...] | None]:
        """One tuple a UID, in the order asked for; None for one that is not in the mailbox any more."""
        ...

    def delivered(self, id: QueueId) -> tuple[Delivered, ...]:
        """The copies of a message of the queue, wherever they have been moved or copied, in the order of their keys.

        () for what was never stored here. Keys are known while their message is in a mailbox, and for 30 days at least.
        """
        ...

    def known(self, delivery_keys: Sequence[str]) -> frozenset[str]:
        """Those of them by which messages have come, as long as `delivered` knows them."""
        ...

    def read(self, message: int, offset: int = 0, length: int | None = None) -> bytes:
        """Octets of a stored message. Raises StorageError when they are damaged."""
        ...

    def octets(self, message: int) -> bytes | mmap.mmap:
        """The whole of a stored message, mapped into memory when it is large. Raises StorageError when it is damaged."""
        ...

    def bodies(self, messages: Sequence[int]) -> Iterator[bytes | mmap.mmap | StorageError]:
        """`octets` of many messages, in the order asked for and read as they are taken; the error where one cannot be read."""
        ...

    def expunged(self) -> tuple[Expunged, ...]:
        """What can be put back, in the order in which it was expunged. Moved mail is not among it, nor what has a copy."""
        ...

    def quota(self) -> Quota:
        """What the account holds now. `apply` keeps to the limits; what is delivered may go somewhat beyond them."""
        ...

    def scripts(self) -> tuple[Script, ...]:
        """All Sieve scripts in name order."""
        ...

    def script(self, name: str) -> Script | None:
        """The Sieve script of this name."""
        ...

    def active_script(self) -> Script | None:
        """The Sieve script that mail meets."""
        ...

    def apply(self, ops: Sequence[Op]) -> tuple[OpResult, ...]:
        """Do all of them in one transaction, or none. Returns when durable. Raises StoreRefusal or StorageError."""
        ...


class MailStore(Protocol):
    """All accounts."""

    def open(self, account: AccountId) -> AccountStore:
        """The store of an account; made with INBOX, Drafts, Sent, Junk, Trash and Archive when it is opened first."""
        ...

    def sharing_with(self, grantees: Collection[str]) -> tuple[AccountId, ...]:
        """The accounts that may have granted something to any of these, in order; their `grants` say what. Raises
        StorageError."""
        ...
