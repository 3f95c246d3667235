"""SEARCH and UID SEARCH (RFC 3501 section 6.4.4), and CANCELUPDATE (RFC 5267)."""

from mailward.access.imap.found import answer, find
from mailward.access.imap.session import Session
from mailward.protocol.imap.arguments import Arguments
from mailward.protocol.imap.search import Returns, read_returns, read_search


async def search(session: Session, arguments: Arguments) -> str:
    return await _search(session, arguments, uid=False)


async def uid_search(session: Session, arguments: Arguments) -> str:
    return await _search(session, arguments, uid=True)


async def _search(session: Session, arguments: Arguments, *, uid: bool) -> str:
    arguments.space()
    returns = read_returns(arguments)
    if session.is_rev2 and not returns.options:
        returns = Returns(frozenset({"ALL"}))  # RFC 9051 section 6.4.4
    found = await find(session, arguments, read_search, returns, uid=uid)
    await answer(session, "SEARCH", found, returns, uid=uid)
    if "UPDATE" in returns.options:
        session.contexts.begin(found.key, found.places, uid=uid)
    return ""


async def cancel_update(session: Session, arguments: Arguments) -> str:
    """No more is told of what these commands found (RFC 5267 section 4.3.5)."""
    tags: list[str] = []
    while not tags or not arguments.is_at_end:
        arguments.space()
        tags.append(arguments.string().decode("ascii", "replace"))
    session.contexts.cancel(tags)
    return ""
