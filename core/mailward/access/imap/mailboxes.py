"""CREATE (with a special use: RFC 6154), DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE, STATUS (RFC 3501 section 6.3)."""

from collections.abc import Sequence

from mailward.access.imap.session import Session
from mailward.access.imap.telling import No
from mailward.model.ids import AccountId
from mailward.protocol.imap.arguments import Arguments, BadSyntax
from mailward.protocol.imap.objectid import object_id
from mailward.store.base import (
    SYSTEM_FLAGS,
    AccountStore,
    CreateMailbox,
    DeleteMailbox,
    MailboxInfo,
    Op,
    RenameMailbox,
    Subscribe,
)

STATUS_ITEMS = (
    "MESSAGES", "RECENT", "UIDNEXT", "UIDVALIDITY", "UNSEEN", "SIZE", "DELETED", "HIGHESTMODSEQ", "MAILBOXID",
    "DELETED-STORAGE",
)  # fmt: skip
_DELETED = 1 << SYSTEM_FLAGS.index("\\Deleted")
SPECIAL_USES = {use.lower(): use for use in ("\\Archive", "\\Drafts", "\\Junk", "\\Sent", "\\Trash")}
"""What a client may create. \\All and \\Flagged would be views of other mailboxes."""


async def create(session: Session, arguments: Arguments) -> str:
    arguments.space()
    # A trailing separator declares that names below are meant (RFC 3501 section 6.3.3).
    written = arguments.astring().removesuffix(b"/")
    use = _read_use(arguments) if arguments.take(b" (") else ""
    arguments.end()
    name = session.name_of(written)
    if name == "INBOX":
        raise No("INBOX is always there", "ALREADYEXISTS")
    (made,) = await session.blocking(lambda: session.store.apply([CreateMailbox(name, use)]))
    _tell_normalised(session, name, written)
    return f"[MAILBOXID ({object_id('F', made.mailbox)})] Created"


def _read_use(arguments: Arguments) -> str:
    """USE (...) and the parenthesis that ends it (RFC 6154 section 3); a mailbox here has one use at most."""
    arguments.expect(b"USE ")
    uses = arguments.parenthesised(arguments.attribute, allow_empty=True)
    arguments.expect(b")")
    if len(uses) > 1 or not set(uses) <= SPECIAL_USES.keys():
        raise No("A mailbox is created with one of " + " ".join(SPECIAL_USES.values()), "USEATTR")
    return SPECIAL_USES[uses[0]] if uses else ""


async def delete(session: Session, arguments: Arguments) -> str:
    return await _apply(session, DeleteMailbox(_one_name(session, arguments)))


async def rename(session: Session, arguments: Arguments) -> str:
    arguments.space()
    old = session.read_name(arguments)
    arguments.space()
    written = arguments.astring()
    arguments.end()
    new = session.name_of(written)
    await _apply(session, RenameMailbox(old, new))
    _tell_normalised(session, new, written)
    return ""


def _tell_normalised(session: Session, name: str, written: bytes) -> None:
    """How the mailbox is called now that the client wrote otherwise (RFC 9051 section 6.3.4)."""
    if session.is_rev2 and name.encode("utf-8") != written:
        session.tell_name(name, "", written)


async def subscribe(session: Session, arguments: Arguments) -> str:
    return await _apply(session, Subscribe(_one_name(session, arguments), True))


async def unsubscribe(session: Session, arguments: Arguments) -> str:
    return await _apply(session, Subscribe(_one_name(session, arguments), False))


def _one_name(session: Session, arguments: Arguments) -> str:
    arguments.space()
    name = session.read_name(arguments)
    arguments.end()
    return name


async def _apply(session: Session, op: Op) -> str:
    await session.blocking(lambda: session.store.apply([op]))
    return ""


async def status(session: Session, arguments: Arguments) -> str:
    arguments.space()
    name = session.read_name(arguments)
    arguments.space()
    items = read_status_items(arguments)
    arguments.end()
    if "HIGHESTMODSEQ" in items:
        session.enable_condstore()
    info = await session.blocking(lambda: session.store.mailbox(name))
    session.untagged(await status_line(session, info, items))
    return ""


def read_status_items(arguments: Arguments) -> Sequence[str]:
    """(MESSAGES UNSEEN ...); of RFC 8438 SIZE, 9051 DELETED, 7162 HIGHESTMODSEQ, 8474 MAILBOXID, 9208 DELETED-STORAGE."""
    items = arguments.parenthesised(arguments.atom)
    if set(items) - set(STATUS_ITEMS):
        raise BadSyntax("Unknown STATUS item")
    return list(dict.fromkeys(items))


async def status_line(session: Session, info: MailboxInfo, items: Sequence[str]) -> bytes:
    """What stands after "* "."""
    shown = " ".join([f"{item} {await _status_value(session, info, item)}" for item in items]).encode("ascii")
    return b"STATUS %b (%b)" % (session.name_octets(info.name), shown)


def _deleted_octets(store: AccountStore, info: MailboxInfo) -> int:
    view = store.view(info.id)
    messages = [message for message, flags in zip(view.messages, view.flags, strict=True) if flags & _DELETED]
    return sum(int(size) for (size,) in store.meta(messages, ("size_octets",)))


async def _status_value(session: Session, info: MailboxInfo, item: str) -> int | str:
    if item == "DELETED-STORAGE":
        return await session.blocking(lambda: _deleted_octets(session.store, info)) if info.deleted else 0
    if item == "MAILBOXID":
        return f"({object_id('F', info.id)})"
    if item == "RECENT":
        # At most: the store does not tell how many of the UIDs that nobody was told of are still there.
        first = session.desk.recent.look(session.account or AccountId(""), info.id)
        return min(max(info.uidnext - first, 0), info.exists)
    return {
        "MESSAGES": info.exists,
        "UIDNEXT": info.uidnext,
        "UIDVALIDITY": info.uidvalidity,
        "UNSEEN": info.unseen,
        "SIZE": info.size_octets,
        "DELETED": info.deleted,
        "HIGHESTMODSEQ": info.highest_modseq,
    }[item]
