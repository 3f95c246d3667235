"""Which keys does a domain sign with, and what does it publish of them? (RFC 6376 section 3.6.1, RFC 8301, RFC 8463)

A key is a secret file, PKCS#8 in PEM, named by its selector; where it lies says what it does:

    <domain>/<selector>.pem         signs, and is published
    <domain>/next/<selector>.pem    is published and waits to sign
    <domain>/old/<selector>.pem     is published for mail that it signed before

A file that is there and cannot be used is an error and never a missing key: a domain that signs must not send unsigned mail.
"""

from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from typing import Literal

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from mailward.api import DnsRecord, Secrets
from mailward_plugins.dkim.safe import MAX_RSA_BITS
from mailward_plugins.dkim.tags import is_domain, is_selector

MIN_RSA_BITS = 2048
"""RFC 8301 section 3.2: signers should use at least this; shorter keys are only good for verifying."""

TXT_STRING_OCTETS = 255
"""RFC 1035 section 3.3: what one string of a TXT record holds."""

State = Literal["signs", "next", "old"]
_SUFFIX = ".pem"


class KeyFileError(Exception):
    """A key file that cannot be used; the text says which, why, and never what is in it."""


@dataclass(frozen=True, slots=True)
class PrivateKey:
    """algorithm: as in a=. record: the text of the TXT record that others check its signatures with."""

    algorithm: Literal["rsa-sha256", "ed25519-sha256"]
    record: str
    key: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey = field(repr=False)

    def sign(self, octets: bytes) -> bytes:
        """The signature of these octets, as b= has it before base64."""
        if isinstance(self.key, rsa.RSAPrivateKey):
            return self.key.sign(octets, padding.PKCS1v15(), hashes.SHA256())
        return self.key.sign(sha256(octets).digest())  # RFC 8463 section 3: Ed25519 signs the hash


@dataclass(frozen=True, slots=True)
class _KeyFile:
    """name: as `Secrets.read` takes it."""

    name: str
    domain: str
    selector: str
    state: State


@dataclass(frozen=True, slots=True)
class DomainKey:
    """One key of one domain."""

    domain: str
    selector: str
    state: State
    private: PrivateKey

    @property
    def record_name(self) -> str:
        return f"{self.selector}._domainkey.{self.domain}"


def signing_keys(author_domain: str, secrets: Secrets) -> tuple[DomainKey, ...]:
    """The keys that sign mail of this domain (A-labels): its own, else those of the nearest domain above it that has some.

    Raises KeyFileError, and OSError for files that cannot be read.
    """
    domain = author_domain
    while is_domain(domain):
        found = tuple(_load(file, secrets) for file in _files(domain, secrets) if file.state == "signs")
        if found:
            return found
        domain = domain.partition(".")[2]
    return ()


def dns_records(domain: str, secrets: Secrets) -> list[DnsRecord]:
    """What the domain should publish: one TXT record a key. Raises as `signing_keys`."""
    keys = [_load(file, secrets) for file in _files(domain, secrets)]
    return [DnsRecord(f"{key.record_name}.", "TXT", _strings(key.private.record), _why(key)) for key in keys]


def _files(domain: str, secrets: Secrets) -> Iterator[_KeyFile]:
    """Those of the domain in the order of their names; other files and folders are nobody's keys."""
    states: dict[str, State] = {domain: "signs", f"{domain}/next": "next", f"{domain}/old": "old"}
    for name in secrets.names(domain):
        folder, _, file = name.rpartition("/")
        if folder in states and file.endswith(_SUFFIX):
            yield _KeyFile(name, domain, file.removesuffix(_SUFFIX), states[folder])


def _load(file: _KeyFile, secrets: Secrets) -> DomainKey:
    if not is_selector(file.selector):
        raise KeyFileError(f"{file.name}: '{file.selector}' cannot be a selector (small letters, digits, hyphens)")
    try:
        return DomainKey(file.domain, file.selector, file.state, load_key(secrets.read(file.name)))
    except KeyFileError as error:
        raise KeyFileError(f"{file.name}: {error}") from None


@lru_cache(maxsize=4096)
def load_key(pem: bytes) -> PrivateKey:
    """The key in the octets of a file, parsed once: that costs a hundred signatures. Raises KeyFileError."""
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):  # TypeError: it is encrypted
        raise KeyFileError("not a private key in PEM without a password") from None
    if isinstance(key, ed25519.Ed25519PrivateKey):
        octets = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        return PrivateKey("ed25519-sha256", _record("ed25519", octets), key)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise KeyFileError("neither an RSA nor an Ed25519 key")
    if not MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS:
        raise KeyFileError(f"an RSA key of {key.key_size} bits; {MIN_RSA_BITS} to {MAX_RSA_BITS} are used (RFC 8301)")
    octets = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return PrivateKey("rsa-sha256", _record("rsa", octets), key)


def _record(key_type: str, octets: bytes) -> str:
    return f"v=DKIM1; k={key_type}; h=sha256; p={b64encode(octets).decode('ascii')}"


def _strings(text: str) -> str:
    parts = [text[start : start + TXT_STRING_OCTETS] for start in range(0, len(text), TXT_STRING_OCTETS)]
    return " ".join(f'"{part}"' for part in parts)


def _why(key: DomainKey) -> str:
    name = "RSA" if key.private.algorithm == "rsa-sha256" else "Ed25519"
    if key.state == "next":
        return f"the {name} key that will sign; add this record, then: mailward domain key activate {key.domain}"
    if key.state == "old":
        command = f"mailward domain key retire {key.domain}"
        return f"the {name} key that signed before; the record may go a week after the change, by: {command}"
    return f"others check the {name} signatures of the domain's mail with it (RFC 6376)"
