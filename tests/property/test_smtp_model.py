"""The SMTP machine against a small reference of the order of commands, written from RFC 5321 section 4.1.4, RFC 3030, 3207 and 4954.

The reference knows nothing of the machine: it holds where a session stands and which reply code is due. Commands go in one by one,
whole or octet by octet, or as a pipelined group where that is allowed.
"""

from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from mailward.protocol.smtp.states import Limits
from support.smtp_machine import Client, machine

LIMITS = Limits(message_octets=1000, excess_octets=100_000, errors=10_000, junk_commands=10_000)
GOOD, UNKNOWN, ELSEWHERE = b"<b@example.org>", b"<nobody@example.org>", b"<x@example.com>"
SOUND, REFUSED, UNSOUND = b"A: b\r\n\r\ntext\r\n", b"A: b\r\n\r\nREJECT\r\n", b"A: b\r\n\nMAIL FROM:<x@example.net>\r\n"


@dataclass
class Reference:
    """Where a session stands. hello: None, HELO or EHLO. recipients: None outside a transaction. chunked: some of the message came."""

    is_submission: bool
    hello: str | None = None
    tls: bool = False
    user: bool = False
    recipients: int | None = None
    chunked: bytes | None = None
    binary: bool = False
    taken: list[bytes] = field(default_factory=list)
    is_open: bool = True

    def end(self) -> None:
        self.recipients = self.chunked = None
        self.binary = False

    def locked(self) -> int | None:
        """The refusal of whoever may send nothing yet."""
        return 530 if self.is_submission and not self.user else None

    def mail(self, body: bytes = b"") -> int:
        if self.hello is None:
            return 503
        if refusal := self.locked():
            return refusal
        if self.hello == "HELO" and body and self.recipients is None:
            return 555
        if self.recipients is not None:
            return 503
        self.recipients, self.binary = 0, b"BINARY" in body
        return 250

    def rcpt(self, path: bytes) -> int:
        if self.hello is None:
            return 503
        if refusal := self.locked():
            return refusal
        if self.recipients is None or self.chunked is not None:
            return 503
        if path != GOOD:
            return 550 if path == UNKNOWN else 554
        self.recipients += 1
        return 250

    def data(self) -> int:
        if self.hello is None:
            return 503
        if refusal := self.locked():
            return refusal
        if self.recipients is None or self.chunked is not None:
            return 503
        if self.binary and self.recipients:
            return 503
        return 354 if self.recipients else 554

    def content(self, octets: bytes) -> int:
        self.end()
        octets = self.kept(octets)
        if octets == UNSOUND:
            self.is_open = False
            return 550
        self.taken.append(octets)
        return 554 if octets == REFUSED else 250

    def kept(self, octets: bytes) -> bytes:
        """What becomes of a stray LF: a space where somebody submits."""
        return octets.replace(b"\n\nMAIL", b"\n MAIL") if self.is_submission and not self.binary else octets

    def bdat(self, octets: bytes, *, last: bool) -> int:
        if self.hello != "EHLO":
            self.is_open = False
            return 502
        if refusal := self.locked():
            return refusal
        if not self.recipients:
            return 503
        whole = (self.chunked or b"") + self.kept(octets)
        if len(whole) > LIMITS.message_octets:
            self.end()
            return 552
        if UNSOUND in whole and not self.binary:
            self.end()
            return 550
        if not last:
            self.chunked = whole
            return 250
        self.end()
        self.taken.append(whole)
        return 554 if b"REJECT" in whole else 250


