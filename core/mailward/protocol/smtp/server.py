"""The server side of SMTP as a machine: commands in, events and replies out (RFC 5321 sections 3 and 4.1).

No I/O and no clock. `receive_data` returns events; an `Asked` event pauses the machine until `decide`, and input that
was pipelined behind it stays in the buffer. Whatever octets come, the outcome is an event or a reply. The states and
legal moves are the tables in `states.py`; who may send what to whom is decided by the caller (`intake.reception`).

Octets behind a command after which the client must wait (EHLO, DATA, STARTTLS; any command where PIPELINING was not
offered) end the connection: that is how smuggled commands look (RFC 2920 section 3.1, RFC 3207 section 5).
"""

from collections.abc import Callable
from functools import lru_cache

from mailward.model.errors import LocalError
from mailward.model.reply import MESSAGE_TOO_BIG, SHUTTING_DOWN, TOO_MANY_RECIPIENTS, Reply, reply
from mailward.protocol.framing import ContentFault, ContentReader, LineFault, LineReader
from mailward.protocol.smtp.events import (
    Asked,
    Content,
    DataAsked,
    Event,
    Fault,
    Faulted,
    Greeted,
    MailAsked,
    MessageAsked,
    Quit,
    RcptAsked,
    TlsAsked,
    TransactionDropped,
)
from mailward.protocol.smtp.params import RefusedError, parse_mail, parse_rcpt
from mailward.protocol.smtp.states import MOVES, TAKEN_IN, Limits, State

START_MAIL_INPUT = reply(354, None, "Start mail input; end with <CRLF>.<CRLF>")
_OK = reply(250, "2.0.0", "OK")
_BYE = reply(221, "2.0.0", "Goodbye", closes=True)
_SYNTAX = reply(500, "5.5.2", "Syntax error")
_UNKNOWN = reply(500, "5.5.1", "Command not recognized")
_NOT_OFFERED = reply(502, "5.5.1", "Command not offered")
_NO_ARGUMENT = reply(501, "5.5.4", "This command takes no argument")
_NAME_WANTED = reply(501, "5.5.4", "One host name or address literal is expected")
_GREET_FIRST = reply(503, "5.5.1", "EHLO or HELO first")
_OUT_OF_ORDER = reply(503, "5.5.1", "Bad sequence of commands")
_NO_RECIPIENTS = reply(554, "5.5.1", "No valid recipients")
_OUT_OF_STEP = reply(554, "5.5.0", "You must wait for the reply", closes=True)
_TOO_EARLY = reply(554, "5.5.1", "You must wait for the greeting", closes=True)
_TOO_MANY_ERRORS = reply(421, "4.7.0", "Too many errors", closes=True)
_NOT_SMTP = reply(421, "4.7.0", "This is an SMTP server", closes=True)
_BARE_LF = reply(500, "5.5.2", "Lines end in CRLF", closes=True)
_LONG_LINE = reply(500, "5.5.2", "Command line too long")
_CONTENT_REPLIES = {
    ContentFault.BARE_NEWLINE: reply(550, "5.5.2", "The message holds CR or LF outside a CRLF", closes=True),
    ContentFault.NUL: reply(554, "5.6.0", "The message holds an octet of value 0", closes=True),
    ContentFault.LINE_TOO_LONG: reply(552, "5.3.4", "A line of the message is too long"),
}
_CONTENT_FAULTS = {
    ContentFault.BARE_NEWLINE: Fault.SMUGGLING,
    ContentFault.NUL: Fault.NUL,
    ContentFault.LINE_TOO_LONG: Fault.TOO_BIG,
}
_OTHER_PROTOCOLS = frozenset(
    b"GET POST PUT HEAD OPTIONS CONNECT DELETE PATCH TRACE HOST: USER-AGENT: CONTENT-TYPE: REFERER: CONTENT-LENGTH:".split()
)
_TLS_RECORD = 0x16
_LAST_IN_GROUP = frozenset({b"EHLO", b"HELO", b"DATA", b"STARTTLS"})
_JUNK = frozenset({b"EHLO", b"HELO", b"NOOP", b"RSET", b"VRFY", b"EXPN", b"HELP"})
_IDLE = frozenset({State.CONNECTED, State.START, State.GREETED})
_LONGEST_NAME = 255


