"""The server side of SMTP and LMTP as a machine: commands in, events and replies out (RFC 5321 sections 3 and 4.1; RFC 4954;
RFC 2033).

No I/O and no clock. `receive_data` returns events; an `Asked` event pauses the machine until `decide`, and input that
was pipelined behind it stays in the buffer. Whatever octets come, the outcome is an event or a reply. The states and
legal moves are the tables in `states.py`, what opens a session is in `session.py` and what sends mail in `transaction.py`; who
may send what to whom is decided by the caller (`intake.reception`).

Octets behind a command after which the client must wait (EHLO, DATA, STARTTLS, AUTH and the lines of its exchange; any
command where PIPELINING was not offered) end the connection: that is how smuggled commands look (RFC 2920 section 3.1,
RFC 3207 section 5).
"""

from collections.abc import Callable
from datetime import datetime

from mailward.model import replies
from mailward.model.envelope import BodyType
from mailward.model.errors import LocalError
from mailward.model.replies import SHUTTING_DOWN
from mailward.model.reply import Reply, reply
from mailward.protocol.framing import Line, LineFault
from mailward.protocol.smtp.events import (
    Answer,
    Asked,
    AuthAsked,
    AuthChallenge,
    AuthResponse,
    DataAsked,
    Event,
    Fault,
    Faulted,
    MailAsked,
    MessageAsked,
    Quit,
    RcptAsked,
    RecipientReplies,
    TlsAsked,
    XclientAsked,
)
from mailward.protocol.smtp.session import SessionCommands
from mailward.protocol.smtp.states import NEEDS_LOGIN, TAKEN_IN, Limits, State
from mailward.protocol.smtp.watching import shown

_OTHER_PROTOCOLS = frozenset(
    b"GET POST PUT HEAD OPTIONS CONNECT DELETE PATCH TRACE HOST: USER-AGENT: CONTENT-TYPE: REFERER: CONTENT-LENGTH:".split()
)
_TLS_RECORD = 0x16
_LAST_IN_GROUP = frozenset({b"EHLO", b"HELO", b"LHLO", b"DATA", b"STARTTLS", b"AUTH", b"XCLIENT"})
_JUNK = frozenset({b"EHLO", b"HELO", b"LHLO", b"NOOP", b"RSET", b"VRFY", b"EXPN", b"HELP", b"AUTH"})
_IDLE = frozenset({State.CONNECTED, State.START, State.GREETED, State.AUTH})
_LOGIN_FAILED = 535


