"""CREATE (with a special use: RFC 6154), DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE, STATUS (RFC 3501 section 6.3)."""

from collections.abc import Sequence

from mailward.access.imap.reach import Reached, is_of_others
from mailward.access.imap.session import Session
from mailward.access.imap.working import No
from mailward.formats.mailbox_names import INBOX, SPECIAL_USES
from mailward.protocol.imap.arguments import Arguments, BadSyntax
from mailward.protocol.imap.objectid import object_id
from mailward.store.base import AccountStore, MailboxInfo
from mailward.store.flags import DELETED
from mailward.store.ops import CreateMailbox, DeleteMailbox, Named, RenameMailbox, Subscribe
from mailward.store.refusals import NoSuchMailbox

STATUS_ITEMS = (
    "MESSAGES", "RECENT", "UIDNEXT", "UIDVALIDITY", "UNSEEN", "SIZE", "DELETED", "HIGHESTMODSEQ", "MAILBOXID",
    "DELETED-STORAGE",
)  # fmt: skip
CREATED_USES = {use.lower(): use for use in SPECIAL_USES if use not in ("\\All", "\\Flagged")}
"""What a client may create. These two would be views of other mailboxes (RFC 6154 section 2)."""


async def create(session: Session, arguments: Arguments) -> str:
    arguments.space()
    # A trailing separator declares that names below are meant (RFC 3501 section 6.3.3).
    written = arguments.astring().removesuffix(b"/")
    use = _read_use(arguments) if arguments.take(b" (") else ""
    arguments.end()
    name = session.name_of(written)
    if name == INBOX:
        raise No("INBOX is always there", "ALREADYEXISTS")
    owner, store, name_there = await session.blocking(lambda: session.reach.place_for(name))
    is_own = owner == session.account
    if use and not is_own:
        raise No("Among the mailboxes of others yours have no special use", "USEATTR")
    (made,) = await session.blocking(lambda: store.apply([CreateMailbox(name_there, use)]))
    _tell_normalised(session, name, written)
    return f"[MAILBOXID ({object_id('F', made.mailbox, '' if is_own else owner)})] Created"


def _read_use(arguments: Arguments) -> str:
    """USE (...) and the parenthesis that ends it (RFC 6154 section 3); a mailbox here has one use at most."""
    arguments.expect(b"USE ")
    uses = arguments.parenthesised(arguments.attribute, allow_empty=True)
    arguments.expect(b")")
    if len(uses) > 1 or not set(uses) <= CREATED_USES.keys():
        raise No("A mailbox is created with one of " + " ".join(CREATED_USES.values()), "USEATTR")
    return CREATED_USES[uses[0]] if uses else ""


async def delete(session: Session, arguments: Arguments) -> str:
    name = _one_name(session, arguments)
    await session.blocking(lambda: _delete(session, name))
    session.note("mailbox deleted", mailbox=name)
    return ""


def _delete(session: Session, name: str) -> None:
    """The mailbox of which the rights were looked at, and no other that has its name by then. Raises No and StoreRefusal."""
    try:
        reached = session.reach.find(name, "x")
    except NoSuchMailbox:
        if session.reach.own.is_level(name):
            raise No("It is no mailbox, but the level of those below it; delete these", "HASCHILDREN") from None
        raise
    reached.store.apply([Named(reached.info.id, reached.name_there), DeleteMailbox(reached.name_there)])


async def rename(session: Session, arguments: Arguments) -> str:
    arguments.space()
    old = session.read_name(arguments)
    arguments.space()
    written = arguments.astring()
    arguments.end()
    new = session.name_of(written)
    await session.blocking(lambda: _rename(session, old, new))
    session.note("mailbox renamed", mailbox=old, to=new)
    _tell_normalised(session, new, written)
    return ""


def _rename(session: Session, old: str, new: str) -> None:
    """A mailbox stays with its owner. Raises No and StoreRefusal."""
    try:
        reached = session.reach.find(old, "x")
    except NoSuchMailbox:
        if is_of_others(new):
            raise
        session.own.apply([RenameMailbox(old, new)])  # it may be a level of ours, with mailboxes below it
        return
    owner, _, name_there = session.reach.place_for(new)
    if owner != reached.owner:
        raise No("A mailbox stays with its owner; make a new one and copy the messages", "CANNOT")
    looked_at = [Named(reached.info.id, reached.name_there)]
    if not reached.is_own:
        if reached.name_there == INBOX:
            raise No("Only its owner renames an INBOX", "CANNOT")
        looked_at += [Named(info.id, info.name) for info in session.reach.below(reached, "x")]
    reached.store.apply([*looked_at, RenameMailbox(reached.name_there, name_there)])


def _tell_normalised(session: Session, name: str, written: bytes) -> None:
    """How the mailbox is called now that the client wrote otherwise (RFC 9051 section 6.3.4)."""
    if session.is_rev2 and name.encode("utf-8") != written:
        session.tell_name(name, "", written)


async def subscribe(session: Session, arguments: Arguments) -> str:
    return await _subscribe(session, _one_name(session, arguments), subscribed=True)


async def unsubscribe(session: Session, arguments: Arguments) -> str:
    return await _subscribe(session, _one_name(session, arguments), subscribed=False)


async def _subscribe(session: Session, name: str, *, subscribed: bool) -> str:
    """Subscriptions are the subscriber's, to names: whether there is such a mailbox is not looked at."""
    await session.blocking(lambda: session.own.apply([Subscribe(name, subscribed)]))
    return ""


def _one_name(session: Session, arguments: Arguments) -> str:
    arguments.space()
    name = session.read_name(arguments)
    arguments.end()
    return name


async def status(session: Session, arguments: Arguments) -> str:
    arguments.space()
    name = session.read_name(arguments)
    arguments.space()
    items = read_status_items(arguments)
    arguments.end()
    if "HIGHESTMODSEQ" in items:
        session.enable_condstore()
    session.untagged(await session.blocking(lambda: status_line(session, session.reach.find(name, "r"), items)))
    return ""


def read_status_items(arguments: Arguments) -> Sequence[str]:
    """(MESSAGES UNSEEN ...); of RFC 8438 SIZE, 9051 DELETED, 7162 HIGHESTMODSEQ, 8474 MAILBOXID, 9208 DELETED-STORAGE."""
    items = arguments.parenthesised(arguments.atom)
    if set(items) - set(STATUS_ITEMS):
        raise BadSyntax("Unknown STATUS item")
    return list(dict.fromkeys(items))


def status_line(session: Session, reached: Reached, items: Sequence[str]) -> bytes:
    """What stands after "* ". Blocks for DELETED-STORAGE."""
    shown = " ".join([f"{item} {_status_value(session, reached, item)}" for item in items]).encode("ascii")
    return b"STATUS %b (%b)" % (session.name_octets(reached.info.name), shown)


def _deleted_octets(store: AccountStore, info: MailboxInfo) -> int:
    view = store.view(info.id)
    messages = [message for message, flags in zip(view.messages, view.flags, strict=True) if flags & DELETED]
    return sum(int(size) for (size,) in store.meta(messages, ("size_octets",)))


def _status_value(session: Session, reached: Reached, item: str) -> int | str:
    info = reached.info
    if item == "DELETED-STORAGE":
        return _deleted_octets(reached.store, info) if info.deleted else 0
    if item == "MAILBOXID":
        return f"({object_id('F', info.id, reached.whose)})"
    if item == "RECENT":
        # At most: the store does not tell how many of the UIDs that nobody was told of are still there.
        first = session.desk.recent.look(reached.owner, info.id)
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
