"""The states of one POP3 session, the legal moves between them, and which command is taken in which state (RFC 1939)."""

import enum
from dataclasses import dataclass


class State(enum.Enum):
    """Where a session stands. SASL and UPDATE wait for somebody: the client's response, the commit."""

    AUTHORIZATION = "nobody has logged in"
    SASL = "an exchange is under way: a line is a response, not a command"
    TRANSACTION = "a maildrop is open"
    UPDATE = "deletions are being carried out"
    CLOSED = "over"


MOVES: dict[State, frozenset[State]] = {
    State.AUTHORIZATION: frozenset({State.AUTHORIZATION, State.SASL, State.TRANSACTION, State.CLOSED}),
    State.SASL: frozenset({State.AUTHORIZATION, State.TRANSACTION, State.CLOSED}),
    State.TRANSACTION: frozenset({State.UPDATE, State.CLOSED}),
    State.UPDATE: frozenset({State.CLOSED}),
    State.CLOSED: frozenset(),
}

_BEFORE = frozenset({State.AUTHORIZATION})
_AFTER = frozenset({State.TRANSACTION})

TAKEN_IN: dict[bytes, frozenset[State]] = {
    b"CAPA": _BEFORE | _AFTER,
    b"STLS": _BEFORE,
    b"UTF8": _BEFORE,
    b"LANG": _BEFORE | _AFTER,
    b"USER": _BEFORE,
    b"PASS": _BEFORE,
    b"AUTH": _BEFORE,
    b"STAT": _AFTER,
    b"LIST": _AFTER,
    b"UIDL": _AFTER,
    b"RETR": _AFTER,
    b"TOP": _AFTER,
    b"DELE": _AFTER,
    b"RSET": _AFTER,
    b"NOOP": _AFTER,
    b"QUIT": _BEFORE | _AFTER,
}
"""Every command there is. APOP is not among them: it needs passwords kept in clear."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Every limit of the machine. Octets with the CRLF, and counts; what happens past each stands behind it."""

    command_octets: int = 255  # -ERR; RFC 2449 section 4
    auth_octets: int = 12_288  # an AUTH command or a response: -ERR; RFC 4422 leaves it to the mechanism
    endless_octets: int = 65_536  # -ERR and close
    bad_commands: int = 20  # commands that were none and logins that failed: -ERR and close