class SmtpServer(SessionCommands):
    """One connection.

    hostname: our name in greeting and EHLO. offer_starttls: False once TLS is on, or without a certificate. tls: on from the
    first octet. mechanisms: of a submission listener, where nothing is sent without a login; None where nobody logs in.
    lmtp: the protocol is LMTP. opened_at: aware, from when on a submitted message may be held; None where none may be.
    """

    def __init__(
        self,
        hostname: str,
        limits: Limits,
        *,
        offer_starttls: bool,
        tls: bool = False,
        mechanisms: tuple[str, ...] | None = None,
        lmtp: bool = False,
        opened_at: datetime | None = None,
    ) -> None:
        super().__init__(
            hostname, limits, offer_starttls=offer_starttls, tls=tls, mechanisms=mechanisms, lmtp=lmtp, opened_at=opened_at
        )
        self._commands = _LMTP_COMMANDS if lmtp else _COMMANDS
        self._draining = False
        self.last_verb = "connect"
        """The last command that was recognised, for the log line of a lost connection."""

    # --- what the adapter calls ---

    def greet(self, greeting: Reply | None = None) -> list[Event]:
        """Send the greeting, or a refusal that closes; octets that came before it end the connection."""
        if self.is_closed:
            return []
        if self._lines:
            return self._fault(Fault.PREGREET, replies.TOO_EARLY)
        self._move(State.START)
        self._send(greeting or reply(220, None, f"{self._hostname} {'LMTP' if self._lmtp else 'ESMTP'}"))
        return []

    @property
    def buffered_octets(self) -> int:
        """Input that was fed and not yet worked off."""
        return self._lines.buffered_octets

    def receive_data(self, octets: bytes) -> list[Event]:
        """Feed what was read. While an event waits for its decision this only buffers; the caller bounds how much."""
        events: list[Event] = []
        if self.state is State.CLOSED:
            return events
        if self.reads_content:
            events += self._read_content(octets)
        else:
            self._lines.feed(octets)
        self._read_lines(events)
        return events

    def decide(self, answer: Answer) -> list[Event]:
        """Answer the event that waits. Returns what the input buffered meanwhile leads to."""
        event, self._waiting = self._waiting, None
        events: list[Event] = []
        if event is None:
            raise LocalError("no event waits for a decision")
        if self.state is State.CLOSED:
            return events
        if self._lines and (
            isinstance(event, AuthAsked | AuthResponse)
            or (isinstance(event, DataAsked) and not event.chunked and isinstance(answer, Reply) and answer.is_positive)
        ):
            return self._fault(Fault.PIPELINING, replies.OUT_OF_STEP)
        if isinstance(answer, AuthChallenge):
            self._challenge(event, answer)
        elif isinstance(answer, Reply):
            events += self._carry_out(event, answer)
        else:
            self._answer_each(event, answer)
        events += self._ahead_without_leave()
        self._read_lines(events)
        return events

    def ready_for_tls(self) -> None:
        """STARTTLS is granted: what follows the reply is the handshake."""
        self._send(replies.READY_FOR_TLS)

    def tls_started(self) -> list[Event]:
        """The handshake is done: everything learnt before it is forgotten (RFC 3207 section 4.2)."""
        if not isinstance(self._waiting, TlsAsked):
            raise LocalError("no STARTTLS is under way")
        self._waiting = None
        if self._lines:
            self._move(State.CLOSED)
            return [Faulted(Fault.TLS_INJECTION)]
        self._move(State.START)
        self._tls, self._offer_starttls, self._extended = True, False, False
        return []

    def tls_injected(self) -> list[Event]:
        """Plain text came behind STARTTLS before the 220 was written: none of it may ever count (RFC 3207 section 5)."""
        self._waiting = None
        return self._fault(Fault.TLS_INJECTION, replies.OUT_OF_STEP)

    def drain(self) -> None:
        """Answer 421 as soon as no mail transaction is open."""
        self._draining = True
        self._close_if_drained()

    # --- decisions ---

    def _carry_out(self, event: Asked, answer: Reply) -> list[Event]:
        match event:
            case MailAsked(parameters=parameters) if answer.is_positive:
                self._move(State.MAIL)
                self._smtputf8 = parameters.smtputf8
                self._is_binary = parameters.body is BodyType.BINARY_MIME
            case RcptAsked() if answer.is_positive:
                self._move(State.RCPT)
                self._recipients += 1
            case RcptAsked() if answer.code < 500 and answer.enhanced == replies.MAILBOX_FULL.enhanced:
                self._note_full_mailbox()
            case DataAsked():
                return self._begin_content(event, answer)
            case MessageAsked():
                self._answer_message(answer)
                return []
            case AuthAsked() | AuthResponse():
                self._move(State.GREETED)
                self._authenticated = answer.is_positive
                if answer.is_positive:
                    self._relax()
                self._failed_logins += answer.code == _LOGIN_FAILED
            case TlsAsked():
                self._move(State.GREETED)
            case XclientAsked() if answer.is_positive:
                self._begin_anew()
                return self.greet()
        self._answer(answer)
        return []

    def _answer_each(self, event: Asked, answers: RecipientReplies) -> None:
        if not isinstance(event, MessageAsked):
            raise LocalError(f"a reply for each recipient is no answer to {type(event).__name__}")
        self._answer_message(answers)

    # --- command lines ---

    def _read_lines(self, events: list[Event]) -> None:
        self._close_if_drained()
        while self._waiting is None and self._content is None and self.state not in (State.CONNECTED, State.CLOSED):
            if self._errs_too_often:
                events += self._fault(Fault.TOO_MANY_ERRORS, replies.TOO_MANY_ERRORS)
            elif self._lines.first_octet == _TLS_RECORD:
                events += self._fault(Fault.OTHER_PROTOCOL, replies.NOT_SMTP)
            elif (line := self._lines.next()) is None:
                break
            else:
                events += self._line(line)
            self._close_if_drained()

    def _line(self, line: Line) -> list[Event]:
        in_login = self.state is State.AUTH
        if self.watcher is not None:
            self.watcher.client_says(shown(line, _SHOWN, in_login=in_login))
        if line.fault is LineFault.TOO_LONG and not in_login and _announces_chunk(line.beginning):
            return self._refuse(replies.BDAT_SYNTAX)
        if line.fault is not None:
            return self._bad_line(line.fault)
        return self._auth_response(line.octets) if in_login else self._command(line.octets)

    def _bad_line(self, fault: LineFault) -> list[Event]:
        if fault is LineFault.BARE_LF:
            return self._fault(Fault.BARE_LF, replies.BARE_LF)
        answer = replies.LONG_LINE
        if self.state is State.AUTH:
            self._move(State.GREETED)
            answer = replies.AUTH_LONG_LINE
        self._long_lines += 1
        if fault is LineFault.ENDLESS:
            self._send(answer)
        if fault is LineFault.ENDLESS or self._long_lines >= self._limits.long_lines:
            return self._fault(Fault.LONG_LINE, replies.TOO_MANY_ERRORS)
        return self._fault(Fault.LONG_LINE, answer)

    def _command(self, line: bytes) -> list[Event]:
        verb, _, argument = line.partition(b" ")
        verb = verb.upper()
        argument = argument.rstrip(b" ")  # RFC 5321 4.1.1: trailing white space is tolerated
        if verb in _OTHER_PROTOCOLS or verb.startswith(b"SSH-"):
            return self._fault(Fault.OTHER_PROTOCOL, replies.NOT_SMTP)
        if self._lines and (not self._extended or verb in _LAST_IN_GROUP) and verb != b"QUIT":
            return self._fault(Fault.TLS_INJECTION if verb == b"STARTTLS" else Fault.PIPELINING, replies.OUT_OF_STEP)
        is_odd = verb != b"BDAT" or len(line) + 2 > self._limits.command_line_octets or b"\0" in line or b"\r" in line
        if is_odd and _announces_chunk(line):
            return self._refuse(replies.BDAT_SYNTAX)
        if len(line) + 2 > self._limits.command_line_octets and verb != b"AUTH":
            return self._bad_line(LineFault.TOO_LONG)
        if b"\0" in line:
            return self._refuse(replies.NO_NUL)
        if b"\r" in line:
            return self._refuse(replies.SYNTAX)
        handler = self._commands.get(verb)
        if handler is None:
            return self._refuse(replies.UNKNOWN if verb else replies.SYNTAX)
        self.last_verb = verb.decode("ascii")
        if verb in _JUNK:
            self._junk += 1
        refusal = self._out_of_place(verb)
        # What is wrong with BDAT is said behind its octets.
        return handler(self, argument) if refusal is None or verb == b"BDAT" else self._refuse(refusal)

    def _out_of_place(self, verb: bytes) -> Reply | None:
        """Why this command cannot be taken now, None when it can."""
        misplaced = verb in TAKEN_IN and self.state not in TAKEN_IN[verb]
        if misplaced and self.state is State.START:
            return replies.LHLO_FIRST if self._lmtp else replies.GREET_FIRST
        if verb in NEEDS_LOGIN and self._mechanisms is not None and not self._authenticated:
            return replies.LOGIN_FIRST if self._tls else replies.STARTTLS_FIRST
        if misplaced:
            if verb == b"DATA" and self.state is State.MAIL:
                return replies.LMTP_NO_RECIPIENTS if self._lmtp else replies.NO_RECIPIENTS
            return replies.OUT_OF_ORDER
        return None

    def _bdat(self, argument: bytes) -> list[Event]:
        return self._chunk_comes(argument, self._out_of_place(b"BDAT"))

    def _noop(self, argument: bytes) -> list[Event]:
        self._send(replies.OK)
        return []

    def _vrfy(self, argument: bytes) -> list[Event]:
        if not argument:
            return self._refuse(replies.VRFY_SYNTAX)
        self._send(replies.CANNOT_VERIFY)
        return []

    def _not_offered(self, argument: bytes) -> list[Event]:
        return self._refuse(replies.NOT_OFFERED)

    def _quit(self, argument: bytes) -> list[Event]:
        if argument:
            return self._refuse(replies.NO_ARGUMENT)
        self._answer(replies.BYE)
        return [Quit()]

    def _close_if_drained(self) -> None:
        if self._draining and self._waiting is None and self.state in _IDLE:
            self._answer(SHUTTING_DOWN)


