"""The ManageSieve server as a machine without I/O: octets in, events and responses out (RFC 5804).

Pull from outside, as with POP3: `receive_data` keeps octets, `next_event` works them off, a command at a time, and later commands
wait in the buffer while somebody else answers.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace

from mailward.model.errors import LocalError
from mailward.protocol.events import CommandCompleted, SaslAsked, SaslResponse, TlsAsked
from mailward.protocol.managesieve.arguments import Arguments, BadCommand
from mailward.protocol.managesieve.events import (
    ActivateAsked,
    CheckAsked,
    DeleteAsked,
    Event,
    GetAsked,
    ListAsked,
    PutAsked,
    RenameAsked,
    SpaceAsked,
)
from mailward.protocol.managesieve.names import MOST_OCTETS
from mailward.protocol.managesieve.reading import Fault, Read, Reader, ReadingLimits, Unreadable, Word, string
from mailward.protocol.managesieve.states import MOVES, Limits, Offers, State
from mailward.protocol.managesieve.writing import capabilities, spoken
from mailward.protocol.sasl import NoResponseError, encode, initial_response, response

_SASL_OCTETS = 8192
_NO_BASE64 = "The response is not base64"


class ManageSieveServer:
    """One session. offer_tls: a handshake is possible. is_secure: TLS is on already."""

    def __init__(self, offers: Offers, limits: Limits, *, is_secure: bool, offer_tls: bool) -> None:
        self._offers = offers
        self._limits = limits
        self._is_secure = is_secure
        self._offer_tls = offer_tls
        self._owner = ""
        self._reader = Reader(ReadingLimits(literal_octets=_SASL_OCTETS))
        self._out = bytearray()
        self._waiting: Event | None = None
        self._bad = 0
        self.state = State.BEFORE_LOGIN
        self.fault: Fault | None = None
        """Why the machine has ended the session, for the log; None when the client did."""
        self._capabilities()
        self._say("OK", "ManageSieve ready")

    # --- octets in and out ---

    @property
    def is_closed(self) -> bool:
        """Send what `data_to_send` returns, then close."""
        return self.state is State.CLOSED

    @property
    def is_within_command(self) -> bool:
        """A command has begun to come."""
        return self._reader.is_within_command

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
            self._reader.feed(octets)

    def next_event(self) -> Event | CommandCompleted | None:
        """The next thing to answer, None when more octets are needed, an answer is due or all is over."""
        read = None if self._waiting is not None or self.is_closed else self._reader.next()
        if read is None:
            return None
        if isinstance(read, Fault):
            self._end(read, _GOODBYES[read])
        else:
            self._waiting = self._on_read(read)
        return self._waiting or CommandCompleted()

    # --- answers to an event ---

    def logged_in(self, owner: str) -> None:
        """OK to an exchange. owner: the account's address."""
        self._answered()
        self._move(State.LOGGED_IN)
        self._owner = owner
        room = self._limits.script_octets + MOST_OCTETS
        self._reader.limits = replace(
            self._reader.limits, literal_octets=room, passed_over_octets=self._limits.passed_over_octets
        )
        self._say("OK", "Logged in")

    def accept(self, text: str, code: str = "") -> None:
        """OK to what was asked. code: a response code with its arguments (RFC 5804 section 1.3), without the brackets."""
        self._answered()
        self._say("OK", text, code)

    def refuse(self, text: str, code: str = "") -> None:
        """NO to what was asked."""
        event = self._answered()
        if isinstance(event, SaslAsked | SaslResponse):
            self._move(State.BEFORE_LOGIN)
            self._no_bad(text, code)
        else:
            self._say("NO", text, code)

    def challenge(self, octets: bytes) -> None:
        """Ask the client for its next response in an exchange."""
        self._answered()
        if self.state is State.BEFORE_LOGIN:
            self._move(State.SASL)
        self._out += string(encode(octets)) + b"\r\n"

    def tls_started(self) -> None:
        """The handshake is done. The capabilities are told anew (RFC 5804 section 2.2)."""
        if not isinstance(self._answered(), TlsAsked):
            raise LocalError("no STARTTLS is under way")
        self._is_secure, self._offer_tls = True, False
        self._capabilities()
        self._say("OK", "TLS is active")

    def scripts(self, scripts: Iterable[tuple[str, bool]]) -> None:
        """The answer to LISTSCRIPTS: names, and whether each is active."""
        for name, is_active in scripts:
            self._out += string(name.encode()) + (b" ACTIVE\r\n" if is_active else b"\r\n")
        self.accept("Those are all")

    def script(self, octets: bytes) -> None:
        """The answer to GETSCRIPT."""
        self._out += b"{%d}\r\n%b\r\n" % (len(octets), octets)
        self.accept("That is all of it")

    def goodbye(self, text: str, code: str = "") -> None:
        """End the session from our side."""
        if not self.is_closed:
            self._say("BYE", text, code)
            self._move(State.CLOSED)

    def _answered(self) -> Event:
        event, self._waiting = self._waiting, None
        if event is None:
            raise LocalError("no event waits for an answer")
        return event

    # --- commands ---

    def _on_read(self, read: Read | Unreadable) -> Event | None:
        try:
            if self.state is State.SASL:
                return self._on_response(read)
            if isinstance(read, Unreadable):
                raise BadCommand(read.text, "QUOTA/MAXSIZE" if read.is_too_big else "")
            verb = read.tokens[0] if read.tokens else None
            if not isinstance(verb, Word) or verb.name not in _COMMANDS:
                raise BadCommand("There is no such command")
            command, arguments, states = _COMMANDS[verb.name]
            if self.state not in states:
                raise BadCommand("Log in first" if self.state is State.BEFORE_LOGIN else "Not after login")
            return command(self, Arguments(read.tokens[1:], *arguments))
        except BadCommand as bad:
            self._no_bad(str(bad), bad.code)
            return None

    def _on_response(self, read: Read | Unreadable) -> SaslResponse:
        try:
            if isinstance(read, Unreadable) or len(read.tokens) != 1 or not isinstance(read.tokens[0], bytes):
                raise NoResponseError(was_cancelled=False)
            return SaslResponse(response(read.tokens[0]))
        except NoResponseError as error:
            self._move(State.BEFORE_LOGIN)
            raise BadCommand("Authentication cancelled" if error.was_cancelled else _NO_BASE64) from None

    def _authenticate(self, given: Arguments) -> SaslAsked:
        if not self._is_secure:  # without looking at what was sent (T-TLS-11)
            raise BadCommand("Start TLS first", "ENCRYPT-NEEDED")
        mechanism = given.octets(0).upper().decode("ascii", "replace")
        if mechanism not in self._offers.mechanisms:
            raise BadCommand("That mechanism is not available")
        try:
            return SaslAsked(mechanism, initial_response(given.octets(1)) if len(given) > 1 else None)
        except NoResponseError:
            raise BadCommand(_NO_BASE64) from None

    def _starttls(self, _: Arguments) -> TlsAsked | None:
        if not self._offer_tls:
            raise BadCommand("TLS is not available or active already")
        if self._reader:
            # A client waits for our answer; whatever came with the command was put there by somebody else (T-TLS-04).
            self._end(Fault.TLS_INJECTION, _GOODBYES[Fault.TLS_INJECTION])
            return None
        self._say("OK", "Begin TLS now")
        return TlsAsked()

    def _capability(self, _: Arguments) -> None:
        self._capabilities()
        self._say("OK", "Those are all")

    def _noop(self, given: Arguments) -> None:
        if given:
            self._say("OK", "Done", "TAG", given.octets(0))
        else:
            self._say("OK", "Done")

    def _logout(self, _: Arguments) -> None:
        self._say("OK", "Until next time")
        self._move(State.CLOSED)

    def _havespace(self, given: Arguments) -> SpaceAsked:
        return SpaceAsked(given.name(0), given.number(1))

    def _putscript(self, given: Arguments) -> PutAsked:
        return PutAsked(given.name(0), given.octets(1))

    def _checkscript(self, given: Arguments) -> CheckAsked:
        return CheckAsked(given.octets(0))

    def _listscripts(self, _: Arguments) -> ListAsked:
        return ListAsked()

    def _setactive(self, given: Arguments) -> ActivateAsked:
        return ActivateAsked(given.name(0) if given.octets(0) else "")

    def _getscript(self, given: Arguments) -> GetAsked:
        return GetAsked(given.name(0))

    def _deletescript(self, given: Arguments) -> DeleteAsked:
        return DeleteAsked(given.name(0))

    def _renamescript(self, given: Arguments) -> RenameAsked:
        return RenameAsked(given.name(0), given.name(1))

    # --- small steps ---

    def _capabilities(self) -> None:
        self._out += capabilities(self._offers, self._owner, is_secure=self._is_secure, offer_tls=self._offer_tls)

    def _say(self, word: str, text: str, code: str = "", argument: bytes | None = None) -> None:
        self._out += spoken(word, text, code, argument)

    def _no_bad(self, text: str, code: str = "") -> None:
        """NO that counts: whoever goes on after so many does not read."""
        self._bad += 1
        if self._bad < self._limits.bad_commands:
            self._say("NO", text, code)
        else:
            self._end(Fault.TOO_MANY_ERRORS, _GOODBYES[Fault.TOO_MANY_ERRORS])

    def _end(self, fault: Fault, text: str) -> None:
        self.goodbye(text)
        self.fault = fault

    def _move(self, to: State) -> None:
        if to not in MOVES[self.state]:
            raise LocalError(f"ManageSieve state {self.state.name} cannot become {to.name}")
        self.state = to


