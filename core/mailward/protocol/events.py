"""The events that the machines of POP3 and ManageSieve have in common."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class CommandCompleted:
    """The machine has answered a command by itself and asks for nothing. Others may have their turn before the next."""


@dataclass(frozen=True, slots=True)
class TlsAsked:
    """The command that begins TLS was answered: send that, then the handshake."""


@dataclass(frozen=True, slots=True)
class SaslAsked:
    """Begin an exchange. mechanism: one of those offered. response: the initial one, None when there was none."""

    mechanism: str
    response: bytes | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class SaslResponse:
    """The client's answer to a challenge."""

    response: bytes = field(repr=False)
