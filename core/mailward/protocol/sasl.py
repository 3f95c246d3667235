"""SASL mechanisms, the server's side (RFC 4422): from a client's responses to the name and secret it offers.

Machines without I/O, for one exchange each. They know no passwords: whether an offer is good is decided by `auth`. Above them
is what the protocols share of framing: challenges and responses as base64 (RFC 4954 section 4, RFC 4959, RFC 5034).
"""

import binascii
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, Protocol

from mailward.model.proof import Proof

MAX_RESPONSE_OCTETS = 4096
"""No response of these mechanisms needs more; longer ones are malformed unseen."""


class NoResponseError(Exception):
    """What the client sent is no response. was_cancelled: it gives the exchange up; otherwise it is not base64."""

    def __init__(self, *, was_cancelled: bool) -> None:
        super().__init__("the client cancelled" if was_cancelled else "not base64")
        self.was_cancelled = was_cancelled


def encode(challenge: bytes) -> bytes:
    """A challenge as it is sent, behind "334 " or "+ "."""
    return binascii.b2a_base64(challenge, newline=False)


def initial_response(word: bytes) -> bytes:
    """The word behind the mechanism's name; "=" is a response of no octets. Raises NoResponseError."""
    return b"" if word == b"=" else _decode(word)


def response(line: bytes) -> bytes:
    """The line that answers a challenge; "*" cancels the exchange. Raises NoResponseError."""
    if line == b"*":
        raise NoResponseError(was_cancelled=True)
    return _decode(line)


def _decode(text: bytes) -> bytes:
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        raise NoResponseError(was_cancelled=False) from None


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
    """The mechanism needs what belongs to this name; go on with what `salted` makes of salt and iteration count."""

    name: str
    salted: Callable[[bytes, int], Ask] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Offer:
    """What the client offers to prove a name. password: in clear, None where the mechanism has a proof instead."""

    name: str
    password: str | None = field(repr=False)
    proof: Proof | None = field(default=None, repr=False)


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
