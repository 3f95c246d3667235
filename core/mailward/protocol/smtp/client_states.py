"""The states of one SMTP or LMTP client connection, the legal moves between them, what is awaited, and what the machine tells."""

import enum
from dataclasses import dataclass, field

from mailward.model.reply import Reply
from mailward.protocol.smtp.outgoing import Extensions, Outcome
from mailward.protocol.smtp.replies import ReplyLimits


class State(enum.Enum):
    """Where a connection stands."""

    OPENING = "greeting and EHLO"
    READY = "no transaction"
    STARTTLS = "STARTTLS was sent"
    HANDSHAKE = "between the 220 and the end of the handshake"
    LOGIN = "AUTH was sent"
    TRANSACTION = "a message is on its way"
    QUITTING = "QUIT was sent"
    ENDED = "over"


MOVES: dict[State, frozenset[State]] = {
    State.OPENING: frozenset({State.READY, State.ENDED}),
    State.READY: frozenset({State.STARTTLS, State.LOGIN, State.TRANSACTION, State.QUITTING, State.ENDED}),
    State.STARTTLS: frozenset({State.HANDSHAKE, State.READY, State.ENDED}),
    State.HANDSHAKE: frozenset({State.OPENING, State.ENDED}),
    State.LOGIN: frozenset({State.READY, State.ENDED}),
    State.TRANSACTION: frozenset({State.READY, State.ENDED}),
    State.QUITTING: frozenset({State.ENDED}),
    State.ENDED: frozenset(),
}


class Step(enum.Enum):
    """What a reply can be awaited for; RFC 5321 section 4.5.3.2 gives each its time."""

    GREETING = "the greeting"
    EHLO = "EHLO"  # LHLO with LMTP
    HELO = "HELO"
    STARTTLS = "STARTTLS"
    AUTH = "AUTH"
    RSET = "RSET"
    MAIL = "MAIL"
    RCPT = "RCPT"
    DATA = "DATA"
    MESSAGE = "the end of the message"
    QUIT = "QUIT"


class Fault(enum.Enum):
    """Why a connection is of no more use."""

    LOST = "the connection was lost"
    TIMED_OUT = "no reply in time"
    MALFORMED = "what came is no sound reply"
    UNEXPECTED = "a reply that does not answer the command"
    EARLY = "a reply before anything was asked"
    MISCOUNTED = "more replies to the message than recipients"
    INJECTION = "plain text behind the 220 of STARTTLS"
    REFUSED = "the server refuses to talk to us"
    CLOSING = "the server closes the connection"


@dataclass(frozen=True, slots=True)
class Ready:
    """The server has greeted us and knows us: a transaction, STARTTLS or QUIT may follow."""

    extensions: Extensions


@dataclass(frozen=True, slots=True)
class TlsReady:
    """220 with nothing behind it: shake hands, then call `tls_started`."""


@dataclass(frozen=True, slots=True)
class TlsRefused:
    """STARTTLS was offered and refused; the connection goes on in clear if the caller wants that."""

    reply: Reply


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """The server knows who we are, and has proved itself where the mechanism lets it."""


@dataclass(frozen=True, slots=True)
class LoginRefused:
    """No transaction is to be begun. text: what the server said, or what is wrong with it."""

    text: str


@dataclass(frozen=True, slots=True)
class TransactionEnded:
    """One outcome for each forward-path, in their order."""

    outcomes: tuple[Outcome, ...]


@dataclass(frozen=True, slots=True)
class Broken:
    """Close the connection. Comes after the `TransactionEnded` of a transaction that it cuts short.

    reply: what the server said, when that is why. text: one plain sentence.
    """

    fault: Fault
    text: str
    reply: Reply | None = None


@dataclass(frozen=True, slots=True)
class Closed:
    """QUIT was answered, or the server closed while we waited for that."""


Event = Ready | TlsReady | TlsRefused | LoggedIn | LoginRefused | TransactionEnded | Broken | Closed


@dataclass(frozen=True, slots=True)
class ClientLimits:
    """piece_octets: how much of a message is handed out at once."""

    replies: ReplyLimits = field(default_factory=ReplyLimits)
    piece_octets: int = 65_536
