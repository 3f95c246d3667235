"""SASL mechanisms, the client's side (RFC 4422): how we log in to a smarthost. Machines without I/O, for one exchange each."""

import base64
import binascii
import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Collection
from typing import Protocol

from mailward.protocol.sasl import SaslError
from mailward.protocol.scram import saslprep

LEAST_ITERATIONS = 4096
"""RFC 7677 section 4: with fewer, who listened to the exchange could guess the password."""
MOST_ITERATIONS = 200_000
"""Some 100 ms, in which nothing else is done; nobody is known to ask for more."""

_SERVER_FIRST = re.compile(
    rb"r=(?P<nonce>[\x21-\x2b\x2d-\x7e]+),s=(?P<salt>[A-Za-z0-9+/=]+),i=(?P<count>[1-9][0-9]{0,8})(?:,.*)?"
)
_SERVER_FINAL = re.compile(rb"v=(?P<signature>[A-Za-z0-9+/=]+)(?:,.*)?")


class ClientMechanism(Protocol):
    """One exchange. name: as in AUTH. is_done: may the server call it a success now?"""

    name: str

    @property
    def is_done(self) -> bool: ...

    def first(self) -> bytes | None:
        """What is said before any challenge, None for nothing."""
        ...

    def respond(self, challenge: bytes) -> bytes:
        """The response to a challenge. Raises SaslError when the server is not to be gone on with."""
        ...


class PlainClient:
    """PLAIN (RFC 4616)."""

    name = "PLAIN"
    is_done = True

    def __init__(self, user: str, password: str) -> None:
        self._message = b"\0" + user.encode() + b"\0" + password.encode()

    def first(self) -> bytes:
        return self._message

    def respond(self, challenge: bytes) -> bytes:
        raise SaslError("malformed", "PLAIN has no challenge")


class LoginClient:
    """LOGIN: name and password, to whatever is asked."""

    name = "LOGIN"

    def __init__(self, user: str, password: str) -> None:
        self._left = [password.encode(), user.encode()]

    @property
    def is_done(self) -> bool:
        return not self._left

    def first(self) -> None:
        return None

    def respond(self, challenge: bytes) -> bytes:
        if not self._left:
            raise SaslError("malformed", "LOGIN asks for a third answer")
        return self._left.pop()


class ScramClient:
    """SCRAM-SHA-256 (RFC 5802, RFC 7677), without channel binding. The server proves that it knows the password, too.

    nonce: given by tests only.
    """

    name = "SCRAM-SHA-256"

    def __init__(self, user: str, password: str, nonce: Callable[[], str] = lambda: secrets.token_urlsafe(24)) -> None:
        """password: what `saslprep` made of it."""
        name = user.replace("=", "=3D").replace(",", "=2C")
        self._password = password.encode()
        self._nonce = nonce().encode()
        self._first_bare = b"n=" + name.encode() + b",r=" + self._nonce
        self._signature: bytes | None = None
        self.is_done = False

    def first(self) -> bytes:
        return b"n,," + self._first_bare

    def respond(self, challenge: bytes) -> bytes:
        if self.is_done:
            raise SaslError("malformed", "SCRAM asks for a third answer")
        return self._final(challenge) if self._signature is None else self._check(challenge, self._signature)

    def _final(self, challenge: bytes) -> bytes:
        found = _SERVER_FIRST.fullmatch(challenge)
        if found is None or not found["nonce"].startswith(self._nonce) or found["nonce"] == self._nonce:
            raise SaslError("malformed", "no server-first-message of this exchange")
        count = int(found["count"])
        if not LEAST_ITERATIONS <= count <= MOST_ITERATIONS:
            raise SaslError("failed", f"it wants {count} iterations, and not {LEAST_ITERATIONS} to {MOST_ITERATIONS}")
        salted = hashlib.pbkdf2_hmac("sha256", self._password, _base64(found["salt"]), count)
        client_key = hmac.digest(salted, b"Client Key", "sha256")
        unproved = b"c=biws,r=" + found["nonce"]
        auth_message = b",".join((self._first_bare, challenge, unproved))
        proof = hmac.digest(hashlib.sha256(client_key).digest(), auth_message, "sha256")
        self._signature = hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), auth_message, "sha256")
        return unproved + b",p=" + base64.b64encode(bytes(a ^ b for a, b in zip(client_key, proof, strict=True)))

    def _check(self, challenge: bytes, signature: bytes) -> bytes:
        found = _SERVER_FINAL.fullmatch(challenge)
        if found is None or not hmac.compare_digest(_base64(found["signature"]), signature):
            raise SaslError("failed", "the server does not know the password itself")
        self.is_done = True
        return b""


def choose(offered: Collection[str], user: str, password: str) -> ClientMechanism | None:
    """The best mechanism that the server offers, None when it offers none of ours."""
    prepared = saslprep(password)
    if "SCRAM-SHA-256" in offered and prepared:
        return ScramClient(user, prepared)
    if "PLAIN" in offered:
        return PlainClient(user, password)
    return LoginClient(user, password) if "LOGIN" in offered else None


def _base64(octets: bytes) -> bytes:
    try:
        return base64.b64decode(octets, validate=True)
    except binascii.Error:
        raise SaslError("malformed", "base64 was expected") from None
