"""APPEND (RFC 3501 section 6.3.11, APPENDUID of RFC 4315, MULTIAPPEND of RFC 3502, literal8 of RFC 3516), REPLACE (RFC 8508).

Both may be given a message in pieces (CATENATE of RFC 4469).
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from mailward.access.imap.catenating import Piece, put_together, read_pieces
from mailward.access.imap.reach import Reached
from mailward.access.imap.rights import settable
from mailward.access.imap.scripting import tell
from mailward.access.imap.session import Session
from mailward.access.imap.working import No
from mailward.formats.binary import in_lines
from mailward.formats.message import MessageView
from mailward.protocol.imap.arguments import Arguments, BadSyntax, set_text
from mailward.store.base import Delta
from mailward.store.ops import Append, Expunge, Op, OpResult


@dataclass(frozen=True, slots=True)
class _Given:
    """What a client says of a message. pieces: one where it sends all of it."""

    pieces: tuple[Piece, ...]
    is_binary: bool
    flags: tuple[str, ...]
    at: datetime


@dataclass(frozen=True, slots=True)
class _Incoming:
    """A message as the client gives it."""

    octets: bytes
    is_binary: bool
    flags: tuple[str, ...]
    at: datetime


async def append(session: Session, arguments: Arguments) -> str:
    """All of the messages, or none."""
    arguments.space()
    name = session.read_name(arguments)
    arguments.space()
    given = [_read(session, arguments)]
    while arguments.take(b" "):
        given.append(_read(session, arguments))
    arguments.end()
    incoming = await _incoming(session, given)
    target, results, news = await session.blocking(lambda: _stored(session, name, incoming))
    await session.tell_outcome(expunge=True, news=news)
    uids = [uid for result in results for uid in result.uids]
    tell(session, "APPEND", target, uids)
    return f"[APPENDUID {results[0].uidvalidity} {set_text(uids)}] APPEND completed"


async def replace(session: Session, arguments: Arguments) -> str:
    return await _replace(session, arguments, uid=False)


async def uid_replace(session: Session, arguments: Arguments) -> str:
    return await _replace(session, arguments, uid=True)


async def _replace(session: Session, arguments: Arguments, *, uid: bool) -> str:
    """One message for another, in one transaction: a draft is never there twice, nor not at all."""
    arguments.space()
    numbers = arguments.sequence_set()
    if not numbers.is_single:
        raise BadSyntax("One message is replaced at a time")
    arguments.space()
    name = session.read_name(arguments)
    arguments.space()
    given = _read(session, arguments)
    arguments.end()
    selected = session.writable
    session.here.need("te")
    old = selected.uids_at(await session.places(numbers, uid=uid))
    if not old:
        raise No("There is no message of that UID")
    (message,) = await _incoming(session, [given])
    expunge = Expunge(selected.info.id, old)
    target, (added, expunged) = await session.blocking(lambda: _exchanged(session, name, message, expunge))
    session.note_expunged(len(expunged.uids), to=target.info.name)
    # Before the EXPUNGE (RFC 8508 section 3.3).
    session.untagged(f"OK [APPENDUID {added.uidvalidity} {added.uids[0]}] {'Replaced' if expunged.uids else 'Added'}")
    tell(session, "APPEND", target, added.uids)
    return ""


def _read(session: Session, arguments: Arguments) -> _Given:
    """Flags, a date and the message, the first two where they are given."""
    flags: tuple[str, ...] = ()
    if arguments.looks_like(b"("):
        flags = arguments.flags()
        arguments.space()
    at = session.desk.now()
    if arguments.looks_like(b'"'):
        at = arguments.date_time()
        arguments.space()
    if arguments.take(b"CATENATE "):
        return _Given(read_pieces(arguments, utf8=session.speaks_utf8), False, flags, at)
    # RFC 6855 wanted a message with UTF-8 in its header within UTF8 (...), which RFC 9755 does not.
    is_wrapped = session.speaks_utf8 and arguments.take(b"UTF8 (")
    is_binary = arguments.take(b"~")
    octets = arguments.message()
    if is_wrapped:
        arguments.expect(b")")
    return _Given((octets,), is_binary, flags, at)


async def _incoming(session: Session, given: Sequence[_Given]) -> list[_Incoming]:
    """The same, put together. Raises No."""
    whole = await put_together(session, [message.pieces for message in given])
    return [_Incoming(octets, message.is_binary, message.flags, message.at) for octets, message in zip(whole, given, strict=True)]


def _stored(session: Session, name: str, incoming: Sequence[_Incoming]) -> tuple[Reached, tuple[OpResult, ...], Delta | None]:
    """All that one APPEND does in the store, and what the session is to be told then. Blocks. Raises No and NoPermission."""
    target = session.target(name)
    return target, _store(target, incoming), session.news()


def _store(target: Reached, incoming: Sequence[_Incoming], *ops: Op) -> tuple[OpResult, ...]:
    """The messages into the mailbox, then the other ops. Blocks. Raises No."""
    return target.apply([*[_op(target, message) for message in incoming], *ops])


def _exchanged(session: Session, name: str, message: _Incoming, expunge: Expunge) -> tuple[Reached, tuple[OpResult, ...]]:
    """In two transactions where the two are not one account's, the new message first. Blocks. Raises No and NoPermission."""
    source, target = session.here, session.target(name)
    if source.owner == target.owner:
        return target, _store(target, [message], expunge)
    return target, (*_store(target, [message]), *source.store.apply([expunge]))


def _op(target: Reached, message: _Incoming) -> Append:
    """What is stored: lines without NUL, whatever the client gave. Raises No."""
    octets = message.octets
    if not octets:
        raise No("There is no message in it", "CANNOT")  # also how a client gives up (RFC 3502 section 6.3.11)
    if message.is_binary:
        with suppress(ValueError):
            octets = b"".join(in_lines(MessageView(octets)))
    if b"\x00" in octets:
        code, how = ("UNKNOWN-CTE", "in parts that say they are binary") if message.is_binary else ("CANNOT", "in a literal8")
        raise No(f"NUL can be stored only {how}", code)
    return Append(target.info.id, _with_crlf(octets), message.at, settable(message.flags, target.rights))


def _with_crlf(octets: bytes) -> bytes:
    """Stored messages have CRLF line ends whatever the client wrote."""
    if octets.count(b"\n") == octets.count(b"\r\n") == octets.count(b"\r"):
        return octets
    return octets.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")
