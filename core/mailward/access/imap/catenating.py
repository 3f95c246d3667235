"""CATENATE (RFC 4469): messages put together of what a client sends and of (parts of) those that are stored."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from urllib.parse import quote_from_bytes

from mailward.access.imap.bodies import Reading
from mailward.access.imap.session import Session
from mailward.access.imap.telling import No
from mailward.protocol.imap.arguments import Arguments, BadSyntax
from mailward.protocol.imap.urls import BadUrl, MessageUrl, read_url
from mailward.store.base import AccountStore
from mailward.store.refusals import StoreRefusal

MAX_URLS = 100
"""Of one command: for each a message may have to be read (T-DOS-08)."""
_SHOWN = "".join(map(chr, range(0x21, 0x7F))).translate(dict.fromkeys(map(ord, '"\\]')))
"""What stands in the response code as it is; what would end it does not."""

Piece = bytes | MessageUrl


@dataclass(frozen=True, slots=True)
class _Source:
    """A stored message that a URL names, before it is read."""

    url: MessageUrl
    store: AccountStore
    message: int
    size_octets: int
    header_octets: int


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
    """What the URLs among them name. One after another, so that others have their turn. Raises No."""
    urls = [piece for piece in pieces if isinstance(piece, MessageUrl)]
    room = session.desk.append_octets - sum(len(piece) for piece in pieces if isinstance(piece, bytes))
    if len(urls) > MAX_URLS:
        raise No(f"One command names {MAX_URLS} URLs at most", "LIMIT")
    sources = [await session.blocking(partial(_source, session, url)) for url in urls]
    if sources and not session.claim(min(room, sum(source.size_octets for source in sources))):
        raise No("Too much is being sent at once, please try again later", "LIMIT")
    found: list[bytes] = []
    for source in sources:
        found.append(await session.blocking(partial(_octets, source, room)))
        room -= len(found[-1])
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
    return _Source(url, reached.store, message, int(size), int(header))


def _octets(source: _Source, room: int) -> bytes:
    """\\Seen stays as it is, as with BODY.PEEK. Blocks. Raises No and StorageError."""
    reading = Reading(source.store, source.message, source.size_octets, source.header_octets)
    spans, read = reading.section(source.url.section)
    if not spans:
        raise _bad(source.url.written, "The message has no such part")
    if sum(end - start for start, end in spans) > room:
        raise No("The message would be too large", "TOOBIG")
    return b"".join([read(start, end - start) for start, end in spans])


def _bad(url: bytes, why: str) -> No:
    """With the URL in the code (RFC 4469 section 5)."""
    return No(why, f'BADURL "{quote_from_bytes(url, _SHOWN)}"')
