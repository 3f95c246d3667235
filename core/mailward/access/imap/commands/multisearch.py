"""ESEARCH: a search in several mailboxes, each told by its UIDs when something is found there (MULTISEARCH of RFC 7377)."""

from collections.abc import Iterator, Sequence

from mailward.access.imap.contents import Contents
from mailward.access.imap.filters import fits, may_be_of_others
from mailward.access.imap.found import Found, extended, read_or_refuse, saving, warn_of_unreadable
from mailward.access.imap.reach import Reached
from mailward.access.imap.searching import Search, looks
from mailward.access.imap.selected import Selected
from mailward.access.imap.session import Session
from mailward.protocol.imap.arguments import Arguments, BadSyntax
from mailward.protocol.imap.filters import MailboxFilter, read_sources
from mailward.protocol.imap.search import Key, Returns, asks_modseq, read_returns, read_search
from mailward.store.refusals import NoSuchMailbox


async def esearch(session: Session, arguments: Arguments) -> str:
    arguments.space()
    filters = read_sources(arguments, session.name_of)
    returns = read_returns(arguments)
    if not returns.options:
        returns = Returns(frozenset({"ALL"}))
    if "SAVE" in returns.options and any(one.kind != "selected" for one in filters):
        raise BadSyntax("SAVE is for the selected mailbox alone")  # RFC 7377 section 2.3
    if any(one.kind == "selected" for one in filters):
        _ = session.mailbox
    with saving(session, returns):
        key = read_or_refuse(arguments, read_search)
        await session.tell_changes(expunge=False)
        if asks_modseq(key):
            session.enable_condstore()
        mailboxes = await session.blocking(lambda: _mailboxes(session, filters))
        session.progress.goal = looks(key) * sum(one.info.exists for one in mailboxes)
        unreadable = set[int]()
        await session.send_pieces(_lines(session, mailboxes, key, returns, unreadable))
    warn_of_unreadable(session, unreadable)
    if "UPDATE" in returns.options:
        session.untagged(f'NO [NOUPDATE "{session.tag.decode("ascii")}"] What is found by ESEARCH is told once')
    return ""


def _mailboxes(session: Session, filters: Sequence[MailboxFilter]) -> list[Reached]:
    """Those that one of the filters means and that may be read, each once. Blocks."""
    found = [
        one
        for one in session.reach.all(others=may_be_of_others(filters, session.reach))
        if "r" in one.rights and any(fits(filter, one) for filter in filters)
    ]
    is_wanted = any(filter.kind == "selected" for filter in filters)
    return found if not is_wanted or any(map(session.has_selected, found)) else [*found, session.here]


def _lines(session: Session, mailboxes: Sequence[Reached], key: Key, returns: Returns, unreadable: set[int]) -> Iterator[bytes]:
    """What is found, mailbox by mailbox; none is told of where nothing is. Blocks. Raises StorageError."""
    for one in mailboxes:
        selected = _view(session, one)
        if selected is None:
            continue
        search = Search(Contents(session.desk.shelf, one.store, selected), one.owner, session.desk.now(), session.progress)
        found = Found(search.among(key, range(len(selected))), key)
        unreadable |= search.unreadable
        if "SAVE" in returns.options:
            selected.save(found.picked(returns))
        if found.places and returns.options != {"SAVE"}:
            source = b" MAILBOX %b UIDVALIDITY %d" % (session.name_octets(one.info.name), selected.info.uidvalidity)
            yield from extended(session, selected, found, returns, uid=True, source=source)


def _view(session: Session, one: Reached) -> Selected | None:
    """What is in it, of the selected mailbox as the client knows it; None where it is gone meanwhile."""
    if session.has_selected(one):
        return session.mailbox
    try:
        return Selected(one.store.view(one.info.id), read_only=True, whose=one.whose)
    except NoSuchMailbox:
        return None