class Dialogue(RuleBasedStateMachine):
    client: Client
    reference: Reference

    @initialize(listener=st.sampled_from(["mx", "submission", "submissions"]), octet_by_octet=st.booleans())
    def connect(self, listener: str, octet_by_octet: bool) -> None:
        self.client = Client(machine(listener, LIMITS))
        self.reference = Reference(listener != "mx", tls=listener == "submissions")
        self.octet_by_octet = octet_by_octet
        self.due(220)

    def due(self, *codes: int) -> None:
        """These replies have come, and no more."""
        replies, self.client.replies = self.client.replies, []
        assert [int(line[:3]) for line in replies if line[3:4] == " "] == list(codes), replies

    def say(self, octets: bytes, *codes: int) -> None:
        self.client.send(octets, octet_by_octet=self.octet_by_octet)
        self.due(*codes)

    @invariant()
    def both_took_the_same_mail_and_are_as_open(self) -> None:
        if hasattr(self, "reference"):
            assert self.client.messages == self.reference.taken
            assert self.client.machine.is_closed is not self.reference.is_open

    @precondition(lambda self: self.reference.is_open)
    @rule(verb=st.sampled_from(["EHLO", "HELO", "ehlo"]))
    def hello(self, verb: str) -> None:
        self.reference.hello = verb.upper()
        self.reference.end()
        self.say(verb.encode() + b" client.example.net\r\n", 250)

    @precondition(lambda self: self.reference.is_open)
    @rule(body=st.sampled_from([b"", b"", b" BODY=8BITMIME", b" BODY=BINARYMIME"]))
    def mail(self, body: bytes) -> None:
        self.say(b"MAIL FROM:<a@example.net>" + body + b"\r\n", self.reference.mail(body))

    @precondition(lambda self: self.reference.is_open)
    @rule(path=st.sampled_from([GOOD, GOOD, UNKNOWN, ELSEWHERE]))
    def rcpt(self, path: bytes) -> None:
        self.say(b"RCPT TO:" + path + b"\r\n", self.reference.rcpt(path))

    @precondition(lambda self: self.reference.is_open)
    @rule(octets=st.sampled_from([SOUND, SOUND, REFUSED, UNSOUND]))
    def data(self, octets: bytes) -> None:
        code = self.reference.data()
        self.say(b"DATA\r\n", code)
        if code == 354:
            self.say(octets + b".\r\n", self.reference.content(octets))
        elif code == 554:
            assert self.reference.recipients == 0

    @precondition(lambda self: self.reference.is_open)
    @rule(octets=st.sampled_from([SOUND, b"", REFUSED, UNSOUND, b"x" * 600 + b"\r\n"]), last=st.booleans())
    def bdat(self, octets: bytes, last: bool) -> None:
        if self.reference.hello != "EHLO":
            octets = b""  # nobody could tell what they are
        self.say(b"BDAT %d%s\r\n%s" % (len(octets), b" LAST" if last else b"", octets), self.reference.bdat(octets, last=last))

    @precondition(lambda self: self.reference.is_open)
    @rule()
    def rset(self) -> None:
        self.reference.end()
        self.say(b"RSET\r\n", 250)

    @precondition(lambda self: self.reference.is_open)
    @rule(
        command=st.sampled_from(
            [(b"NOOP", 250), (b"NOOP ignored", 250), (b"HELP", 214), (b"EXPN list", 502), (b"TURN", 500), (b"", 500)]
        )
    )
    def aside(self, command: tuple[bytes, int]) -> None:
        self.say(command[0] + b"\r\n", command[1])

    @precondition(lambda self: self.reference.is_open)
    @rule()
    def vrfy(self) -> None:
        self.say(b"VRFY \xc3\xa4@example.org\r\n", self.reference.locked() or 252)

    @precondition(lambda self: self.reference.is_open)
    @rule()
    def starttls(self) -> None:
        reference = self.reference
        if reference.hello is None or reference.recipients is not None or reference.tls:
            self.say(b"STARTTLS\r\n", 503)
        elif reference.hello == "HELO":
            self.say(b"STARTTLS\r\n", 502)
        else:
            self.say(b"STARTTLS\r\n")  # whoever shakes hands says 220
            self.client.shake_hands()
            reference.tls, reference.hello = True, None

    @precondition(lambda self: self.reference.is_open)
    @rule(response=st.sampled_from([(b"AGFsaWNlAHNlY3JldA==", 235), (b"AGFsaWNlAHdyb25n", 535), (b"***", 501)]))
    def auth(self, response: tuple[bytes, int]) -> None:
        reference = self.reference
        if reference.hello is None or reference.recipients is not None:
            code = 503
        elif not reference.is_submission or reference.hello == "HELO":
            code = 502
        elif not reference.tls:
            code = 538
        else:
            code = 503 if reference.user else response[1]
        if code == 535:
            return  # five of them end the connection, which is a limit and no order
        reference.user = reference.user or code == 235
        self.say(b"AUTH PLAIN " + response[0] + b"\r\n", code)

    @precondition(lambda self: self.reference.is_open and self.reference.hello == "EHLO" and self.reference.recipients is None)
    @rule(octets=st.sampled_from([SOUND, REFUSED]))
    def group(self, octets: bytes) -> None:
        """A whole message in one segment (RFC 2920), chunks behind it."""
        reference = self.reference
        codes = [reference.mail(), reference.rcpt(UNKNOWN), reference.rcpt(GOOD), reference.bdat(octets, last=True)]
        lines = b"MAIL FROM:<a@example.net>\r\nRCPT TO:" + UNKNOWN + b"\r\nRCPT TO:" + GOOD + b"\r\n"
        self.say(lines + b"BDAT %d LAST\r\n%s" % (len(octets), octets), *codes)

    @precondition(lambda self: not self.reference.is_open)
    @rule(octets=st.sampled_from([b"NOOP\r\n", b"MAIL FROM:<a@example.net>\r\n", b"x" * 5000]))
    def nobody_listens_any_more(self, octets: bytes) -> None:
        self.say(octets)

    @precondition(lambda self: self.reference.is_open)
    @rule()
    def leave(self) -> None:
        self.reference.is_open = False
        self.say(b"QUIT\r\n", 221)


test_t_state_10_any_order_of_commands_gets_the_replies_of_the_reference = Dialogue.TestCase
test_t_state_10_any_order_of_commands_gets_the_replies_of_the_reference.settings = settings(
    max_examples=150, stateful_step_count=40, deadline=None
)
