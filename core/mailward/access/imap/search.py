"""SEARCH and UID SEARCH (RFC 3501 section 6.4.4, MODSEQ of RFC 7162)."""

from mailward.access.imap.searching import Search
from mailward.access.imap.session import No, Session
from mailward.protocol.imap.arguments import Arguments
from mailward.protocol.imap.search import SearchRefused, UnknownCharset, asks_modseq, read_search


async def search(session: Session, arguments: Arguments) -> str:
    return await _search(session, arguments, uid=False)


async def uid_search(session: Session, arguments: Arguments) -> str:
    return await _search(session, arguments, uid=True)


async def _search(session: Session, arguments: Arguments, *, uid: bool) -> str:
    arguments.space()
    try:
        key = read_search(arguments)
    except UnknownCharset:
        raise No("That charset is not known here", "BADCHARSET (US-ASCII UTF-8)") from None
    except SearchRefused as error:
        raise No(str(error), "LIMIT") from None
    if uid:
        await session.tell_changes(expunge=False)
    selected = session.mailbox
    if asks_modseq(key):
        session.enable_condstore()
    found = Search(session.store, selected, session.desk.now())
    places = await session.blocking(lambda: found.run(key))
    numbers = [selected.uids[place] for place in places] if uid else [place + 1 for place in places]
    answer = ["SEARCH", *map(str, numbers)]
    if places and asks_modseq(key):
        answer.append(f"(MODSEQ {max(selected.modseqs[place] for place in places)})")
    session.untagged(" ".join(answer))
    return ""
