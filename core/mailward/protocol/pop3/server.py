"""The POP3 server as a machine without I/O: octets in, events and replies out (RFC 1939, 2449, 2595, 3206, 5034).

Pull from outside: `receive_data` keeps octets, `next_event` works them off up to the first thing that somebody else must
answer. Later commands wait in the buffer meanwhile; that is all PIPELINING needs.
"""

import re
from collections.abc import Callable

from mailward.model.errors import LocalError
from mailward.protocol.framing import LineFault, LineReader
from mailward.protocol.pop3.content import END, MessageContent
from mailward.protocol.pop3.events import (
    DeleAsked,
    Event,
    Fault,
    ListAsked,
    PassAsked,
    RetrAsked,
    RsetAsked,
    SaslAsked,
    SaslResponse,
    StatAsked,
    TlsAsked,
    TopAsked,
    UidlAsked,
    UpdateAsked,
)
from mailward.protocol.pop3.states import MOVES, TAKEN_IN, Limits, State
from mailward.protocol.sasl import NoResponseError, encode, initial_response, response

_CAPABILITIES = ("TOP", "UIDL", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING", "EXPIRE NEVER")
_NO_BASE64 = "The response is not base64"
_NUMBER = re.compile(rb"[0-9]{1,10}")


class _Bad(Exception):
    """A command that cannot be taken; the text of its -ERR."""


class Pop3Server:
    """One session. mechanisms: SASL's, the best first. offer_stls: a handshake is possible. is_secure: TLS is on already."""

    def __init__(
        self, hostname: str, mechanisms: tuple[str, ...], limits: Limits | None = None, *, is_secure: bool, offer_stls: bool
    ) -> None:
        self._limits = limits or Limits()
        self._mechanisms = mechanisms
        self._is_secure = is_secure
        self._offer_stls = offer_stls
        self._lines = LineReader(self._limits.auth_octets, self._limits.endless_octets)
        self._out = bytearray()
        self._waiting: Event | None = None
        self._content: MessageContent | None = None
        self._name: bytes | None = None
        self._bad = 0
        self.state = State.AUTHORIZATION
        self.fault: Fault | None = None
        """Why the machine has ended the session, for the log; None when the client did."""
        self._ok(f"{hostname} POP3 ready")  # without a timestamp in <>, which would offer APOP

    # --- octets in and out ---

    @property
    def is_closed(self) -> bool:
        """Send what `data_to_send` returns, then close."""
        return self.state is State.CLOSED

    @property
    def to_send_octets(self) -> int:
        return len(self._out)

    def data_to_send(self) -> bytes:
        """What has been answered and not yet fetched, in order."""
        octets = bytes(self._out)
        self._out.clear()
        return octets

    def receive_data(self, octets: bytes) -> None:
        """Keep what the client sent; the caller bounds how much."""
        if not self.is_closed:
            self._lines.feed(octets)

    def next_event(self) -> Event | None:
        """The next thing to answer, None when more octets are needed, an answer is due or all is over."""
        while self._waiting is None and not self.is_closed:
            line = self._lines.next()
            if line is None:
                return None
            if line.fault is not None:
                self._on_fault(line.fault)
            elif event := self._on_line(line.octets):
                self._waiting = event
                return event
        return None

    # --- answers to an event ---

    def accept(self, text: str = "") -> None:
        """+OK to what was asked."""
        event = self._answered()
        self._ok(text)
        if isinstance(event, UpdateAsked):
            self._move(State.CLOSED)
        elif isinstance(event, PassAsked | SaslAsked | SaslResponse):
            self._move(State.TRANSACTION)

    def refuse(self, text: str, code: str = "") -> None:
        """-ERR to what was asked. code: a response code (RFC 2449 section 8, RFC 3206), without brackets."""
        event = self._answered()
        if isinstance(event, PassAsked | SaslAsked | SaslResponse):
            self._move(State.AUTHORIZATION)
            self._err_bad(text, code)
        else:
            self._err(text, code)
            if isinstance(event, UpdateAsked):
                self._move(State.CLOSED)

    def challenge(self, octets: bytes) -> None:
        """Ask the client for its next response in an exchange."""
        self._answered()
        if self.state is State.AUTHORIZATION:
            self._move(State.SASL)
        self._out += b"+ " + encode(octets) + b"\r\n"

    def tls_started(self) -> None:
        """The handshake is done. All that was learnt before is forgotten (RFC 2595 section 4)."""
        if not isinstance(self._answered(), TlsAsked):
            raise LocalError("no STLS is under way")
        self._is_secure, self._offer_stls, self._name = True, False, None

    def begin_lines(self, text: str = "") -> None:
        """A multi-line response of lines that are ours: `more`, then `end`."""
        self._ok(text)

    def begin_message(self, text: str, body_lines: int | None = None) -> None:
        """A multi-line response that is a stored message. body_lines: for TOP."""
        self._content = MessageContent(body_lines)
        self._ok(text)

    def more(self, octets: bytes) -> bool:
        """Octets of a multi-line response, cut anywhere. False when nothing further is wanted."""
        if self._content is None:
            self._out += octets
            return True
        self._out += self._content.feed(octets)
        return not self._content.is_full

    def end(self) -> None:
        """The end of a multi-line response."""
        self._answered()
        self._out += END if self._content is None else self._content.end()
        self._content = None

    def _answered(self) -> Event:
        event, self._waiting = self._waiting, None
        if event is None:
            raise LocalError("no event waits for an answer")
        return event

    # --- lines ---

    def _on_line(self, line: bytes) -> Event | None:
        try:
            if self.state is State.SASL:
                return self._on_response(line)
            verb, _, argument = line.partition(b" ")
            verb = verb.upper()
            if len(line) + 2 > self._limits.command_octets and verb != b"AUTH":
                raise _Bad("The command is too long")
            if b"\0" in line or b"\r" in line:
                raise _Bad("A command cannot hold NUL or CR")
            if verb not in TAKEN_IN:
                raise _Bad("There is no such command")
            if self.state not in TAKEN_IN[verb]:
                raise _Bad("Log in first" if self.state is State.AUTHORIZATION else "Not after login")
            return _COMMANDS[verb](self, argument)
        except _Bad as bad:
            self._err_bad(str(bad))
            return None

    def _on_fault(self, fault: LineFault) -> None:
        match fault:
            case LineFault.TOO_LONG:
                if self.state is State.SASL:
                    self._move(State.AUTHORIZATION)
                self._err_bad("The line is too long")
            case LineFault.BARE_LF:
                self._end(Fault.BARE_LF, "Lines end with CRLF")
            case LineFault.ENDLESS:
                self._end(Fault.ENDLESS_LINE, "The line is too long")

    def _on_response(self, line: bytes) -> SaslResponse:
        try:
            return SaslResponse(response(line))
        except NoResponseError as error:
            self._move(State.AUTHORIZATION)
            raise _Bad("Authentication cancelled" if error.was_cancelled else _NO_BASE64) from None

    # --- commands ---

    def _capa(self, argument: bytes) -> None:
        _no_argument(argument)
        found = list(_CAPABILITIES)
        if self._is_secure:
            found += ["USER", f"SASL {' '.join(self._mechanisms)}"]
        if self.state is State.TRANSACTION:
            found.append("IMPLEMENTATION Mailward")
        elif self._offer_stls:
            found.append("STLS")
        self._ok("Capabilities follow")
        self._out += "".join(f"{line}\r\n" for line in found).encode("ascii") + END

    def _stls(self, argument: bytes) -> TlsAsked | None:
        _no_argument(argument)
        if not self._offer_stls:
            raise _Bad("TLS is not available or active already")
        if self._lines:
            # A client waits for our answer; whatever came with the command was put there by somebody else (T-TLS-03).
            self._end(Fault.TLS_INJECTION, "Nothing may follow STLS")
            return None
        self._ok("Begin TLS now")
        return TlsAsked()

    def _user(self, argument: bytes) -> None:
        self._need_tls()
        if not argument:
            raise _Bad("USER takes a name")
        self._name = argument
        self._ok("Now the password")  # for every name (T-POP-04)

    def _pass(self, argument: bytes) -> PassAsked:
        """All behind the first space is the password, spaces included (RFC 1939 section 7)."""
        self._need_tls()
        name, self._name = self._name, None
        if name is None:
            raise _Bad("First USER, then PASS")
        return PassAsked(name, argument)

    def _auth(self, argument: bytes) -> SaslAsked | None:
        """Without a mechanism it lists them, as clients older than CAPA expect."""
        words = argument.split()
        if not words:
            self._ok("Mechanisms follow")
            self._out += "".join(f"{name}\r\n" for name in self._mechanisms if self._is_secure).encode("ascii") + END
            return None
        self._need_tls()
        self._name = None
        mechanism = words[0].upper().decode("ascii", "replace")
        if mechanism not in self._mechanisms:
            raise _Bad("That mechanism is not available")
        if len(words) > 2:
            raise _Bad("AUTH takes a mechanism and at most one response")
        try:
            return SaslAsked(mechanism, None if len(words) == 1 else initial_response(words[1]))
        except NoResponseError:
            raise _Bad(_NO_BASE64) from None

    def _stat(self, argument: bytes) -> StatAsked:
        _no_argument(argument)
        return StatAsked()

    def _list(self, argument: bytes) -> ListAsked:
        return ListAsked(_message(argument) if argument.strip(b" ") else None)

    def _uidl(self, argument: bytes) -> UidlAsked:
        return UidlAsked(_message(argument) if argument.strip(b" ") else None)

    def _retr(self, argument: bytes) -> RetrAsked:
        return RetrAsked(_message(argument))

    def _top(self, argument: bytes) -> TopAsked:
        number, _, lines = argument.strip(b" ").partition(b" ")
        return TopAsked(_message(number), _number(lines))

    def _dele(self, argument: bytes) -> DeleAsked:
        return DeleAsked(_message(argument))

    def _rset(self, argument: bytes) -> RsetAsked:
        _no_argument(argument)
        return RsetAsked()

    def _noop(self, argument: bytes) -> None:
        _no_argument(argument)
        self._ok()

    def _quit(self, argument: bytes) -> UpdateAsked | None:
        _no_argument(argument)
        if self.state is State.TRANSACTION:
            self._move(State.UPDATE)
            return UpdateAsked()
        self._ok("Until next time")
        self._move(State.CLOSED)
        return None

    # --- small steps ---

    def _need_tls(self) -> None:
        """Without looking at what was sent (T-TLS-11)."""
        if not self._is_secure:
            raise _Bad("Start TLS first")

    def _move(self, to: State) -> None:
        if to not in MOVES[self.state]:
            raise LocalError(f"POP3 state {self.state.name} cannot become {to.name}")
        self.state = to

    def _ok(self, text: str = "") -> None:
        self._out += (f"+OK {text}" if text else "+OK").encode("ascii") + b"\r\n"

    def _err(self, text: str, code: str = "") -> None:
        self._out += (f"-ERR [{code}] {text}" if code else f"-ERR {text}").encode("ascii") + b"\r\n"

    def _err_bad(self, text: str, code: str = "") -> None:
        """-ERR that counts: whoever goes on after so many does not read."""
        self._bad += 1
        if self._bad < self._limits.bad_commands:
            self._err(text, code)
        else:
            self._end(Fault.TOO_MANY_ERRORS, "Too many bad commands")

    def _end(self, fault: Fault, text: str) -> None:
        self._err(text)
        self._move(State.CLOSED)
        self.fault = fault


def _no_argument(argument: bytes) -> None:
    if argument.strip(b" "):
        raise _Bad("The command takes no argument")


def _number(argument: bytes) -> int:
    argument = argument.strip(b" ")
    if not _NUMBER.fullmatch(argument):
        raise _Bad("A number was expected")
    return int(argument)


def _message(argument: bytes) -> int:
    """A message-number (RFC 1939 section 3): 1 or more."""
    number = _number(argument)
    if number == 0:
        raise _Bad("Messages are counted from 1")
    return number


_COMMANDS: dict[bytes, Callable[[Pop3Server, bytes], Event | None]] = {
    b"CAPA": Pop3Server._capa,
    b"STLS": Pop3Server._stls,
    b"USER": Pop3Server._user,
    b"PASS": Pop3Server._pass,
    b"AUTH": Pop3Server._auth,
    b"STAT": Pop3Server._stat,
    b"LIST": Pop3Server._list,
    b"UIDL": Pop3Server._uidl,
    b"RETR": Pop3Server._retr,
    b"TOP": Pop3Server._top,
    b"DELE": Pop3Server._dele,
    b"RSET": Pop3Server._rset,
    b"NOOP": Pop3Server._noop,
    b"QUIT": Pop3Server._quit,
}
