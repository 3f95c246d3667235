"""Who talks to whom, over what and in whose name: EHLO, STARTTLS, AUTH, XCLIENT (RFC 5321 section 4.1.1.1, RFC 3207, RFC 4954).

What is learnt here holds until the session begins anew: behind a handshake, and when another client is named.
"""

from datetime import datetime

from mailward.model import replies
from mailward.model.errors import LocalError
from mailward.model.reply import Reply, reply
from mailward.protocol.framing import LineReader
from mailward.protocol.smtp.auth import challenge_line, parse_auth, parse_response
from mailward.protocol.smtp.events import (
    Asked,
    AuthAsked,
    AuthChallenge,
    AuthResponse,
    Event,
    Fault,
    Greeted,
    TlsAsked,
)
from mailward.protocol.smtp.refused import RefusedError
from mailward.protocol.smtp.states import Limits, State
from mailward.protocol.smtp.submitting import Submitting
from mailward.protocol.smtp.transaction import MailTransactions
from mailward.protocol.smtp.watching import HIDDEN
from mailward.protocol.smtp.xclient import KEYWORD as XCLIENT
from mailward.protocol.smtp.xclient import parse_xclient

_LONGEST_NAME = 255
_HELP = ("MAIL", "RCPT", "DATA", "BDAT", "RSET", "NOOP", "HELP", "VRFY", "QUIT")
"""The commands that HELP names on every listener."""
_LATER = ("CHUNKING", "BINARYMIME", "DSN", "ENHANCEDSTATUSCODES")


class SessionCommands(MailTransactions):
    """For `SmtpServer` to build on. hostname, offer_starttls, tls, mechanisms, lmtp, opened_at: as there."""

    def __init__(
        self,
        hostname: str,
        limits: Limits,
        *,
        offer_starttls: bool,
        tls: bool,
        mechanisms: tuple[str, ...] | None,
        lmtp: bool,
        opened_at: datetime | None,
    ) -> None:
        longest = limits.command_line_octets if mechanisms is None else max(limits.command_line_octets, limits.auth_line_octets)
        offer_prdr = mechanisms is None and not lmtp
        super().__init__(limits, LineReader(longest, limits.endless_line_octets), lmtp=lmtp, offer_prdr=offer_prdr)
        self._hostname = hostname
        self._offer_starttls = offer_starttls
        self._tls = tls
        self._mechanisms = mechanisms
        self._authenticated = False
        self._trusts_xclient = False
        self._is_submission = mechanisms is not None
        self._submitting = Submitting(limits.hold_s, opened_at) if self._is_submission and opened_at is not None else None

    def trust_xclient(self, *, trusted: bool) -> None:
        """May the client say by XCLIENT whose mail it passes on? Not unless told here."""
        self._trusts_xclient = trusted

    def _ehlo(self, argument: bytes) -> list[Event]:
        return self._hello(argument, extended=True)

    def _helo(self, argument: bytes) -> list[Event]:
        return self._hello(argument, extended=False)

    def _hello(self, argument: bytes, *, extended: bool) -> list[Event]:
        name = argument.decode("ascii", "replace")
        if not name or len(name) > _LONGEST_NAME or not name.isascii() or not name.isprintable() or " " in name:
            return self._refuse(replies.NAME_WANTED)
        if self.state is State.START:
            self._move(State.GREETED)
        self._end_transaction()
        self._extended = extended
        self._send(Reply(250, None, self._extensions()) if extended else reply(250, None, self._hostname))
        return [Greeted(name, extended)]

    def _extensions(self) -> tuple[str, ...]:
        size, limits = f"SIZE {self._limits.message_octets}", f"LIMITS RCPTMAX={self._limits.recipients}"
        always = (self._hostname, "PIPELINING", size, "8BITMIME", "SMTPUTF8", *_LATER, limits)
        prdr = ("PRDR",) if self._offer_prdr else ()
        starttls = ("STARTTLS",) if self._offer_starttls else ()
        auth = (" ".join(("AUTH", *self._mechanisms)),) if self._mechanisms and self._tls else ()
        xclient = (XCLIENT,) if self._trusts_xclient else ()
        requiretls = ("REQUIRETLS",) if self._tls else ()
        submitting = self._submitting.keywords if self._submitting is not None and self._tls else ()
        return (*always, *prdr, *starttls, *requiretls, *submitting, *auth, *xclient)

    def _help(self, argument: bytes) -> list[Event]:
        hello = ("LHLO",) if self._lmtp else ("EHLO", "HELO")
        starttls = ("STARTTLS",) if self._offer_starttls else ()
        auth = ("AUTH",) if self._mechanisms and self._tls else ()
        self._send(reply(214, "2.0.0", " ".join((*hello, *_HELP, *starttls, *auth))))
        return []

    def _starttls(self, argument: bytes) -> list[Event]:
        if self._tls:
            return self._refuse(replies.TLS_IS_ON)
        if not self._offer_starttls or not self._extended:
            return self._refuse(replies.NOT_OFFERED)
        if argument:
            return self._refuse(replies.NO_ARGUMENT)
        self._move(State.TLS)
        return self._ask(TlsAsked())

    # --- XCLIENT ---

    def _xclient(self, argument: bytes) -> list[Event]:
        if not self._trusts_xclient:
            return self._refuse(replies.NOT_TRUSTED)
        try:
            return self._ask(parse_xclient(argument))
        except RefusedError as refused:
            return self._refuse(refused.reply)

    def _begin_anew(self) -> None:
        """Another client's session: nothing of the one before counts, but TLS."""
        self._relax()  # whoever was in a hurry, or was known
        self._extended = self._authenticated = False
        self._errors = self._junk = self._long_lines = self._failed_logins = self._skipped_octets = 0

    # --- AUTH ---

    def _auth(self, argument: bytes) -> list[Event]:
        if self._mechanisms is None or not self._extended:
            return self._refuse(replies.NOT_OFFERED)
        if not self._tls:
            return self._refuse(replies.AUTH_NEEDS_TLS)
        if self._authenticated:
            return self._refuse(replies.AUTH_ONCE)
        try:
            asked = parse_auth(argument, self._mechanisms)
        except RefusedError as refused:
            return self._refuse(refused.reply)
        self._move(State.AUTH)
        return self._ask(asked)

    def _auth_response(self, line: bytes) -> list[Event]:
        if self._lines:
            return self._fault(Fault.PIPELINING, replies.OUT_OF_STEP)
        try:
            return self._ask(parse_response(line))
        except RefusedError as refused:
            self._move(State.GREETED)
            return self._refuse(refused.reply)

    def _challenge(self, event: Asked, answer: AuthChallenge) -> None:
        """The exchange goes on; the next line is the client's response."""
        if not isinstance(event, AuthAsked | AuthResponse):
            raise LocalError(f"a challenge is no answer to {type(event).__name__}")
        self._out += challenge_line(answer.octets)
        if self.watcher is not None:
            self.watcher.server_says(f"334 {HIDDEN}")