_GOODBYES = {
    Fault.TLS_INJECTION: "Nothing may follow STARTTLS",
    Fault.BARE_LF: "Lines end with CRLF",
    Fault.ENDLESS_LINE: "The command is too long",
    Fault.ENDLESS_LITERAL: "The string is too long",
    Fault.TOO_MANY_ERRORS: "Too many bad commands",
}


_BEFORE, _AFTER = frozenset({State.BEFORE_LOGIN}), frozenset({State.LOGGED_IN})
_Command = Callable[[ManageSieveServer, Arguments], Event | None]
_COMMANDS: dict[bytes, tuple[_Command, tuple[int, int], frozenset[State]]] = {
    b"AUTHENTICATE": (ManageSieveServer._authenticate, (1, 2), _BEFORE),
    b"STARTTLS": (ManageSieveServer._starttls, (0, 0), _BEFORE),
    b"CAPABILITY": (ManageSieveServer._capability, (0, 0), _BEFORE | _AFTER),
    b"NOOP": (ManageSieveServer._noop, (0, 1), _BEFORE | _AFTER),
    b"LOGOUT": (ManageSieveServer._logout, (0, 0), _BEFORE | _AFTER),
    b"HAVESPACE": (ManageSieveServer._havespace, (2, 2), _AFTER),
    b"PUTSCRIPT": (ManageSieveServer._putscript, (2, 2), _AFTER),
    b"CHECKSCRIPT": (ManageSieveServer._checkscript, (1, 1), _AFTER),
    b"LISTSCRIPTS": (ManageSieveServer._listscripts, (0, 0), _AFTER),
    b"SETACTIVE": (ManageSieveServer._setactive, (1, 1), _AFTER),
    b"GETSCRIPT": (ManageSieveServer._getscript, (1, 1), _AFTER),
    b"DELETESCRIPT": (ManageSieveServer._deletescript, (1, 1), _AFTER),
    b"RENAMESCRIPT": (ManageSieveServer._renamescript, (2, 2), _AFTER),
}
"""The function, how many arguments it takes, and the states it is taken in. UNAUTHENTICATE is not among them: a session that
changed hands could carry something over."""
