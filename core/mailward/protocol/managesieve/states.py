"""The states of one ManageSieve session, the legal moves between them, its limits, and what it offers (RFC 5804)."""

import enum
from dataclasses import dataclass


class State(enum.Enum):
    """Where a session stands. In SASL it waits for the client's response."""

    BEFORE_LOGIN = "nobody has logged in"
    SASL = "an exchange is under way: a string is a response, not a command"
    LOGGED_IN = "scripts can be managed"
    CLOSED = "over"


MOVES: dict[State, frozenset[State]] = {
    State.BEFORE_LOGIN: frozenset({State.BEFORE_LOGIN, State.SASL, State.LOGGED_IN, State.CLOSED}),
    State.SASL: frozenset({State.BEFORE_LOGIN, State.LOGGED_IN, State.CLOSED}),
    State.LOGGED_IN: frozenset({State.CLOSED}),
    State.CLOSED: frozenset(),
}


@dataclass(frozen=True, slots=True)
class Offers:
    """What CAPABILITY tells. mechanisms: SASL's, the best first. extensions: Sieve's. notify: the schemes of URIs that scripts
    may notify by. lists: the schemes of URIs that name lists (RFC 6134). max_redirects: of one run of a script.
    """

    mechanisms: tuple[str, ...]
    extensions: tuple[str, ...]
    notify: tuple[str, ...]
    lists: tuple[str, ...]
    max_redirects: int


@dataclass(frozen=True, slots=True)
class Limits:
    """script_octets: the longest script. passed_over_octets: of one that is longer and refused; past that the session ends.
    bad_commands: commands that were none and logins that failed, then the session ends.
    """

    script_octets: int
    passed_over_octets: int = 16 * 1024 * 1024
    bad_commands: int = 20