def _announces_chunk(line: bytes) -> bool:
    """Octets follow that are no commands; where the line cannot be read, nobody knows how many (T-SMTP-15)."""
    return line[:4].upper() == b"BDAT"


_COMMANDS: dict[bytes, Callable[[SmtpServer, bytes], list[Event]]] = {
    b"EHLO": SmtpServer._ehlo,
    b"HELO": SmtpServer._helo,
    b"MAIL": SmtpServer._mail,
    b"RCPT": SmtpServer._rcpt,
    b"DATA": SmtpServer._data,
    b"BDAT": SmtpServer._bdat,
    b"RSET": SmtpServer._rset,
    b"NOOP": SmtpServer._noop,
    b"HELP": SmtpServer._help,
    b"VRFY": SmtpServer._vrfy,
    b"EXPN": SmtpServer._not_offered,
    b"AUTH": SmtpServer._auth,
    b"QUIT": SmtpServer._quit,
    b"STARTTLS": SmtpServer._starttls,
    b"XCLIENT": SmtpServer._xclient,
}
_LMTP_COMMANDS = {verb: handler for verb, handler in _COMMANDS.items() if verb not in (b"EHLO", b"HELO", b"AUTH")}
_LMTP_COMMANDS[b"LHLO"] = SmtpServer._ehlo
"""RFC 2033 section 4.1: LHLO takes the place of HELO and EHLO. Nobody logs in."""

_SHOWN = frozenset(_COMMANDS) | frozenset(_LMTP_COMMANDS) | _OTHER_PROTOCOLS
