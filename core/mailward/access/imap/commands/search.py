"""SEARCH and UID SEARCH (RFC 3501 section 6.4.4, ESEARCH of RFC 4731, SEARCHRES of RFC 5182, MODSEQ of RFC 7162, PARTIAL of
RFC 9394)."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from mailward.access.imap.contents import Contents
from mailward.access.imap.contexts import Contexts
from mailward.access.imap.searching import Search
from mailward.access.imap.selected import taken
from mailward.access.imap.session import Session
from mailward.access.imap.telling import No
from mailward.model.errors import StorageError
from mailward.protocol.imap.arguments import Arguments, set_text
from mailward.protocol.imap.search import (
    Key,
    Returns,
    SearchRefused,
    UnknownCharset,
    asks_modseq,
    read_returns,
    read_search,
)

_PIECE = 5000
"""Numbers."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a search found. places: sequence numbers - 1, in the order of telling. key: what was asked for."""

    places: Sequence[int]
    key: Key

    @property
    def tells_modseq(self) -> bool:
        """Whether their highest MODSEQ is told."""
        return asks_modseq(self.key)


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
        contexts_of(session).begin(found.key, found.places, uid=uid)
    return ""


def contexts_of(session: Session) -> Contexts:
    """What the client is kept up to date of."""
    if not isinstance(session.contexts, Contexts):
        session.contexts = Contexts(session)
    return session.contexts


async def cancel_update(session: Session, arguments: Arguments) -> str:
    """No more is told of what these commands found (RFC 5267 section 4.3.4)."""
    tags: list[str] = []
    while not tags or not arguments.is_at_end:
        arguments.space()
        tags.append(arguments.string().decode("ascii", "replace"))
    if not isinstance(session.contexts, Contexts):
        raise No("Nothing is told of any search")
    session.contexts.cancel(tags)
    return ""


async def find(session: Session, arguments: Arguments, read: Callable[[Arguments], Key], returns: Returns, *, uid: bool) -> Found:
    """What the rest of a command asks for, by number. Raises BadSyntax, and No where that is too much."""
    try:
        return await _find(session, arguments, read, uid=uid)
    except (No, StorageError):
        if "SAVE" in returns.options:
            _save(session, ())  # RFC 5182 section 2.1: after NO there is nothing in "$"
        raise


async def _find(session: Session, arguments: Arguments, read: Callable[[Arguments], Key], *, uid: bool) -> Found:
    try:
        key = read(arguments)
    except UnknownCharset:
        raise No("That charset is not known here", "BADCHARSET (US-ASCII UTF-8)") from None
    except SearchRefused as error:
        raise No(str(error), "LIMIT") from None
    if uid:
        await session.tell_changes(expunge=False)
    if asks_modseq(key):
        session.enable_condstore()
    search = Search(contents_of(session), session.here.owner, session.desk.now(), session.progress)
    places = await session.blocking(lambda: search.run(key))
    if search.unreadable:  # a warning (RFC 9051 section 7.1.2): behind a tagged NO clients forget what was found
        session.untagged(f"NO [SERVERBUG] {len(search.unreadable)} of the messages could not be read")
    return Found(places, key)


def contents_of(session: Session) -> Contents:
    """What the messages of the selected mailbox are found and sorted by."""
    return Contents(session.desk.shelf, session.store, session.mailbox)


async def answer(session: Session, name: str, found: Found, returns: Returns, *, uid: bool) -> None:
    """Tell, and save, what was found. Without result options the answer is `name` and the numbers. Of many in a thread."""
    options = returns.options
    if "SAVE" in options:
        await session.worked_out(lambda: _save(session, _picked(found.places, returns)), len(found.places))
    if not options:
        await session.tell_lines(_plain(session, name, found, uid=uid), len(found.places))
    elif options != {"SAVE"}:
        await session.tell_lines(_extended(session, found, returns, uid=uid), len(found.places))


def _plain(session: Session, name: str, found: Found, *, uid: bool) -> Iterator[bytes]:
    """`* SEARCH 2 3 6`, in pieces: no long call holds up other threads (T-DOS-08)."""
    yield f"* {name}".encode("ascii")
    numbers = _numbers(session, found.places, uid=uid)
    for start in range(0, len(numbers), _PIECE):
        yield "".join([f" {number}" for number in numbers[start : start + _PIECE]]).encode("ascii")
    modseq = _modseq(session, found, found.places)
    yield b"\r\n" if modseq is None else b" (MODSEQ %d)\r\n" % modseq


def _extended(session: Session, found: Found, returns: Returns, *, uid: bool) -> Iterator[bytes]:
    """`* ESEARCH (TAG "a") UID COUNT 17 ALL 4:18,21,28` (RFC 4731 section 3.1)."""
    options = returns.options
    told = ["* ESEARCH", f'(TAG "{session.tag.decode("ascii")}")', *(["UID"] if uid else [])]
    if found.places:  # of nothing there is no MIN, MAX or ALL
        first, last = _numbers(session, (found.places[0], found.places[-1]), uid=uid)
        told += [f"MIN {first}"] if "MIN" in options else []
        told += [f"MAX {last}"] if "MAX" in options else []
        told += [f"ALL {set_text(_numbers(session, found.places, uid=uid))}"] if "ALL" in options else []
    told += [f"COUNT {len(found.places)}"] if "COUNT" in options else []
    if returns.page is not None:
        page = set_text(_numbers(session, returns.page.of(found.places), uid=uid))
        told.append(f"PARTIAL ({returns.page.written} {page or 'NIL'})")
    modseq = _modseq(session, found, _picked(found.places, returns))
    told += [] if modseq is None else [f"MODSEQ {modseq}"]
    yield " ".join(told).encode("ascii") + b"\r\n"


def _modseq(session: Session, found: Found, places: Sequence[int]) -> int | None:
    """The highest of these, where it is told."""
    modseqs = session.mailbox.modseqs
    return max(modseqs[place] for place in places) if places and found.tells_modseq else None


def _numbers(session: Session, places: Sequence[int], *, uid: bool) -> Sequence[int]:
    return taken(session.mailbox.uids, places) if uid else [place + 1 for place in places]


def _save(session: Session, places: Sequence[int]) -> None:
    """What "$" stands for from now on."""
    selected = session.mailbox
    selected.saved = selected.saved[:0]
    selected.saved.extend(selected.uids[place] for place in sorted(places))


def _picked(places: Sequence[int], returns: Returns) -> Sequence[int]:
    """What is saved, and whose MODSEQ is told: MIN, MAX and PARTIAL without ALL and COUNT are about what they tell alone
    (RFC 5182 section 2.4, RFC 7162 section 3.1.10, RFC 9394 section 3.2)."""
    options = returns.options
    if not places or options & {"ALL", "COUNT"} or not options & {"MIN", "MAX", "PARTIAL"}:
        return places
    page = () if returns.page is None else returns.page.of(places)
    return sorted({*(places[:1] if "MIN" in options else ()), *(places[-1:] if "MAX" in options else ()), *page})
