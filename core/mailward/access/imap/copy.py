"""COPY, MOVE and their UID forms (RFC 3501 section 6.4.7, RFC 6851, COPYUID of RFC 4315)."""

from mailward.access.imap.session import Session
from mailward.access.imap.teaching import teach_moves
from mailward.access.imap.telling import No
from mailward.protocol.imap.arguments import Arguments, set_text
from mailward.store.base import Copy, NoSuchMailbox


async def copy(session: Session, arguments: Arguments) -> str:
    return await _copy(session, arguments, uid=False, move=False)


async def uid_copy(session: Session, arguments: Arguments) -> str:
    return await _copy(session, arguments, uid=True, move=False)


async def move(session: Session, arguments: Arguments) -> str:
    return await _copy(session, arguments, uid=False, move=True)


async def uid_move(session: Session, arguments: Arguments) -> str:
    return await _copy(session, arguments, uid=True, move=True)


async def _copy(session: Session, arguments: Arguments, *, uid: bool, move: bool) -> str:
    arguments.space()
    numbers = arguments.sequence_set()
    arguments.space()
    name = session.read_name(arguments)
    arguments.end()
    selected = session.writable if move else session.mailbox
    try:
        target = await session.blocking(lambda: session.store.mailbox(name))
    except NoSuchMailbox as error:
        raise No(str(error), "TRYCREATE") from error
    uids = selected.uids_at(await session.places(numbers, uid=uid))
    done = f"{'MOVE' if move else 'COPY'} completed"
    if not uids:
        return done  # of nothing is OK (RFC 3501 section 6.4.8)
    op = Copy(selected.info.id, uids, target.id, move)
    (result,) = await session.blocking(lambda: session.store.apply([op]))
    if not result.uids:
        return done  # all of them were expunged by others
    places = [selected.index_of(source) for source in result.sources]
    teach_moves(session, selected.info, target, [selected.messages[place] for place in places if place is not None])
    code = f"[COPYUID {result.uidvalidity} {set_text(result.sources)} {set_text(result.uids)}]"
    if move:
        session.untagged(f"OK {code} Moved")  # before the EXPUNGEs (RFC 6851 section 4.3)
        return f"{await session.told_expunged()}{done}"
    return f"{code} {done}"
