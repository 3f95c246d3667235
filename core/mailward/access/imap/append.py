"""APPEND (RFC 3501 section 6.3.11, APPENDUID of RFC 4315)."""

from mailward.access.imap.session import No, Session
from mailward.protocol.imap.arguments import Arguments
from mailward.store.base import Append, NoSuchMailbox


async def append(session: Session, arguments: Arguments) -> str:
    arguments.space()
    name = session.read_name(arguments)
    arguments.space()
    flags: tuple[str, ...] = ()
    if arguments.looks_like(b"("):
        flags = arguments.flags()
        arguments.space()
    at = session.desk.now()
    if arguments.looks_like(b'"'):
        at = arguments.date_time()
        arguments.space()
    octets = _message(session, arguments)
    arguments.end()
    if b"\x00" in octets:
        raise No("NUL cannot be stored without BINARY", "CANNOT")
    try:
        info = await session.blocking(lambda: session.store.mailbox(name))
    except NoSuchMailbox as error:
        raise No(str(error), "TRYCREATE") from error
    op = Append(info.id, _with_crlf(octets), at, flags)
    (result,) = await session.blocking(lambda: session.store.apply([op]))
    return f"[APPENDUID {result.uidvalidity} {result.uids[0]}] APPEND completed"


def _message(session: Session, arguments: Arguments) -> bytes:
    """A literal, or within UTF8 (...), which RFC 6855 wanted of a message with UTF-8 in its header and RFC 9755 does not."""
    if not session.speaks_utf8 or not arguments.take(b"UTF8 (~"):
        return arguments.message()
    octets = arguments.message()
    arguments.expect(b")")
    return octets


def _with_crlf(octets: bytes) -> bytes:
    """Stored messages have CRLF line ends whatever the client wrote."""
    if octets.count(b"\n") == octets.count(b"\r\n") == octets.count(b"\r"):
        return octets
    return octets.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")
