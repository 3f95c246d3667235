"""COPY, MOVE and their UID forms (RFC 3501 section 6.4.7, RFC 6851, COPYUID of RFC 4315, SAVELIMIT of RFC 9738).

COPY is done as a whole or not at all. MOVE need not be (RFC 6851 section 3.3): many messages go in steps, each of which is told.
"""

from collections.abc import Sequence

from mailward.access.imap.capabilities import SAVE_LIMIT
from mailward.access.imap.carrying import carry
from mailward.access.imap.learning import teach_moves
from mailward.access.imap.scripting import tell
from mailward.access.imap.session import Session
from mailward.access.imap.working import No
from mailward.model.ids import Uid
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
    selected = session.writable if move else session.mailbox
    uids = selected.uids_at(await session.places(numbers, uid=uid))
    if not move:
        if len(uids) > SAVE_LIMIT:  # with the lowest UID that could have been copied (RFC 9738 section 3.1)
            raise No(f"At most {SAVE_LIMIT} messages are copied at once", f"MESSAGELIMIT {SAVE_LIMIT} {uids[-SAVE_LIMIT]}")
        return f"{await _put(session, uids, name, move=False)}COPY completed"
    how_far = ""
    for start in range(0, max(len(uids), 1), SAVE_LIMIT):
        if code := await _put(session, uids[start : start + SAVE_LIMIT], name, move=True):
            session.untagged(f"OK {code}Moved")  # before the EXPUNGEs (RFC 6851 section 4.3)
            how_far = await session.told_expunged()
    return f"{how_far}MOVE completed"


async def _put(session: Session, uids: Sequence[Uid], name: str, *, move: bool) -> str:
    """By the rights of now. The response code that says what they are called there, and a blank; "" where none of them are
    there (any more), which is OK (RFC 3501 section 6.4.8). Raises No and NoPermission."""
    selected, source = session.mailbox, session.here
    if move:
        source.need("te")
    target = await session.blocking(lambda: session.target(name))
    if not uids:
        return ""
    if source.owner == target.owner and target.rights.issuperset("swt"):
        op = Copy(selected.info.id, uids, target.info.id, move)
        (result,) = await session.blocking(lambda: target.apply([op]))
    else:
        result = await session.blocking(lambda: carry(source, uids, target, move=move), alone=True)
    if not result.uids:
        return ""
    sources = result.sources
    if move:
        session.note_expunged(len(sources), to=target.info.name)
    messages = await session.worked_out(lambda: selected.messages_of(sources), len(sources))
    teach_moves(session, selected.info, target.info, messages)
    tell(session, "COPY", target, result.uids)
    sets = await session.worked_out(lambda: f"{set_text(result.sources)} {set_text(result.uids)}", len(sources))
    return f"[COPYUID {result.uidvalidity} {sets}] "
