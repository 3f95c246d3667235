"""The POP3 server as a machine without I/O: octets in, events and replies out (RFC 1939, 2449, 2595, 3206, 5034, 6856).

Pull from outside: `receive_data` keeps octets, `next_event` works them off, a command at a time. Later commands wait in the
buffer while somebody else answers; that is all PIPELINING needs.
"""

from collections.abc import Callable

from mailward.model.errors import LocalError
from mailward.protocol.events import CommandCompleted, SaslAsked, SaslResponse, TlsAsked
from mailward.protocol.framing import LineFault, LineReader
from mailward.protocol.pop3.arguments import BadCommandError, nothing
from mailward.protocol.pop3.events import Event, Fault, PassAsked, UpdateAsked
from mailward.protocol.pop3.replies import Replies
from mailward.protocol.pop3.states import MOVES, TAKEN_IN, Limits, State
from mailward.protocol.pop3.transaction import ASKED
from mailward.protocol.sasl import NoResponseError, initial_response, response

_CAPABILITIES = ("TOP", "UIDL", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING", "EXPIRE NEVER", "LANG", "UTF8 USER")
_NO_BASE64 = "The response is not base64"
_LANGUAGE = "en"
"""Of all that is said here."""


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
        self._replies = Replies()
        self._waiting: Event | None = None
        self._name: bytes | None = None
        self._bad = 0
        self.state = State.AUTHORIZATION
        self.speaks_utf8 = False
        """The client takes headers in UTF-8 (RFC 6856 section 2.1)."""
        self.fault: Fault | None = None
        """Why the machine has ended the session, for the log; None when the client did."""
        self._replies.ok(f"{hostname} POP3 ready")  # without a timestamp in <>, which would offer APOP

    # --- octets in and out ---

    @property
    def is_closed(self) -> bool:
        """Send what `data_to_send` returns, then close."""
        return self.state is State.CLOSED

    @property
    def is_within_command(self) -> bool:
        """A line has begun to come."""
        return bool(self._lines)

    @property
    def to_send_octets(self) -> int:
        return len(self._replies)

    def data_to_send(self) -> bytes:
        """What has been answered and not yet fetched, in order."""
        return self._replies.taken()

    def receive_data(self, octets: bytes) -> None:
        """Keep what the client sent; the caller bounds how much."""
        if not self.is_closed:
            self._lines.feed(octets)

    def next_event(self) -> Event | CommandCompleted | None:
        """The next thing to answer, None when more octets are needed, an answer is due or all is over."""
        line = None if self._waiting is not None or self.is_closed else self._lines.next()
        if line is None:
            return None
        if line.fault is not None:
            self._on_fault(line.fault)
        else:
            self._waiting = self._on_line(line.octets)
        return self._waiting or CommandCompleted()

    # --- answers to an event ---

    def accept(self, text: str = "") -> None:
        """+OK to what was asked."""
        event = self._answered()
        self._replies.ok(text)
        if isinstance(event, UpdateAsked):
            self._move(State.CLOSED)
        elif isinstance(event, PassAsked | SaslAsked | SaslResponse):
            self._move(State.TRANSACTION)

    def refuse(self, text: str, code: str = "") -> None:
        """-ERR to what was asked. code: as of `Replies.err`."""
        event = self._answered()
        if isinstance(event, PassAsked | SaslAsked | SaslResponse):
            self._move(State.AUTHORIZATION)
            self._err_bad(text, code)
        else:
            self._replies.err(text, code)
            if isinstance(event, UpdateAsked):
                self._move(State.CLOSED)

    def challenge(self, octets: bytes) -> None:
        """Ask the client for its next response in an exchange."""
        self._answered()
        if self.state is State.AUTHORIZATION:
            self._move(State.SASL)
        self._replies.challenge(octets)

    def tls_started(self) -> None:
        """The handshake is done. All that was learnt before is forgotten (RFC 2595 section 4)."""
        if not isinstance(self._answered(), TlsAsked):
            raise LocalError("no STLS is under way")
        self._is_secure, self._offer_stls, self._name = True, False, None

    def begin_lines(self, text: str = "") -> None:
        """A multi-line response of lines that are ours: `more`, then `end`."""
        self._replies.ok(text)

    def begin_message(self, text: str, body_lines: int | None = None) -> None:
        """A multi-line response that is a stored message. body_lines: for TOP."""
        self._replies.begin_message(text, body_lines)

    def more(self, octets: bytes) -> bool:
        """Octets of a multi-line response, cut anywhere. False when nothing further is wanted."""
        return self._replies.more(octets)

    def end(self) -> None:
        """The end of a multi-line response."""
        self._answered()
        self._replies.end()

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
                raise BadCommandError("The command is too long")
            if b"\0" in line or b"\r" in line:
                raise BadCommandError("A command cannot hold NUL or CR")
            if verb not in TAKEN_IN:
                raise BadCommandError("There is no such command")
            if self.state not in TAKEN_IN[verb]:
                raise BadCommandError("Log in first" if self.state is State.AUTHORIZATION else "Not after login")
            return ASKED[verb](argument) if verb in ASKED else _COMMANDS[verb](self, argument)
        except BadCommandError as bad:
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
            raise BadCommandError("Authentication cancelled" if error.was_cancelled else _NO_BASE64) from None

    # --- commands ---

    def _capa(self, argument: bytes) -> None:
        nothing(argument)
        found = list(_CAPABILITIES)
        if self._is_secure:
            found += ["USER", f"SASL {' '.join(self._mechanisms)}"]
        if self.state is State.TRANSACTION:
            found.append("IMPLEMENTATION Mailward")
        elif self._offer_stls:
            found.append("STLS")
        self._replies.lines("Capabilities follow", found)

    def _stls(self, argument: bytes) -> TlsAsked | None:
        nothing(argument)
        if not self._offer_stls:
            raise BadCommandError("TLS is not available or active already")
        if self.speaks_utf8:  # RFC 6856 section 2.1
            raise BadCommandError("STLS goes before UTF8")
        if self._lines:
            # A client waits for our answer; whatever came with the command was put there by somebody else (T-TLS-03).
            self._end(Fault.TLS_INJECTION, "Nothing may follow STLS")
            return None
        self._replies.ok("Begin TLS now")
        return TlsAsked()

    def _utf8(self, argument: bytes) -> None:
        nothing(argument)
        self.speaks_utf8 = True
        self._replies.ok("UTF-8 it is")

    def _lang(self, argument: bytes) -> None:
        """RFC 6856 section 3. "*" is the language that the admin prefers, and there is one."""
        wanted = argument.strip(b" ").lower()
        if not wanted:
            self._replies.lines("Languages follow", (f"{_LANGUAGE} English",))
        elif wanted in (b"*", _LANGUAGE.encode()):
            self._replies.ok(f"{_LANGUAGE} English it is")
        else:
            self._replies.err("That language is not spoken here")

    def _user(self, argument: bytes) -> None:
        self._need_tls()
        if not argument:
            raise BadCommandError("USER takes a name")
        self._name = argument
        self._replies.ok("Now the password")  # for every name (T-POP-04)

    def _pass(self, argument: bytes) -> PassAsked:
        """All behind the first space is the password, spaces included (RFC 1939 section 7)."""
        self._need_tls()
        name, self._name = self._name, None
        if name is None:
            raise BadCommandError("First USER, then PASS")
        return PassAsked(name, argument)

    def _auth(self, argument: bytes) -> SaslAsked | None:
        """Without a mechanism it lists them, as clients older than CAPA expect."""
        words = argument.split()
        if not words:
            self._replies.lines("Mechanisms follow", self._mechanisms if self._is_secure else ())
            return None
        self._need_tls()
        self._name = None
        mechanism = words[0].upper().decode("ascii", "replace")
        if mechanism not in self._mechanisms:
            raise BadCommandError("That mechanism is not available")
        if len(words) > 2:
            raise BadCommandError("AUTH takes a mechanism and at most one response")
        try:
            return SaslAsked(mechanism, None if len(words) == 1 else initial_response(words[1]))
        except NoResponseError:
            raise BadCommandError(_NO_BASE64) from None

    def _noop(self, argument: bytes) -> None:
        nothing(argument)
        self._replies.ok()

    def _quit(self, argument: bytes) -> UpdateAsked | None:
        nothing(argument)
        if self.state is State.TRANSACTION:
            self._move(State.UPDATE)
            return UpdateAsked()
        self._replies.ok("Until next time")
        self._move(State.CLOSED)
        return None

    # --- small steps ---

    def _need_tls(self) -> None:
        """Without looking at what was sent (T-TLS-11)."""
        if not self._is_secure:
            raise BadCommandError("Start TLS first")

    def _move(self, to: State) -> None:
        if to not in MOVES[self.state]:
            raise LocalError(f"POP3 state {self.state.name} cannot become {to.name}")
        self.state = to

    def _err_bad(self, text: str, code: str = "") -> None:
        """-ERR that counts: whoever goes on after so many does not read."""
        self._bad += 1
        if self._bad < self._limits.bad_commands:
            self._replies.err(text, code)
        else:
            self._end(Fault.TOO_MANY_ERRORS, "Too many bad commands")

    def _end(self, fault: Fault, text: str) -> None:
        self._replies.err(text)
        self._move(State.CLOSED)
        self.fault = fault


_COMMANDS: dict[bytes, Callable[[Pop3Server, bytes], Event | None]] = {
    b"CAPA": Pop3Server._capa,
    b"STLS": Pop3Server._stls,
    b"UTF8": Pop3Server._utf8,
    b"LANG": Pop3Server._lang,
    b"USER": Pop3Server._user,
    b"PASS": Pop3Server._pass,
    b"AUTH": Pop3Server._auth,
    b"NOOP": Pop3Server._noop,
    b"QUIT": Pop3Server._quit,
}
