"""CAPABILITY, ID, STARTTLS, LOGIN, AUTHENTICATE, COMPRESS, ENABLE, NAMESPACE, NOOP, LOGOUT (RFC 3501 sections 6.1 and 6.2)."""

from mailward.access.imap.reach import OTHERS
from mailward.access.imap.session import Session, State
from mailward.access.imap.working import No
from mailward.auth.exchange import Accepted, Challenge, Refused, Step, password_login
from mailward.protocol.imap.arguments import Arguments, BadSyntax
from mailward.protocol.sasl import NoResponseError, encode, initial_response, response

MAX_ID_PAIRS = 30
ENABLEABLE = {name.upper(): name for name in ("CONDSTORE", "QRESYNC", "UTF8=ACCEPT", "IMAP4rev2")}


async def capability(session: Session, arguments: Arguments) -> str:
    arguments.end()
    session.untagged(f"CAPABILITY {session.capabilities()}")
    return ""


async def noop(session: Session, arguments: Arguments) -> str:
    arguments.end()
    return ""


async def logout(session: Session, arguments: Arguments) -> str:
    arguments.end()
    session.ended_by = "logged out"
    session.untagged("BYE Until next time")
    session.state = State.LOGOUT
    return ""


async def identify(session: Session, arguments: Arguments) -> str:
    """ID (RFC 2971). What the client says of itself is read and not used; we say our name."""
    arguments.space()
    if not arguments.take(b"NIL"):
        values = arguments.parenthesised(arguments.nstring, allow_empty=True)
        if len(values) % 2 or len(values) > 2 * MAX_ID_PAIRS:
            raise BadSyntax("ID takes pairs of field and value")
    arguments.end()
    session.untagged('ID ("name" "Mailward")')
    return ""


async def start_tls(session: Session, arguments: Arguments) -> str:
    arguments.end()
    if not session.connection.can_start_tls:
        raise BadSyntax("TLS is not available or active already")
    if session.framer.buffered_octets:
        # A client waits for our answer; whatever came with the command was put there by somebody else (T-TLS-02).
        session.state = State.LOGOUT
        raise BadSyntax("Nothing may follow STARTTLS")
    session.tls_is_next = True
    return "Begin TLS negotiation now"


async def login(session: Session, arguments: Arguments) -> str:
    arguments.space()
    name = arguments.astring()
    arguments.space()
    password = arguments.astring()
    arguments.end()
    _need_tls(session)
    return await _end(session, await password_login(session.desk.authenticator, session.peer, name, password))


async def authenticate(session: Session, arguments: Arguments) -> str:
    """A SASL exchange, with an initial response (RFC 4959) or without."""
    arguments.space()
    mechanism = arguments.atom()
    initial = arguments.atom_as_written() if arguments.take(b" ") else None
    arguments.end()
    _need_tls(session)
    if mechanism not in session.desk.authenticator.mechanisms:
        raise No("That mechanism is not available", "CANNOT")
    try:
        return await _end(session, await _exchange(session, mechanism, initial))
    except NoResponseError as error:
        raise BadSyntax("Authentication cancelled" if error.was_cancelled else "The response is not base64") from None


async def _exchange(session: Session, mechanism: str, initial: bytes | None) -> Step:
    """From the initial response to the last step. Raises NoResponseError."""
    exchange = session.desk.authenticator.begin(session.peer, mechanism)
    step = await exchange.step(None if initial is None else initial_response(initial))
    while isinstance(step, Challenge):
        line = await session.continuation(encode(step.octets).decode("ascii"))
        if line is None:
            raise NoResponseError(was_cancelled=True)
        step = await exchange.step(response(line))
    return step


def _need_tls(session: Session) -> None:
    """Without looking at the password (T-TLS-11)."""
    if not session.connection.is_secure:
        raise No("Start TLS first", "PRIVACYREQUIRED")


async def _end(session: Session, step: Step) -> str:
    if isinstance(step, Accepted):
        await session.log_in(step.identity)
        return f"[CAPABILITY {session.capabilities()}] Logged in"
    if step == Refused("unavailable"):
        raise No("Logins cannot be checked at the moment, please try again later", "UNAVAILABLE")
    if step == Refused("malformed"):
        raise BadSyntax("The response is not of the mechanism")
    session.count_bad()
    raise No("Authentication failed", "AUTHENTICATIONFAILED")


async def enable(session: Session, arguments: Arguments) -> str:
    """RFC 5161. What we do not know is passed over; the answer lists what is new."""
    asked: list[str] = []
    while not asked or not arguments.is_at_end:
        arguments.space()
        asked.append(arguments.atom())
    known = dict.fromkeys(ENABLEABLE[word] for word in asked if word in ENABLEABLE)
    fresh = [name for name in known if name not in session.enabled and session.offers(name)]
    session.untagged(" ".join(["ENABLED", *fresh]))
    if "QRESYNC" in fresh or "CONDSTORE" in fresh:
        session.enable_condstore()
    session.enabled.update(fresh)
    return ""


async def compress(session: Session, arguments: Arguments) -> str:
    """RFC 4978."""
    arguments.space()
    mechanism = arguments.atom()
    arguments.end()
    if mechanism != "DEFLATE":
        raise BadSyntax("DEFLATE is the only mechanism")
    if not session.offers("COMPRESS=DEFLATE"):
        raise No("Connections are not compressed here", "CANNOT")
    if session.is_compressed:
        raise No("The connection is compressed already", "COMPRESSIONACTIVE")
    if session.framer.buffered_octets:
        raise BadSyntax("Nothing may follow COMPRESS before it is answered")
    session.is_compressed = session.compression_is_next = True
    return "DEFLATE active"


async def namespace(session: Session, arguments: Arguments) -> str:
    arguments.end()
    others = f'(("{OTHERS}/" "/"))' if session.reach.names_anyone_else() else "NIL"
    session.untagged(f'NAMESPACE (("" "/")) {others} NIL')
    return ""


async def idle(session: Session, arguments: Arguments) -> str:
    """RFC 2177."""
    arguments.end()
    session.write(b"+ idling\r\n")
    await session.flush()
    line = await session.idle()
    if line is None:
        raise ConnectionResetError("gone while idling")
    if line.upper() != b"DONE":
        raise BadSyntax("DONE was expected")
    return ""
