"""The states of one SMTP server connection, the legal moves between them, and which command is taken in which state."""

import enum
from dataclasses import dataclass


class State(enum.Enum):
    """Where a connection stands."""

    CONNECTED = "before the greeting"
    START = "before EHLO"
    GREETED = "no transaction"
    MAIL = "a reverse-path, no forward-path yet"
    RCPT = "at least one forward-path"
    DATA = "mail data is coming"
    CHUNKS = "chunks have come, the last one has not"
    TLS = "between STARTTLS and the handshake"
    AUTH = "in an exchange that AUTH began"
    CLOSED = "over"


MOVES: dict[State, frozenset[State]] = {
    State.CONNECTED: frozenset({State.START, State.CLOSED}),
    State.START: frozenset({State.START, State.GREETED, State.CLOSED}),
    State.GREETED: frozenset({State.START, State.GREETED, State.MAIL, State.TLS, State.AUTH, State.CLOSED}),
    State.MAIL: frozenset({State.RCPT, State.GREETED, State.CLOSED}),
    State.RCPT: frozenset({State.RCPT, State.DATA, State.GREETED, State.CLOSED}),
    State.DATA: frozenset({State.CHUNKS, State.GREETED, State.CLOSED}),
    State.CHUNKS: frozenset({State.DATA, State.GREETED, State.CLOSED}),
    State.TLS: frozenset({State.START, State.GREETED, State.CLOSED}),
    State.AUTH: frozenset({State.GREETED, State.CLOSED}),
    State.CLOSED: frozenset(),
}

_GREETED = frozenset({State.GREETED})
_IN_TRANSACTION = frozenset({State.MAIL, State.RCPT})

TAKEN_IN: dict[bytes, frozenset[State]] = {
    b"MAIL": _GREETED,
    b"RCPT": _IN_TRANSACTION,
    b"DATA": frozenset({State.RCPT}),
    b"BDAT": frozenset({State.RCPT, State.CHUNKS}),
    b"STARTTLS": _GREETED,
    b"AUTH": _GREETED,
    b"XCLIENT": frozenset({State.START, State.GREETED}),
}
"""Commands bound to a state; every other command is taken in any state that reads commands (RFC 5321 section 4.1.4)."""

NEEDS_LOGIN = frozenset({b"MAIL", b"RCPT", b"DATA", b"BDAT", b"VRFY"})
"""Commands that a submission listener takes only from who has logged in (RFC 4954 section 6, reply 530; RFC 6409 section 4.3)."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Every limit of the machine. Octets and counts; what happens past each stands behind it."""

    command_line_octets: int = 2048  # 500 5.5.2
    auth_line_octets: int = 12_288  # the same, 500 5.5.6 within an exchange; RFC 4954 section 4 wants as many
    endless_line_octets: int = 65_536  # 421 4.7.0 and close
    long_lines: int = 3  # 421 4.7.0 and close
    recipients: int = 1000  # 452 4.5.3; RFC 5321 4.5.3.1.8 wants at least 100
    errors: int = 20  # 421 4.7.0 and close
    failed_logins: int = 5  # 421 4.7.0 and close
    junk_commands: int = 100  # without a message in between: 421 4.7.0 and close
    message_octets: int = 52_428_800  # 552 5.3.4, at MAIL by SIZE or at the end of data
    excess_octets: int = 52_428_800  # how much of a too big message, or of chunks nobody wants, is read away: 552 5.3.4 and close
    chunks: int = 20_000  # of one message: 421 4.7.0 and close
    hold_s: int = 30 * 86_400  # how long a submitted message may be held: 501 5.5.4
    content_line_octets: int = 1_048_576  # 552 5.3.4 at the end of data
