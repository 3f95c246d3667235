"""SELECT, EXAMINE, CLOSE, UNSELECT, CHECK, EXPUNGE, UID EXPUNGE (RFC 3501 sections 6.3.1, 6.3.2 and 6.4, RFC 3691, 4315)."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from mailward.access.imap.reach import Reached
from mailward.access.imap.rights import WRITING
from mailward.access.imap.selected import Selected
from mailward.access.imap.session import Session
from mailward.access.imap.telling import flag_list
from mailward.model.ids import Uid
from mailward.protocol.imap.arguments import Arguments, BadSyntax
from mailward.protocol.imap.condstore import Resync, read_select_parameters
from mailward.protocol.imap.objectid import object_id
from mailward.store.base import MailboxView
from mailward.store.flags import DELETED, SEEN, first_without
from mailward.store.ops import Expunge


async def select(session: Session, arguments: Arguments) -> str:
    return await _select(session, arguments, examining=False)


async def examine(session: Session, arguments: Arguments) -> str:
    return await _select(session, arguments, examining=True)


async def _select(session: Session, arguments: Arguments, *, examining: bool) -> str:
    arguments.space()
    written = arguments.astring()
    name = session.name_of(written)
    parameters = read_select_parameters(arguments)
    arguments.end()
    if parameters.resync is not None and "QRESYNC" not in session.enabled:
        raise BadSyntax("QRESYNC has to be enabled first")
    if session.selected is not None:  # also when it then fails (RFC 3501 section 6.3.1)
        session.leave()
        session.untagged("OK [CLOSED] What follows is of the next mailbox")
    if parameters.condstore:
        session.enable_condstore()
    found = session.reach.at_hand(name)
    here, view = await session.blocking(lambda: _found(session, name)) if found is None else found
    read_only = examining or here.rights.isdisjoint(WRITING)
    selected = Selected(view, read_only=read_only, whose=here.whose)
    session.enter(here, selected)
    session.untagged(b"FLAGS (%b)" % flag_list(selected))
    session.tell_exists(selected)
    if session.is_rev2:
        session.tell_name(view.mailbox.name, view.mailbox.special_use, written)
    else:
        _tell_unseen(session, selected)
    session.tell_permanent_flags(selected)
    session.write(
        f"* OK [UIDVALIDITY {view.mailbox.uidvalidity}] UIDs are valid\r\n"
        f"* OK [UIDNEXT {view.mailbox.uidnext}] The next UID\r\n"
        f"* OK [MAILBOXID ({object_id('F', selected.info.id, here.whose)})] Its name may change, this does not\r\n"
        f"* OK [HIGHESTMODSEQ {selected.modseq}] Changes are numbered\r\n".encode("ascii")
    )
    if parameters.resync is not None and parameters.resync.uidvalidity == view.mailbox.uidvalidity:
        await _tell_since(session, selected, parameters.resync)
    return f"[{'READ-ONLY' if read_only else 'READ-WRITE'}] {'EXAMINE' if examining else 'SELECT'} completed"


def _found(session: Session, name: str) -> tuple[Reached, MailboxView]:
    """The mailbox, and all that is in it. Blocks. Raises NoSuchMailbox and NoPermission."""
    here = session.reach.find(name, "r")
    view = here.store.view(here.info.id)
    return here, view if here.is_own else replace(view, mailbox=here.seen(view.mailbox))


def _tell_unseen(session: Session, selected: Selected) -> None:
    unseen = first_without(selected.flags, SEEN) if selected.info.unseen else None
    if unseen is not None:
        session.untagged(f"OK [UNSEEN {unseen + 1}] First unseen message")


async def _tell_since(session: Session, selected: Selected, resync: Resync) -> None:
    """What the client has missed, of the messages it knows (RFC 7162 section 3.2.5)."""
    await session.tell_vanished(resync.modseq, resync.known)
    await session.send_pieces(_changed_lines(session, selected, resync))


def _changed_lines(session: Session, selected: Selected, resync: Resync) -> Iterator[bytes]:
    uids = selected.uids if resync.known is None else resync.known.among(selected.uids, 0)
    for uid in uids:
        place = selected.index_of(uid)
        if place is not None and selected.modseqs[place] > resync.modseq:
            yield session.flags_line(selected, place)


async def unselect(session: Session, arguments: Arguments) -> str:
    arguments.end()
    session.leave()
    return ""


async def close(session: Session, arguments: Arguments) -> str:
    arguments.end()
    if not session.mailbox.read_only and "e" in session.here.rights:  # else closed as it is (RFC 4314 section 4)
        await _remove(session, _deleted(session.mailbox))  # no untagged EXPUNGE tells of it (RFC 3501 section 6.4.2)
    session.leave()
    return ""


async def expunge(session: Session, arguments: Arguments) -> str:
    arguments.end()
    _ = session.writable
    session.here.need("e")
    await session.tell_changes(expunge=True)
    return await _expunge(session, _deleted(session.mailbox))


async def uid_expunge(session: Session, arguments: Arguments) -> str:
    arguments.space()
    numbers = arguments.sequence_set()
    arguments.end()
    selected = session.writable
    session.here.need("e")
    wanted = set(selected.uids_at(await session.places(numbers, uid=True)))
    return await _expunge(session, [uid for uid in _deleted(selected) if uid in wanted])


def _deleted(selected: Selected) -> list[Uid]:
    return [Uid(uid) for uid, value in zip(selected.uids, selected.flags, strict=True) if value & DELETED]


async def _expunge(session: Session, uids: Sequence[Uid]) -> str:
    """Expunge and tell; the text behind OK."""
    if not uids:
        return ""
    await _remove(session, uids)
    return f"{await session.told_expunged()}Expunged"


async def _remove(session: Session, uids: Sequence[Uid]) -> None:
    if uids:
        op = Expunge(session.mailbox.info.id, tuple(uids))
        (expunged,) = await session.blocking(lambda: session.store.apply([op]))
        session.note_expunged(len(expunged.uids))


async def check(session: Session, arguments: Arguments) -> str:
    """Everything is durable already."""
    arguments.end()
    return ""