@lru_cache(maxsize=512)
def _octets(answer: Reply) -> bytes:
    """Most replies of a server are the same few."""
    return answer.to_octets()


class SmtpServer:
    """One connection. hostname: our name in greeting and EHLO. offer_starttls: False once TLS is on, or without a certificate."""

    def __init__(self, hostname: str, limits: Limits, *, offer_starttls: bool) -> None:
        self._hostname = hostname
        self._limits = limits
        self._offer_starttls = offer_starttls
        self._lines = LineReader(limits.command_line_octets, limits.endless_line_octets)
        self._content: ContentReader | None = None
        self._out = bytearray()
        self._waiting: Asked | None = None
        self._draining = False
        self._extended = False
        self._smtputf8 = False
        self._recipients = 0
        self._errors = 0
        self._junk = 0
        self._long_lines = 0
        self._tls = False
        self.state = State.CONNECTED
        self.last_verb = "connect"
        """The last command that was recognised, for the log line of a lost connection."""

    # --- what the adapter calls ---

    @property
    def is_closed(self) -> bool:
        """Send what `data_to_send` returns, then close."""
        return self.state is State.CLOSED

    @property
    def in_transaction(self) -> bool:
        return self.state in (State.MAIL, State.RCPT, State.DATA)

    def data_to_send(self) -> bytes:
        """Replies not yet fetched, in order."""
        octets = bytes(self._out)
        self._out.clear()
        return octets

    def greet(self, greeting: Reply | None = None) -> list[Event]:
        """Send the greeting, or a refusal that closes; octets that came before it end the connection."""
        if self.is_closed:
            return []
        if self._lines:
            return self._fault(Fault.PREGREET, _TOO_EARLY)
        self._move(State.START)
        self._send(greeting or reply(220, None, f"{self._hostname} ESMTP"))
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
        if self._content is not None and self._waiting is None:
            self._read_content(self._content, octets, events)
        else:
            self._lines.feed(octets)
        self._read_lines(events)
        return events

    def decide(self, answer: Reply) -> list[Event]:
        """Answer the event that waits. Returns what the input buffered meanwhile leads to."""
        event, self._waiting = self._waiting, None
        events: list[Event] = []
        if event is None:
            raise LocalError("no event waits for a decision")
        if self.state is State.CLOSED:
            return events
        if self._lines and isinstance(event, DataAsked) and answer.code == START_MAIL_INPUT.code:
            return self._fault(Fault.PIPELINING, _OUT_OF_STEP)
        self._carry_out(event, answer)
        events += self._ahead_without_leave()
        self._read_lines(events)
        return events

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
        return self._fault(Fault.TLS_INJECTION, _OUT_OF_STEP)

    def drain(self) -> None:
        """Answer 421 as soon as no mail transaction is open."""
        self._draining = True
        self._close_if_drained()

    def close(self, answer: Reply) -> None:
        """Send a last reply and end the connection, whatever is under way."""
        if self.state is not State.CLOSED:
            self._send(answer)
            self._move(State.CLOSED)

    # --- decisions ---

    def _carry_out(self, event: Asked, answer: Reply) -> None:
        match event:
            case MailAsked(parameters=parameters) if answer.is_positive:
                self._move(State.MAIL)
                self._smtputf8 = parameters.smtputf8
            case RcptAsked() if answer.is_positive:
                self._move(State.RCPT)
                self._recipients += 1
            case DataAsked() if answer.is_positive:
                self._move(State.DATA)
                self._content = ContentReader(self._limits.content_line_octets)
            case DataAsked() | MessageAsked():
                self._end_transaction()
                self._junk = 0
            case TlsAsked():
                self._move(State.GREETED)
        self._answer(answer)

    # --- mail data ---

    def _read_content(self, reader: ContentReader, octets: bytes, events: list[Event]) -> None:
        content, rest = reader.read(octets)
        too_big = reader.size_octets > self._limits.message_octets
        if reader.size_octets > self._limits.message_octets + self._limits.excess_octets:
            events += self._fault(Fault.TOO_BIG, MESSAGE_TOO_BIG)
            self._move(State.CLOSED)
            return
        if content and not too_big:
            events.append(Content(content))
        if rest is None:
            return
        self._content = None
        self._lines.feed(rest)
        if reader.fault is not None:
            fault, answer = _CONTENT_FAULTS[reader.fault], _CONTENT_REPLIES[reader.fault]
        elif too_big:
            fault, answer = Fault.TOO_BIG, MESSAGE_TOO_BIG
        else:
            self._waiting = MessageAsked(reader.size_octets)
            events.append(self._waiting)
            return
        events.append(TransactionDropped(fault.value))
        self._end_transaction()
        events += self._fault(fault, answer)
        events += self._ahead_without_leave()

    def _end_transaction(self) -> None:
        self._move(State.GREETED)
        self._content = None
        self._recipients = 0
        self._smtputf8 = False

    # --- command lines ---

    def _read_lines(self, events: list[Event]) -> None:
        self._close_if_drained()
        while self._waiting is None and self.state not in (State.CONNECTED, State.DATA, State.CLOSED):
            if self._errors > self._limits.errors or self._junk > self._limits.junk_commands:
                events += self._fault(Fault.TOO_MANY_ERRORS, _TOO_MANY_ERRORS)
            elif self._lines.first_octet == _TLS_RECORD:
                events += self._fault(Fault.OTHER_PROTOCOL, _NOT_SMTP)
            elif (line := self._lines.next()) is not None:
                events += self._command(line.octets) if line.fault is None else self._bad_line(line.fault)
            else:
                break
            self._close_if_drained()

    def _bad_line(self, fault: LineFault) -> list[Event]:
        if fault is LineFault.BARE_LF:
            return self._fault(Fault.BARE_LF, _BARE_LF)
        self._long_lines += 1
        if fault is LineFault.ENDLESS:
            self._send(_LONG_LINE)
        if fault is LineFault.ENDLESS or self._long_lines >= self._limits.long_lines:
            return self._fault(Fault.LONG_LINE, _TOO_MANY_ERRORS)
        return self._fault(Fault.LONG_LINE, _LONG_LINE)

    def _command(self, line: bytes) -> list[Event]:
        verb, _, argument = line.partition(b" ")
        verb = verb.upper()
        argument = argument.rstrip(b" ")  # RFC 5321 4.1.1: trailing white space is tolerated
        if verb in _OTHER_PROTOCOLS or verb.startswith(b"SSH-"):
            return self._fault(Fault.OTHER_PROTOCOL, _NOT_SMTP)
        if self._lines and (not self._extended or verb in _LAST_IN_GROUP) and verb != b"QUIT":
            return self._fault(Fault.TLS_INJECTION if verb == b"STARTTLS" else Fault.PIPELINING, _OUT_OF_STEP)
        if b"\0" in line:
            return self._refuse(reply(501, "5.5.4", "A command cannot hold an octet of value 0"))
        if b"\r" in line:
            return self._refuse(_SYNTAX)
        handler = _COMMANDS.get(verb)
        if handler is None:
            return self._refuse(_UNKNOWN if verb else _SYNTAX)
        self.last_verb = verb.decode("ascii")
        if verb in _JUNK:
            self._junk += 1
        if verb in TAKEN_IN and self.state is State.START:
            return self._refuse(_GREET_FIRST)
        if verb in TAKEN_IN and self.state not in TAKEN_IN[verb]:
            return self._refuse(_NO_RECIPIENTS if verb == b"DATA" and self.state is State.MAIL else _OUT_OF_ORDER)
        return handler(self, argument)

    def _ehlo(self, argument: bytes) -> list[Event]:
        return self._hello(argument, extended=True)

    def _helo(self, argument: bytes) -> list[Event]:
        return self._hello(argument, extended=False)

    def _hello(self, argument: bytes, *, extended: bool) -> list[Event]:
        name = argument.decode("ascii", "replace")
        if not name or len(name) > _LONGEST_NAME or not name.isascii() or not name.isprintable() or " " in name:
            return self._refuse(_NAME_WANTED)
        if self.state is State.START:
            self._move(State.GREETED)
        self._end_transaction()
        self._extended = extended
        self._send(Reply(250, None, self._extensions()) if extended else reply(250, None, self._hostname))
        return [Greeted(name, extended)]

    def _extensions(self) -> tuple[str, ...]:
        size = f"SIZE {self._limits.message_octets}"
        always = (self._hostname, "PIPELINING", size, "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES")
        return (*always, "STARTTLS") if self._offer_starttls else always

    def _mail(self, argument: bytes) -> list[Event]:
        try:
            path, parameters = parse_mail(argument, extended=self._extended, size_limit_octets=self._limits.message_octets)
        except RefusedError as refused:
            return self._refuse(refused.reply)
        return self._ask(MailAsked(path, parameters))

    def _rcpt(self, argument: bytes) -> list[Event]:
        if self._recipients >= self._limits.recipients:
            return self._refuse(TOO_MANY_RECIPIENTS)
        try:
            return self._ask(RcptAsked(parse_rcpt(argument, extended=self._extended, smtputf8=self._smtputf8)))
        except RefusedError as refused:
            return self._refuse(refused.reply)

    def _data(self, argument: bytes) -> list[Event]:
        return self._refuse(_NO_ARGUMENT) if argument else self._ask(DataAsked())

    def _bdat(self, argument: bytes) -> list[Event]:
        """CHUNKING is not offered, and a client that uses it anyway may already be sending octets that are no commands."""
        return self._fault(Fault.PIPELINING, Reply(_NOT_OFFERED.code, _NOT_OFFERED.enhanced, _NOT_OFFERED.lines, closes=True))

    def _rset(self, argument: bytes) -> list[Event]:
        if argument:
            return self._refuse(_NO_ARGUMENT)
        self._send(_OK)
        if not self.in_transaction:
            return []
        self._end_transaction()
        return [TransactionDropped("RSET")]

    def _noop(self, argument: bytes) -> list[Event]:
        self._send(_OK)
        return []

    def _help(self, argument: bytes) -> list[Event]:
        self._send(reply(214, "2.0.0", "EHLO HELO MAIL RCPT DATA RSET NOOP VRFY STARTTLS QUIT"))
        return []

    def _vrfy(self, argument: bytes) -> list[Event]:
        if not argument:
            return self._refuse(reply(501, "5.5.4", "Syntax: VRFY address"))
        self._send(reply(252, "2.5.0", "Send some mail, it will be tried"))
        return []

    def _not_offered(self, argument: bytes) -> list[Event]:
        return self._refuse(_NOT_OFFERED)

    def _quit(self, argument: bytes) -> list[Event]:
        if argument:
            return self._refuse(_NO_ARGUMENT)
        self._answer(_BYE)
        return [Quit()]

    def _starttls(self, argument: bytes) -> list[Event]:
        if self._tls:
            return self._refuse(reply(503, "5.5.1", "TLS is on already"))
        if not self._offer_starttls or not self._extended:
            return self._refuse(_NOT_OFFERED)
        if argument:
            return self._refuse(_NO_ARGUMENT)
        self._move(State.TLS)
        return self._ask(TlsAsked())

    # --- small steps ---

    def _ask(self, event: Asked) -> list[Event]:
        self._waiting = event
        return [event]

    def _move(self, to: State) -> None:
        if to not in MOVES[self.state]:
            raise LocalError(f"SMTP state {self.state.name} cannot become {to.name}")
        self.state = to

    def _send(self, answer: Reply) -> None:
        self._out += _octets(answer)

    def _answer(self, answer: Reply) -> None:
        """Send, count what is an error, close where the reply says so."""
        self._send(answer)
        if answer.code >= 500 or answer is TOO_MANY_RECIPIENTS:  # who goes on after that does not read (T-DOS-03)
            self._errors += 1
        if answer.closes and self.state is not State.CLOSED:
            self._move(State.CLOSED)

    def _refuse(self, answer: Reply) -> list[Event]:
        self._answer(answer)
        return []

    def _fault(self, fault: Fault, answer: Reply) -> list[Event]:
        self._answer(answer)
        return [Faulted(fault)]

    def _ahead_without_leave(self) -> list[Event]:
        """Behind a reply that took its time: has a client that was not offered PIPELINING sent more already?"""
        if not self._lines or self._extended or self.is_closed:
            return []
        return self._fault(Fault.PIPELINING, _OUT_OF_STEP)

    def _close_if_drained(self) -> None:
        if self._draining and self._waiting is None and self.state in _IDLE:
            self._answer(SHUTTING_DOWN)


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
    b"AUTH": SmtpServer._not_offered,
    b"QUIT": SmtpServer._quit,
    b"STARTTLS": SmtpServer._starttls,
}
