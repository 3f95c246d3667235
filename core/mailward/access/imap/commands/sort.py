"""SORT and UID SORT (RFC 5256, SORT=DISPLAY of RFC 5957, ESORT and CONTEXT=SORT of RFC 5267)."""

from dataclasses import replace

from mailward.access.imap.found import answer, contents_of, find
from mailward.access.imap.session import Session
from mailward.access.imap.sorting import in_order
from mailward.protocol.imap.arguments import Arguments
from mailward.protocol.imap.search import read_keys, read_returns
from mailward.protocol.imap.sorting import read_criteria


async def sort(session: Session, arguments: Arguments) -> str:
    return await _sort(session, arguments, uid=False)


async def uid_sort(session: Session, arguments: Arguments) -> str:
    return await _sort(session, arguments, uid=True)


async def _sort(session: Session, arguments: Arguments, *, uid: bool) -> str:
    arguments.space()
    returns = read_returns(arguments)
    criteria = read_criteria(arguments)
    found = await find(session, arguments, read_keys, returns, uid=uid)
    contents = contents_of(session)
    order = await session.blocking(lambda: in_order(contents, found.places, criteria))
    await answer(session, "SORT", replace(found, places=order), returns, uid=uid)
    if "UPDATE" in returns.options:
        session.contexts.begin(found.key, order, uid=uid, criteria=criteria)
    return ""
