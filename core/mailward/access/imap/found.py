"""What SEARCH, SORT and THREAD ask for, and what was found, as it is told and saved (ESEARCH of RFC 4731, SEARCHRES of RFC 5182,
MODSEQ of RFC 7162, PARTIAL of RFC 9394)."""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from mailward.access.imap.contents import Contents
from mailward.access.imap.searching import Search
from mailward.access.imap.selected import Selected, taken
from mailward.access.imap.session import Session
from mailward.access.imap.working import No
from mailward.model.errors import StorageError
from mailward.protocol.imap.arguments import Arguments, set_text
from mailward.protocol.imap.search import Key, Returns, SearchRefused, UnknownCharset, asks_modseq

_NUMBERS_A_PIECE = 5000


@dataclass(frozen=True, slots=True)
class Found:
    """What a search found. places: sequence numbers - 1, in the order of telling. key: what was asked for."""

    places: Sequence[int]
    key: Key

    @property
    def tells_modseq(self) -> bool:
        """Whether their highest MODSEQ is told."""
        return asks_modseq(self.key)

    def picked(self, returns: Returns) -> Sequence[int]:
        """Places that are saved, and whose MODSEQ is told: MIN, MAX and PARTIAL without ALL and COUNT are about what they tell
        alone (RFC 5182 section 2.4, RFC 7162 section 3.1.10, RFC 9394 section 3.2)."""
        options, places = returns.options, self.places
        if not places or options & {"ALL", "COUNT"} or not options & {"MIN", "MAX", "PARTIAL"}:
            return places
        page = () if returns.page is None else returns.page.of(places)
        return sorted({*(places[:1] if "MIN" in options else ()), *(places[-1:] if "MAX" in options else ()), *page})


async def find(session: Session, arguments: Arguments, read: Callable[[Arguments], Key], returns: Returns, *, uid: bool) -> Found:
    """What the rest of a command asks for, by number. Raises BadSyntax, and No where that is too much."""
    with saving(session, returns):
        key = read_or_refuse(arguments, read)
        if uid:
            await session.tell_changes(expunge=False)
        if asks_modseq(key):
            session.enable_condstore()
        search = Search(contents_of(session), session.here.owner, session.desk.now(), session.progress)
        places = await session.blocking(lambda: search.run(key))
    warn_of_unreadable(session, search.unreadable)
    return Found(places, key)


@contextmanager
def saving(session: Session, returns: Returns) -> Iterator[None]:
    """After NO there is nothing in "$", where it was to be saved to (RFC 5182 section 2.1)."""
    try:
        yield
    except (No, StorageError):
        if "SAVE" in returns.options:
            session.mailbox.save(())
        raise


def read_or_refuse(arguments: Arguments, read: Callable[[Arguments], Key]) -> Key:
    """Raises BadSyntax, and No for what is not known, or too much."""
    try:
        return read(arguments)
    except UnknownCharset:
        raise No("That charset is not known here", "BADCHARSET (US-ASCII UTF-8)") from None
    except SearchRefused as error:
        raise No(str(error), "LIMIT") from None


def warn_of_unreadable(session: Session, unreadable: Collection[int]) -> None:
    """Not by a tagged NO, behind which clients forget what was found (RFC 9051 section 7.1.2)."""
    if unreadable:
        session.untagged(f"NO [SERVERBUG] {len(unreadable)} of the messages could not be read")


def contents_of(session: Session) -> Contents:
    """What the messages of the selected mailbox are found and sorted by."""
    return Contents(session.desk.shelf, session.store, session.mailbox)


async def answer(session: Session, name: str, found: Found, returns: Returns, *, uid: bool) -> None:
    """Tell, and save, what was found. Without result options the answer is `name` and the numbers. Of many in a thread."""
    options = returns.options
    if "SAVE" in options:
        await session.worked_out(lambda: session.mailbox.save(found.picked(returns)), len(found.places))
    if not options:
        await session.tell_lines(_plain(session, name, found, uid=uid), len(found.places))
    elif options != {"SAVE"}:
        await session.tell_lines(extended(session, session.mailbox, found, returns, uid=uid), len(found.places))


def _plain(session: Session, name: str, found: Found, *, uid: bool) -> Iterator[bytes]:
    """`* SEARCH 2 3 6`, in pieces: no long call holds up other threads (T-DOS-08)."""
    yield f"* {name}".encode("ascii")
    numbers = _numbers(session.mailbox, found.places, uid=uid)
    for start in range(0, len(numbers), _NUMBERS_A_PIECE):
        yield "".join([f" {number}" for number in numbers[start : start + _NUMBERS_A_PIECE]]).encode("ascii")
    modseq = _modseq(session.mailbox, found, found.places)
    yield b"\r\n" if modseq is None else b" (MODSEQ %d)\r\n" % modseq


def extended(
    session: Session, selected: Selected, found: Found, returns: Returns, *, uid: bool, source: bytes = b""
) -> Iterator[bytes]:
    """`* ESEARCH (TAG "a") UID COUNT 17 ALL 4:18,21,28` (RFC 4731 section 3.1). source: what says behind the tag in which
    mailbox that is (RFC 7377 section 2.1)."""
    options = returns.options
    yield b'* ESEARCH (TAG "%b"%b)' % (session.tag, source)
    told = ["UID"] if uid else []
    if found.places:  # of nothing there is no MIN, MAX or ALL
        first, last = _numbers(selected, (found.places[0], found.places[-1]), uid=uid)
        told += [f"MIN {first}"] if "MIN" in options else []
        told += [f"MAX {last}"] if "MAX" in options else []
        told += [f"ALL {set_text(_numbers(selected, found.places, uid=uid))}"] if "ALL" in options else []
    told += [f"COUNT {len(found.places)}"] if "COUNT" in options else []
    if returns.page is not None:
        page = set_text(_numbers(selected, returns.page.of(found.places), uid=uid))
        told.append(f"PARTIAL ({returns.page} {page or 'NIL'})")
    modseq = _modseq(selected, found, found.picked(returns))
    told += [] if modseq is None else [f"MODSEQ {modseq}"]
    yield "".join([f" {word}" for word in told]).encode("ascii") + b"\r\n"


def _modseq(selected: Selected, found: Found, places: Sequence[int]) -> int | None:
    """The highest of these, where it is told."""
    return max(selected.modseqs[place] for place in places) if places and found.tells_modseq else None


def _numbers(selected: Selected, places: Sequence[int], *, uid: bool) -> Sequence[int]:
    return taken(selected.uids, places) if uid else [place + 1 for place in places]
