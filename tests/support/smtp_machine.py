"""Drives the SMTP server machine as the adapter does, with a directory of one domain and a policy of one word."""

from collections.abc import Coroutine
from datetime import UTC, datetime
from typing import Any, TypeVar

from mailward.auth.exchange import Exchange, LoginPeer
from mailward.intake.authenticating import answer_of
from mailward.model.errors import LoginUnavailable
from mailward.model.ids import AccountId
from mailward.model.replies import LOCAL_ERROR, MAILBOX_FULL, REJECTED, RELAY_DENIED, START_MAIL_INPUT, UNKNOWN_RECIPIENT
from mailward.model.reply import reply
from mailward.policy.ruling import with_id
from mailward.protocol.smtp.events import (
    Answer,
    Asked,
    AuthAsked,
    AuthResponse,
    Content,
    DataAsked,
    Event,
    Greeted,
    MailAsked,
    MessageAsked,
    RcptAsked,
    RecipientReplies,
    TlsAsked,
    TransactionDropped,
    XclientAsked,
)
from mailward.protocol.smtp.server import SmtpServer
from mailward.protocol.smtp.states import Limits
from support.plain_book import PlainAuthenticator

T = TypeVar("T")

OPENED_AT = datetime(2026, 1, 2, 3, 4, 5, 999_999, tzinfo=UTC)
LIMITS = Limits(message_octets=10_000, excess_octets=5_000)


def machine(listener: str = "mx", limits: Limits = LIMITS) -> SmtpServer:
    """The machine of a listener: mx, lmtp, submission (STARTTLS) or submissions (TLS from the first octet); trusted: mx, for a peer
    that may use XCLIENT.
    """
    tls = listener == "submissions"
    mechanisms = None if listener in ("mx", "lmtp", "trusted") else ("PLAIN", "LOGIN", "SCRAM-SHA-256")
    made = SmtpServer(
        "mx.example.org",
        limits,
        offer_starttls=not tls,
        tls=tls,
        mechanisms=mechanisms,
        lmtp=listener == "lmtp",
        opened_at=OPENED_AT,
    )
    if listener == "trusted":
        made.trust_xclient(trusted=True)
    return made


def password_of(name: str) -> tuple[AccountId, str] | None:
    if name == "unavailable":
        raise LoginUnavailable("down")
    password = {"alice": "secret", "user": "pencil"}.get(name)
    return None if password is None else (AccountId(name), password)


def at_once(work: Coroutine[Any, Any, T]) -> T:
    """What a coroutine returns that has nothing to wait for."""
    try:
        work.send(None)
    except StopIteration as end:
        value: T = end.value
        return value
    raise AssertionError("it waits")


class Client:
    """Feeds octets, answers what the machine asks, keeps replies, events and the messages that were taken or rejected.

    example.org is ours, "nobody" is not there; a message that holds REJECT is rejected, one that holds EACH by recipients with
    "no" in their names, and put off by those with "later". alice's password is "secret", "user" has
    the one of RFC 7677, nobody can tell about "unavailable".
    """

    def __init__(self, machine: SmtpServer, *, greet: bool = True) -> None:
        self.machine = machine
        self.logins = PlainAuthenticator(password_of)
        self._exchange: Exchange | None = None
        self.replies: list[str] = []
        self.events: list[Event] = []
        self.messages: list[bytes] = []
        self._content = b""
        self._taken: list[str] = []
        self.wants_tls = False
        if greet:
            self._carry_out(machine.greet())

    def send(self, octets: bytes, *, octet_by_octet: bool = False) -> None:
        if octet_by_octet:
            for place in range(len(octets)):
                self._carry_out(self.machine.receive_data(octets[place : place + 1]))
        else:
            self._carry_out(self.machine.receive_data(octets))

    def shake_hands(self) -> None:
        assert self.wants_tls
        self.wants_tls = False
        self._carry_out(self.machine.tls_started())

    def next_reply_matches(self, expected: str) -> bool:
        if not self.replies:
            return False
        reply_line = self.replies.pop(0)
        if expected == "250-...":
            while reply_line.startswith("250-"):
                reply_line = self.replies.pop(0)
            return reply_line.startswith("250 ")
        return reply_line.startswith(expected[:-3]) if expected.endswith("...") else reply_line == expected

    def _carry_out(self, events: list[Event]) -> None:
        while events:
            self.events += events
            for event in events:
                if isinstance(event, Content):
                    self._content += event.octets
                elif isinstance(event, TransactionDropped | Greeted):
                    self._content = b""
            last = events[-1]
            if isinstance(last, TlsAsked):
                self.wants_tls = True
                break
            if not isinstance(last, Asked):
                break
            events = self.machine.decide(self._decide(last))
        self.replies += self.machine.data_to_send().decode("ascii").split("\r\n")[:-1]

    def _decide(self, event: Asked) -> Answer:
        match event:
            case MailAsked():
                self._taken = []
                return reply(250, "2.1.0", "OK")
            case RcptAsked(path):
                if path.address.domain not in ("example.org", ""):
                    return RELAY_DENIED
                if path.address.local_part.lower() == "nobody":
                    return UNKNOWN_RECIPIENT
                if path.address.local_part.lower() == "full":
                    return with_id(MAILBOX_FULL, "q1")
                self._taken.append(path.address.local_part)
                return reply(250, "2.1.5", "OK")
            case DataAsked():
                self._content = b""
                return START_MAIL_INPUT
            case MessageAsked(size_octets, _):
                assert size_octets == len(self._content)
                self.messages.append(self._content)
                if b"EACH" in self._content:
                    return self._each()
                return REJECTED if b"REJECT" in self._content else reply(250, "2.0.0", "Accepted")
            case AuthAsked(mechanism, initial):
                self._exchange = self.logins.begin(LoginPeer("smtp", "submission", "192.0.2.1", None), mechanism)
                return answer_of(at_once(self._exchange.step(initial)))
            case AuthResponse(octets):
                assert self._exchange is not None
                return answer_of(at_once(self._exchange.step(octets)))
            case XclientAsked():
                return reply(250, None, "OK")
            case TlsAsked():
                raise AssertionError("not decided here")

    def _each(self) -> RecipientReplies:
        each = tuple(
            REJECTED if "no" in name else LOCAL_ERROR if "later" in name else reply(250, "2.0.0", "Accepted")
            for name in self._taken
        )
        return RecipientReplies(each, min(each, key=lambda answer: answer.code // 100))
