"""SASL mechanisms, the server's side (RFC 4422): from a client's responses to the name and secret it offers.

Machines without I/O, for one exchange each. They know no passwords: whether an offer is good is decided by `auth`.
"""

from dataclasses import dataclass, field
from typing import Literal, Protocol

MAX_RESPONSE_OCTETS = 4096
"""No response of these mechanisms needs more; longer ones are malformed unseen."""


class SaslError(Exception):
    """The exchange is over. malformed: the response is not of the mechanism; failed: it is, and cannot be good."""

    def __init__(self, reason: Literal["failed", "malformed"], why: str) -> None:
        super().__init__(why)
        self.reason: Literal["failed", "malformed"] = reason


@dataclass(frozen=True, slots=True)
class Ask:
    """Send this challenge."""

    octets: bytes


@dataclass(frozen=True, slots=True)
class SaltWanted:
    """The mechanism needs what belongs to this name; go on with `ScramServer.salted`."""

    name: str


@dataclass(frozen=True, slots=True)
class Offer:
    """What the client offers to prove a name. password: in clear, None where the mechanism has a proof instead."""

    name: str
    password: str | None = field(repr=False)
    proof: object = field(default=None, repr=False)


SaslStep = Ask | SaltWanted | Offer


class Mechanism(Protocol):
    """One exchange."""

    def respond(self, response: bytes | None) -> SaslStep:
        """What follows from the client's response, None in the beginning when it gave none. Raises SaslError."""
        ...

    def final(self) -> bytes | None:
        """The last challenge, once the offer was found good; None when the mechanism has none. Raises SaslError."""
        ...


class PlainServer:
    """PLAIN (RFC 4616)."""

    def respond(self, response: bytes | None) -> SaslStep:
        if response is None:
            return Ask(b"")
        parts = response.split(b"\0")
        if len(parts) != 3 or not parts[1] or not parts[2]:
            raise SaslError("malformed", "name and password between NULs were expected")
        authzid, name, password = (_text(part) for part in parts)
        if authzid and authzid.lower() != name.lower():
            raise SaslError("failed", "somebody else's account was asked for")
        return Offer(name, password)

    def final(self) -> bytes | None:
        return None


class LoginServer:
    """LOGIN: name and password one after the other. No RFC describes it, old clients want it."""

    def __init__(self) -> None:
        self._name: str | None = None

    def respond(self, response: bytes | None) -> SaslStep:
        if response is None:
            return Ask(b"Username:")
        if not response:
            raise SaslError("malformed", "an empty response")
        if self._name is None:
            self._name = _text(response)
            return Ask(b"Password:")
        return Offer(self._name, _text(response))

    def final(self) -> bytes | None:
        return None


def _text(octets: bytes) -> str:
    if b"\0" in octets:
        raise SaslError("malformed", "NUL in a name or password")
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        raise SaslError("malformed", "name and password are UTF-8") from None
