"""A login as the protocols see it: a SASL exchange (RFC 4422) with the process that checks logins.

The protocols frame challenges and responses in their own ways; this is all they know of passwords. A command that carries name
and password (IMAP's LOGIN, POP3's PASS) is `password_login`.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal, Protocol

from mailward.api.logins import LoginProtocol
from mailward.model.identity import Identity
from mailward.model.session import TlsFacts


@dataclass(frozen=True, slots=True)
class LoginPeer:
    """Where a login comes from."""

    protocol: LoginProtocol
    listener: str
    peer_ip: str
    tls: TlsFacts | None


@dataclass(frozen=True, slots=True)
class Challenge:
    """Send these octets (base64 on all protocols) and come back with the client's response."""

    octets: bytes


@dataclass(frozen=True, slots=True)
class Accepted:
    """The login is good."""

    identity: Identity


@dataclass(frozen=True, slots=True)
class Refused:
    """The login is over. failed: wrong, for whatever reason. malformed: not of the mechanism. unavailable: try again later."""

    reason: Literal["failed", "malformed", "unavailable"]


Step = Challenge | Accepted | Refused


class Exchange(Protocol):
    """One exchange; after `Accepted` or `Refused` it is over. One that is simply dropped leaves nothing behind."""

    async def step(self, response: bytes | None) -> Step:
        """The next step. response: decoded; None in the first step when the client gave no initial response.

        May take long, since who fails often must wait. Never raises but for cancellation.
        """
        ...


class Authenticator(Protocol):
    """Begins exchanges, and knows how long what they brought stays good."""

    @property
    def mechanisms(self) -> tuple[str, ...]:
        """Their registered names, the best first. All of them need TLS underneath: the protocols see to that."""
        ...

    def begin(self, peer: LoginPeer, mechanism: str) -> Exchange:
        """A new exchange. mechanism: one of `mechanisms`; any other is refused in the first step."""
        ...

    async def revoked(self, identities: Collection[Identity]) -> frozenset[Identity]:
        """Those who may go on no longer: the secret was revoked or has expired, another main password was set, or the account is
        disabled.

        Of one whose credential is "" only the last can be told: a plugin checked the secret. Raises LoginUnavailable.
        """
        ...


async def password_login(authenticator: Authenticator, peer: LoginPeer, name: bytes, password: bytes) -> Step:
    """A PLAIN exchange for a command that carries name and password. Its client knows nothing of mechanisms, so what is not of
    this one (an empty password, a NUL) is a wrong password to it."""
    step = await authenticator.begin(peer, "PLAIN").step(plain_response(name, password))
    return Refused("failed") if step == Refused("malformed") else step


def plain_response(name: bytes, password: bytes) -> bytes:
    """The message of PLAIN (RFC 4616) for a name and password. A NUL in either makes it malformed there."""
    return b"\0" + name + b"\0" + password
