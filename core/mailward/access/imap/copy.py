"""COPY, MOVE and their UID forms (RFC 3501 section 6.4.7, RFC 6851, COPYUID of RFC 4315)."""

import asyncio
from collections.abc import Sequence

import structlog

from mailward.access.imap.session import Desk, No, Session
from mailward.api.hooks import MessageMoved
from mailward.model.errors import StorageError
from mailward.model.ids import AccountId
from mailward.protocol.imap.arguments import Arguments
from mailward.protocol.imap.names import decode_name
from mailward.store.base import AccountStore, Copy, MailboxInfo, NoSuchMailbox

MAX_LEARNT_OCTETS = 2 * 1024 * 1024
"""Larger messages are not handed to the plugins that learn from moves."""
MAX_LEARNT_MESSAGES = 1000
"""Nor more of one command."""
_JUNK = "\\Junk"

log = structlog.get_logger("mailward.imap")


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
    name = decode_name(arguments.astring())
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
    _teach(session, selected.info, target, [selected.messages[place] for place in places if place is not None])
    code = f"[COPYUID {result.uidvalidity} {set_text(result.sources)} {set_text(result.uids)}]"
    if move:
        session.untagged(f"OK {code} Moved")  # before the EXPUNGEs (RFC 6851 section 4.3)
        return done
    return f"{code} {done}"


def _teach(session: Session, source: MailboxInfo, target: MailboxInfo, messages: Sequence[int]) -> None:
    """Moves into and out of Junk teach filters: behind the reply, and only those messages are read again."""
    if session.account is None or (source.special_use == _JUNK) == (target.special_use == _JUNK):
        return
    telling = _tell(session.desk, session.store, session.account, source, target, messages[:MAX_LEARNT_MESSAGES])
    task = asyncio.get_running_loop().create_task(telling)
    session.desk.background.add(task)
    task.add_done_callback(session.desk.background.discard)


async def _tell(
    desk: Desk, store: AccountStore, account: AccountId, source: MailboxInfo, target: MailboxInfo, messages: Sequence[int]
) -> None:
    for message in messages:
        try:
            octets = await asyncio.to_thread(_small, store, message)
        except StorageError as error:
            log.error("unreadable message", message=message, error=str(error))
            continue
        if octets is not None:
            desk.moved(
                MessageMoved(
                    account=account,
                    source=source.name,
                    target=target.name,
                    octets=octets,
                    source_is_junk=source.special_use == _JUNK,
                    target_is_junk=target.special_use == _JUNK,
                    target_is_trash=target.special_use == "\\Trash",
                )
            )


def _small(store: AccountStore, message: int) -> bytes | None:
    """The message; None when it is too large to learn from."""
    ((size_octets,),) = store.meta([message], ("size_octets",))
    return store.read(message) if int(size_octets) <= MAX_LEARNT_OCTETS else None


def set_text(numbers: Sequence[int]) -> str:
    """Numbers in the given order as a set, runs joined: the first UID of one set belongs to the first of the other."""
    parts: list[list[int]] = []
    for number in numbers:
        if parts and number == parts[-1][1] + 1:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    return ",".join(str(a) if a == b else f"{a}:{b}" for a, b in parts)
