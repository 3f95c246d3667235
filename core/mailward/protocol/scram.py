"""SCRAM-SHA-256 (RFC 5802, RFC 7677): the server's side, its keys, and how a client's proof is checked against them.

Without channel binding: TLS ends in another process than the one this runs in. An account may have several secrets (a main
password and app passwords); they share salt and iteration count, and a proof is tried against the keys of each.
"""

import base64
import binascii
import hashlib
import hmac
import re
import secrets
import stringprep
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field

from mailward.model.proof import ScramKeys
from mailward.protocol.sasl import Ask, Offer, SaltWanted, SaslError, SaslStep

NAME = "SCRAM-SHA-256"
ITERATIONS = 64_000
"""Of every key we make. RFC 7677 asks for at least 4096; Cyrus SASL, which mbsync and others use, refuses more than 65 536."""
SALT_OCTETS = 16

_SASLNAME = rb"(?:[^\x00,=]|=2C|=3D)+"
_CLIENT_FIRST = re.compile(
    rb"(?P<gs2>(?P<flag>[ny]|p=[A-Za-z0-9.-]+),(?:a=(?P<authzid>%b))?,)"
    rb"(?P<bare>n=(?P<name>%b),r=(?P<nonce>[\x21-\x2b\x2d-\x7e]+)(?:,[A-Za-z]=[^\x00,]+)*)" % (_SASLNAME, _SASLNAME)
)
_CLIENT_FINAL = re.compile(
    rb"(?P<unproved>c=(?P<binding>[A-Za-z0-9+/=]+),r=(?P<nonce>[\x21-\x2b\x2d-\x7e]+)(?:,[A-Za-z]=[^\x00,]+)*)"
    rb",p=(?P<proof>[A-Za-z0-9+/=]+)"
)


def scram_keys(password: str, salt: bytes, iterations: int) -> ScramKeys | None:
    """The keys of a password; None when SASLprep does not allow it, and then it is no good for SCRAM. Takes some 50 ms."""
    prepared = saslprep(password)
    if not prepared:
        return None
    salted = hashlib.pbkdf2_hmac("sha256", prepared.encode("utf-8"), salt, iterations)
    return ScramKeys(hashlib.sha256(_hmac(salted, b"Client Key")).digest(), _hmac(salted, b"Server Key"))


@dataclass(slots=True)
class ScramProof:
    """A client's `model.proof.Proof`; it remembers by which it was right, for the server's own proof."""

    auth_message: bytes = field(repr=False)
    client_proof: bytes = field(repr=False)
    server_signature: bytes | None = field(default=None, repr=False)

    def is_of(self, keys: ScramKeys) -> bool:
        """Was it made with the secret these keys are of?"""
        signature = _hmac(keys.stored_key, self.auth_message)
        client_key = bytes(a ^ b for a, b in zip(signature, self.client_proof, strict=True))
        if not hmac.compare_digest(hashlib.sha256(client_key).digest(), keys.stored_key):
            return False
        self.server_signature = _hmac(keys.server_key, self.auth_message)
        return True


class ScramServer:
    """One exchange, as `protocol.sasl.Mechanism`. nonce: given by tests only."""

    def __init__(self, nonce: Callable[[], str] = lambda: secrets.token_urlsafe(24)) -> None:
        self._own_nonce = nonce().encode("ascii")
        self._gs2_header = b""
        self._client_first_bare = b""
        self._nonce = b""
        self._name = ""
        self._server_first: bytes | None = None
        self._proof: ScramProof | None = None

    def respond(self, response: bytes | None) -> SaslStep:
        if response is None and not self._nonce:
            return Ask(b"")
        return self._client_final(response or b"") if self._nonce else self._client_first(response or b"")

    def _salted(self, salt: bytes, iterations: int) -> Ask:
        self._server_first = b"r=%b,s=%b,i=%d" % (self._nonce, base64.b64encode(salt), iterations)
        return Ask(self._server_first)

    def final(self) -> bytes | None:
        """The server's proof that it knows the secret; the client answers it with nothing."""
        signature = self._proof.server_signature if self._proof is not None else None
        if signature is None:
            raise SaslError("failed", "accepted by somebody who has no SCRAM keys")
        return b"v=" + base64.b64encode(signature)

    def _client_first(self, message: bytes) -> SaltWanted:
        match = _CLIENT_FIRST.fullmatch(message)
        if match is None:
            raise SaslError("malformed", "no client-first-message")
        if match["flag"].startswith(b"p="):
            raise SaslError("failed", "channel binding was asked for and is not offered")
        name = _saslname(match["name"])
        if match["authzid"] is not None and _saslname(match["authzid"]).lower() != name.lower():
            raise SaslError("failed", "somebody else's account was asked for")
        self._gs2_header, self._client_first_bare, self._name = match["gs2"], match["bare"], name
        self._nonce = match["nonce"] + self._own_nonce
        return SaltWanted(name, self._salted)

    def _client_final(self, message: bytes) -> Offer:
        match = _CLIENT_FINAL.fullmatch(message)
        if match is None or self._server_first is None:
            raise SaslError("malformed", "no client-final-message")
        proof = _base64(match["proof"])
        if len(proof) != hashlib.sha256().digest_size:
            raise SaslError("malformed", "the proof is of another length")
        if match["nonce"] != self._nonce or _base64(match["binding"]) != self._gs2_header:
            raise SaslError("failed", "nonce or gs2 header is not that of this exchange")
        auth_message = b",".join((self._client_first_bare, self._server_first, match["unproved"]))
        self._proof = ScramProof(auth_message, proof)
        return Offer(self._name, None, self._proof)


def saslprep(text: str) -> str | None:
    """RFC 4013; None for what it prohibits. Characters that Unicode 3.2 did not know are allowed, as in a query."""
    mapped = "".join(
        " " if stringprep.in_table_c12(character) else character
        for character in text
        if not stringprep.in_table_b1(character) or stringprep.in_table_c12(character)
    )
    prepared = unicodedata.ucd_3_2_0.normalize("NFKC", mapped)
    if any(table(character) for character in prepared for table in _PROHIBITED):
        return None
    if any(stringprep.in_table_d1(character) for character in prepared):  # RFC 3454 section 6
        ends = prepared[0], prepared[-1]
        if any(stringprep.in_table_d2(c) for c in prepared) or not all(stringprep.in_table_d1(c) for c in ends):
            return None
    return prepared


_PROHIBITED = (
    stringprep.in_table_c12, stringprep.in_table_c21_c22, stringprep.in_table_c3, stringprep.in_table_c4,
    stringprep.in_table_c5, stringprep.in_table_c6, stringprep.in_table_c7, stringprep.in_table_c8, stringprep.in_table_c9,
)  # fmt: skip


def _saslname(octets: bytes) -> str:
    try:
        return octets.replace(b"=2C", b",").replace(b"=3D", b"=").decode("utf-8")
    except UnicodeDecodeError:
        raise SaslError("malformed", "the name is not UTF-8") from None


def _base64(octets: bytes) -> bytes:
    try:
        return base64.b64decode(octets, validate=True)
    except binascii.Error:
        raise SaslError("malformed", "base64 was expected") from None


def _hmac(key: bytes, message: bytes) -> bytes:
    return hmac.digest(key, message, "sha256")
