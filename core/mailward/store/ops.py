"""What `AccountStore.apply` is asked to do, an op each, and what it says of each.

Flags are names ("\\Seen", "$Junk"); UIDs, MODSEQ as RFC 9051 and 7162 have them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from mailward.model.ids import AccountId, MailboxId, Uid

MAX_SCRIPTS = 32
"""Sieve scripts of an account."""

MAX_MESSAGES = 2_000_000
"""Of a mailbox: it holds where there is no quota too, since a session has all of them in memory."""

MAX_ANNOTATION_OCTETS = 32 * 1024

RIGHTS = "lrswipkxtea"
"""What somebody else may do in a mailbox, a letter each (RFC 4314 section 2.1)."""

ANYONE = "anyone"
"""The grantee that every account is."""

Mode = Literal["add", "remove", "replace"]
"""What becomes of flags, or of rights, that are there."""

NO_MAILBOX = MailboxId(0)
"""In an `OpResult`: the op is about none that is there."""
SERVER = NO_MAILBOX
"""The mailbox of annotations that are of the account as a whole."""

ANY_KEYWORD = "\\*"
"""All keywords of a mailbox, in `SetFlags.kept`."""


@dataclass(frozen=True, slots=True)
class Append:
    """Add one message. octets: CRLF line ends.

    delivery_key: "ID:..." with the message's queue id; a second Append with the same key changes nothing (exactly once), and
    `delivered` finds by the id what came by it. pop3_uidl: what POP3 clients know it by, of mail that is moved in; left out
    where another message of the account has or had it. uid: what it had there; NotPermitted unless it is above all that the
    mailbox has given.
    """

    mailbox: MailboxId
    octets: bytes
    internal_date: datetime
    flags: tuple[str, ...] = ()
    delivery_key: str | None = None
    pop3_uidl: str | None = None
    uid: Uid | None = None


@dataclass(frozen=True, slots=True)
class SetFlags:
    """Change flags; a UID that does not exist is passed over. unchanged_since: RFC 7162, such messages are reported back.

    kept: flags that "replace" leaves as they are; `ANY_KEYWORD` is all keywords.
    """

    mailbox: MailboxId
    uids: Sequence[Uid]
    mode: Mode
    flags: tuple[str, ...]
    unchanged_since: int | None = None
    kept: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Expunge:
    """Remove messages; UIDs that do not exist are passed over. final: `Undelete` is not to bring them back."""

    mailbox: MailboxId
    uids: Sequence[Uid]
    final: bool = False


@dataclass(frozen=True, slots=True)
class Undelete:
    """Put messages that were expunged into a mailbox: with new UIDs, the flags that they had but \\Deleted, and their own date
    and number of email. Those that `expunged` does not name are passed over."""

    mailbox: MailboxId
    messages: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Copy:
    """Copy messages with flags and internal date to `target`; with `move` the originals are expunged in the same transaction."""

    mailbox: MailboxId
    uids: Sequence[Uid]
    target: MailboxId
    move: bool = False


@dataclass(frozen=True, slots=True)
class Named:
    """Change nothing: the mailbox is called so, or the list is refused with NoSuchMailbox. For who has looked at a mailbox
    before, and acts on it by its name."""

    mailbox: MailboxId
    name: str


@dataclass(frozen=True, slots=True)
class CreateMailbox:
    """Make a mailbox, and those above it where that level is new. Raises MailboxExists, SpecialUseRefused, TooMany.

    inherit: they have the grants of what is above them (RFC 4314 section 4); else they are shared with nobody.
    """

    name: str
    special_use: str = ""
    inherit: bool = True


@dataclass(frozen=True, slots=True)
class RenameMailbox:
    """Rename a mailbox and all below it, or a level with only these; renaming INBOX moves its messages (RFC 9051 section 6.3.6).

    The grants stay as they are, and INBOX's are the new mailbox's too: mail is shown to nobody else for lying elsewhere.
    """

    name: str
    new_name: str


@dataclass(frozen=True, slots=True)
class DeleteMailbox:
    """Delete a mailbox and its messages; INBOX cannot be deleted. What is below it stays (RFC 3501 section 6.3.4).

    only_unused: NotPermitted where it ever had a message.
    """

    name: str
    only_unused: bool = False


@dataclass(frozen=True, slots=True)
class Renumber:
    """Give a mailbox a UIDVALIDITY, and let none of its UIDs to come be below `uidnext`.

    uidvalidity: of the server from which its mail is moved in, NotPermitted where other mail may have UIDs under it here, or
    None for a new one, where its UIDs may have meant other messages.
    """

    mailbox: MailboxId
    uidvalidity: int | None = None
    uidnext: int = 1


@dataclass(frozen=True, slots=True)
class Subscribe:
    """Set or clear the subscription of a name. Raises TooMany."""

    name: str
    subscribed: bool


@dataclass(frozen=True, slots=True)
class SetRights:
    """Change what a grantee may do in a mailbox. Who is left without any right is no grantee of it any more.

    grantee: "account:" and an account's id, "group:" and a name, or `ANYONE`; what they mean is not the store's. rights: of
    `RIGHTS`. A mailbox keeps its grants where it is renamed to.
    """

    mailbox: MailboxId
    grantee: str
    mode: Mode
    rights: str


@dataclass(frozen=True, slots=True)
class SetSpecialUse:
    """Make a mailbox the one of a special use, or of none with "". Raises SpecialUseRefused."""

    mailbox: MailboxId
    special_use: str


@dataclass(frozen=True, slots=True)
class SetAnnotations:
    """Change annotations of a mailbox, or of `SERVER`: entries with their new values, None for one that is to go (RFC 5464).

    entries: names in lower case; what is below /shared has limits of its own. owner: the account whose mailbox it is, "" for this
    one; what somebody notes for himself about the mailbox of another lies in his own store. Raises TooManyAnnotations,
    AnnotationTooLong.
    """

    mailbox: MailboxId
    entries: tuple[tuple[str, bytes | None], ...]
    owner: AccountId | Literal[""] = ""


@dataclass(frozen=True, slots=True)
class PutScript:
    """Keep a Sieve script under a name; one of that name is replaced and stays active when it was. Raises TooManyScripts."""

    name: str
    text: bytes


@dataclass(frozen=True, slots=True)
class RenameScript:
    """The script stays active when it was. Raises NoSuchScript, ScriptExists."""

    name: str
    new_name: str


@dataclass(frozen=True, slots=True)
class DeleteScript:
    """Raises NoSuchScript, ScriptActive."""

    name: str


@dataclass(frozen=True, slots=True)
class ActivateScript:
    """Make this one the active script, or none with "". Raises NoSuchScript."""

    name: str


Op = (
    Append
    | SetFlags
    | Expunge
    | Undelete
    | Copy
    | Named
    | CreateMailbox
    | RenameMailbox
    | DeleteMailbox
    | Renumber
    | Subscribe
    | SetRights
    | SetSpecialUse
    | SetAnnotations
    | PutScript
    | RenameScript
    | DeleteScript
    | ActivateScript
)


@dataclass(frozen=True, slots=True)
class OpResult:
    """What one op did. uids: assigned (Append, Copy, Undelete) or touched (SetFlags, Expunge). sources: Copy's, in that order.

    mailbox: the mailbox made or written to, `NO_MAILBOX` for an op on a script or a level. refused: UIDs that failed
    `unchanged_since`. duplicate: delivery_key known already. modseqs: SetFlags' alone, of the mailbox before it and after it.
    """

    mailbox: MailboxId
    uidvalidity: int = 0
    uids: Sequence[int] = ()
    sources: tuple[int, ...] = ()
    refused: tuple[int, ...] = ()
    duplicate: bool = False
    modseqs: tuple[int, int] = (0, 0)
