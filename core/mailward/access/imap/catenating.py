"""CATENATE (RFC 4469): messages put together of what a client sends and of (parts of) those that are stored."""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from urllib.parse import quote_from_bytes

from mailward.access.imap.bodies import Reading
from mailward.access.imap.items import HEADER_KINDS
from mailward.access.imap.session import Session
from mailward.access.imap.working import No
from mailward.formats.sections import Span
from mailward.model.ids import AccountId
from mailward.protocol.imap.arguments import Arguments, BadSyntax
from mailward.protocol.imap.fetch import Section
from mailward.protocol.imap.urls import BadUrl, MessageUrl, read_url
from mailward.store.base import AccountStore
from mailward.store.refusals import StoreRefusal

MAX_URLS = 100
"""Of one command (T-DOS-08)."""
MAX_WORK = 8
"""So many times the octets of the largest message may have to be looked through for one command."""
_SHOWN = "".join(map(chr, range(0x21, 0x7F))).translate(dict.fromkeys(map(ord, '"\\]')))
"""What stands in the response code as it is; what would end it does not."""

Piece = bytes | MessageUrl
Read = Callable[[int, int], bytes]
"""Octets by where they begin and how many."""


@dataclass(frozen=True, slots=True)
class _Source:
    """A stored message that URLs name."""

    owner: AccountId
    message: int
    store: AccountStore = field(compare=False)
    size_octets: int
    header_octets: int

    def work(self, sections: Sequence[Section]) -> int:
        """Octets to look through at most to find these: all, once, where there are parts; a header for each choice of fields."""
        parts = any(section.path or section.kind in HEADER_KINDS for section in sections)
        return self.size_octets * (parts + sum(bool(section.names) for section in sections))


def read_pieces(arguments: Arguments, *, utf8: bool) -> tuple[Piece, ...]:
    """What stands behind CATENATE. utf8: with what RFC 6855 section 4 adds. Raises BadSyntax, and No for another URL."""

    def piece() -> Piece:
        if arguments.take(b"TEXT "):
            return arguments.message()
        if utf8 and arguments.take(b"UTF8 (~"):
            text = arguments.message()
            arguments.expect(b")")
            return text
        if not arguments.take(b"URL "):
            raise BadSyntax("TEXT or URL was expected")
        octets = arguments.astring()
        try:
            return read_url(octets)
        except BadUrl as error:
            raise _bad(octets, str(error)) from None

    return tuple(arguments.parenthesised(piece))


async def put_together(session: Session, messages: Sequence[Sequence[Piece]]) -> list[bytes]:
    """The octets of each. Raises No where a URL leads nowhere, and where they are too large, together, for an APPEND."""
    read = iter(await _read(session, [piece for pieces in messages for piece in pieces]))
    return [b"".join([piece if isinstance(piece, bytes) else next(read) for piece in pieces]) for pieces in messages]


async def _read(session: Session, pieces: Sequence[Piece]) -> list[bytes]:
    """What the URLs among them name. One message after another, so that others have their turn. Raises No."""
    urls = [piece for piece in pieces if isinstance(piece, MessageUrl)]
    room = session.desk.append_octets - sum(len(piece) for piece in pieces if isinstance(piece, bytes))
    if len(urls) > MAX_URLS:
        raise No(f"One command names {MAX_URLS} URLs at most", "LIMIT")
    named: dict[_Source, list[int]] = {}
    for place, url in enumerate(urls):
        named.setdefault(await session.blocking(partial(_source, session, url)), []).append(place)
    work = sum(source.work([urls[place].section for place in places]) for source, places in named.items())
    if work > MAX_WORK * session.desk.append_octets:
        raise No("Too much would have to be looked through, please name parts of fewer or smaller messages", "LIMIT")
    found = [b""] * len(urls)
    for source, places in named.items():
        wanted = [urls[place] for place in places]
        spans, read = await session.blocking(partial(_spans, source, wanted))
        octets = sum(end - start for some in spans for start, end in some)
        room -= octets
        if room < 0:
            raise No("The message would be too large", "TOOBIG")
        if not session.claim(octets):
            raise No("Too much is being sent at once, please try again later", "LIMIT")
        for place, piece in zip(places, await session.blocking(partial(_octets, spans, read)), strict=True):
            found[place] = piece
    return found


def _source(session: Session, url: MessageUrl) -> _Source:
    """Blocks. Raises No."""
    if url.mailbox is None and session.selected is None:
        raise _bad(url.written, "No mailbox is selected that it could be of")
    try:
        reached = session.here if url.mailbox is None else session.reach.find(url.mailbox, "r")
        view = reached.store.view(reached.info.id)
    except StoreRefusal as error:
        raise _bad(url.written, str(error)) from None
    place = bisect_left(view.uids, url.uid)
    if url.uidvalidity not in (None, reached.info.uidvalidity):
        raise _bad(url.written, "The mailbox has another UIDVALIDITY")
    if place == len(view.uids) or view.uids[place] != url.uid:
        raise _bad(url.written, "There is no message of that UID")
    message = view.messages[place]
    ((size, header),) = reached.store.meta([message], ("size_octets", "header_octets"))
    return _Source(reached.owner, message, reached.store, int(size), int(header))


def _spans(source: _Source, urls: Sequence[MessageUrl]) -> tuple[list[Sequence[Span]], Sequence[Read]]:
    """Where what each of them names lies in their message, and what reads it. Blocks. Raises No and StorageError.

    \\Seen stays as it is, as with BODY.PEEK.
    """
    reading = Reading(source.store, source.message, source.size_octets, source.header_octets)
    spans, reads = [], []
    for url in urls:
        some, read = reading.section(url.section)
        if not some:
            raise _bad(url.written, "The message has no such part")
        spans.append(some)
        reads.append(read)
    return spans, reads


def _octets(spans: Sequence[Sequence[Span]], reads: Sequence[Read]) -> list[bytes]:
    """Of each. Blocks. Raises StorageError."""
    return [b"".join([read(start, end - start) for start, end in some]) for some, read in zip(spans, reads, strict=True)]


def _bad(url: bytes, why: str) -> No:
    """With the URL in the code (RFC 4469 section 5)."""
    return No(why, f'BADURL "{quote_from_bytes(url, _SHOWN)}"')
