"""COPY, MOVE and their UID forms (RFC 3501 section 6.4.7, RFC 6851, COPYUID of RFC 4315)."""

from mailward.access.imap.carrying import carry
from mailward.access.imap.learning import teach_moves
from mailward.access.imap.scripting import tell
from mailward.access.imap.session import Session
from mailward.protocol.imap.arguments import Arguments, set_text
from mailward.store.ops import Copy


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
    selected, source = session.writable if move else session.mailbox, session.here
    if move:
        source.need("te")
    target = await session.blocking(lambda: session.target(name))
    uids = selected.uids_at(await session.places(numbers, uid=uid))
    done = f"{'MOVE' if move else 'COPY'} completed"
    if not uids:
        return done  # of nothing is OK (RFC 3501 section 6.4.8)
    if source.owner == target.owner and target.rights.issuperset("swt"):
        op = Copy(selected.info.id, uids, target.info.id, move)
        (result,) = await session.blocking(lambda: target.apply([op]))
    else:
        result = await session.blocking(lambda: carry(source, uids, target, move=move), alone=True)
    if not result.uids:
        return done  # all of them were expunged by others
    sources = result.sources
    messages = await session.worked_out(lambda: selected.messages_of(sources), len(sources))
    teach_moves(session, selected.info, target.info, messages)
    tell(session, "COPY", target, result.uids)
    sets = await session.worked_out(lambda: f"{set_text(result.sources)} {set_text(result.uids)}", len(sources))
    code = f"[COPYUID {result.uidvalidity} {sets}]"
    if move:
        session.untagged(f"OK {code} Moved")  # before the EXPUNGEs (RFC 6851 section 4.3)
        return f"{await session.told_expunged()}{done}"
    return f"{code} {done}"
