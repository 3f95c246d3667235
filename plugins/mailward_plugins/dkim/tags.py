"""What does a DKIM-Signature field say, and what does a key record? (RFC 6376 sections 3.2, 3.5, 3.6.1; RFC 8301, 8463)

Strict where leniency lets two readers differ: duplicate tags, names that are no host names, odd base64 are errors.
"""

import base64
import binascii
import re
from dataclasses import dataclass

import dkim
from nacl.signing import VerifyKey

from mailward_plugins.dkim.safe import load_rsa_key

_TAG_NAME = re.compile(rb"[A-Za-z][A-Za-z0-9_]*")
_LDH = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_SELECTOR_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_FIELD_NAME = re.compile(rb"[!-9<-~]+")  # no colon, no semicolon
_DIGITS = re.compile(rb"[0-9]{1,76}")
_QUOTED = re.compile(rb"=([0-9A-F]{2})")
_BLANKS = re.compile(rb"[ \t\r\n]+")

HASH_OCTETS = {"rsa-sha256": 32, "ed25519-sha256": 32}
"""The algorithms of signatures that are acceptable (RFC 8301 section 3.1), with the length of their hashes."""

MAX_SIGNATURE_OCTETS = 32_768
MAX_KEY_RECORD_OCTETS = 16_384
MAX_SIGNED_NAMES = 256
_MAX_SIGNATURE_VALUE_OCTETS = 512
"""What an RSA key of 4096 bits makes."""


class TagError(ValueError):
    """A field or record that is not usable; the text is the reason to publish. domain and selector: if they were readable."""

    def __init__(self, text: str, domain: str = "", selector: str = "") -> None:
        super().__init__(text)
        self.domain, self.selector = domain, selector


@dataclass(frozen=True, slots=True)
class Signature:
    """One DKIM-Signature field. field_names: h= in lower case, in order. body_octets: l=, None when not given.

    identity_domain: the part of i= behind the "@". signed_at, expires_at: t= and x= as Unix seconds, None when not given.
    canonicalization: "relaxed/simple" in full. signature_start: the first characters of b=, to tell signatures apart.
    """

    domain: str
    selector: str
    algorithm: str
    canonicalization: str
    identity_domain: str
    field_names: tuple[bytes, ...]
    body_hash: bytes
    signature: bytes
    body_octets: int | None = None
    signed_at: int | None = None
    expires_at: int | None = None
    signature_start: str = ""

    @property
    def key_name(self) -> str:
        return f"{self.selector}._domainkey.{self.domain}"


@dataclass(frozen=True, slots=True)
class Key:
    """One usable key record. key: what dkimpy verifies with; is_test: t=y; strict_identity: t=s."""

    type: str
    bits: int
    key: object
    is_test: bool
    strict_identity: bool


def parse_tags(octets: bytes) -> dict[bytes, bytes]:
    """The tags in order with their values trimmed. Raises TagError."""
    tags: dict[bytes, bytes] = {}
    specs = octets.split(b";")
    if not specs[-1].strip():
        specs.pop()
    for spec in specs:
        name, equals, value = spec.partition(b"=")
        name = name.strip(b" \t\r\n")
        if not equals or not _TAG_NAME.fullmatch(name):
            raise TagError("tag syntax error")
        if name in tags:
            raise TagError(f"duplicate {name.decode()}= tag")
        tags[name] = value.strip(b" \t\r\n")
    return tags


def parse_signature(value: bytes) -> Signature:
    """The field's value, folding allowed. Raises TagError."""
    if len(value) > MAX_SIGNATURE_OCTETS:
        raise TagError("signature field too long")
    tags = parse_tags(value)
    domain, selector = _ascii(tags.get(b"d", b"")).lower(), _ascii(tags.get(b"s", b"")).lower()
    try:
        return _signature(tags, domain, selector)
    except TagError as error:
        sound = is_domain(domain) and is_selector(selector)
        raise TagError(str(error), domain if sound else "", selector if sound else "") from None


def _signature(tags: dict[bytes, bytes], domain: str, selector: str) -> Signature:
    for name in (b"v", b"a", b"b", b"bh", b"d", b"h", b"s"):
        if not tags.get(name):
            raise TagError(f"no {name.decode()}= tag")
    if tags[b"v"] != b"1":
        raise TagError("unknown version")
    if not is_domain(domain) or not is_selector(selector) or len(f"{selector}._domainkey.{domain}") > 253:
        raise TagError("d= or s= is no domain name")
    algorithm = _ascii(tags[b"a"]).lower()
    if algorithm not in HASH_OCTETS:
        raise TagError("rsa-sha1 is not acceptable (RFC 8301)" if algorithm == "rsa-sha1" else "unknown algorithm")
    header, _, body = _ascii(tags.get(b"c", b"simple/simple")).lower().partition("/")
    if header not in ("simple", "relaxed") or (body or "simple") not in ("simple", "relaxed"):
        raise TagError("unknown canonicalization")
    if b"q" in tags and b"dns/txt" not in [method.strip().lower() for method in tags[b"q"].split(b":")]:
        raise TagError("unknown query method")
    body_hash, signature = _base64(tags[b"bh"], "bh"), _base64(tags[b"b"], "b")
    if len(body_hash) != HASH_OCTETS[algorithm]:
        raise TagError("bh= has the wrong length")
    if not 64 <= len(signature) <= _MAX_SIGNATURE_VALUE_OCTETS:
        raise TagError("b= has an impossible length")
    signed_at, expires_at = _number(tags, b"t"), _number(tags, b"x")
    if signed_at is not None and expires_at is not None and expires_at < signed_at:
        raise TagError("x= is before t=")
    return Signature(
        domain=domain,
        selector=selector,
        algorithm=algorithm,
        canonicalization=f"{header}/{body or 'simple'}",
        identity_domain=_identity_domain(tags.get(b"i"), domain),
        field_names=_field_names(tags[b"h"]),
        body_hash=body_hash,
        signature=signature,
        body_octets=_number(tags, b"l"),
        signed_at=signed_at,
        expires_at=expires_at,
        signature_start=_ascii(_BLANKS.sub(b"", tags[b"b"])[:8]),
    )


def parse_key(records: tuple[str, ...], signature: Signature) -> Key:
    """The key among the TXT records (latin-1) at `signature.key_name`. Raises TagError: then no key is usable for it."""
    candidates = []
    for record in records:
        if len(record) > MAX_KEY_RECORD_OCTETS:
            raise TagError("key record too long")
        try:
            tags = parse_tags(record.encode("latin-1"))
        except TagError as error:
            if len(records) == 1:
                raise TagError(f"key record: {error}") from None
            continue  # something else that shares the name, such as a wildcard's SPF record
        if b"p" in tags:
            candidates.append(tags)
    if len(candidates) != 1:  # RFC 6376 section 3.6.2.2: with several the result is undefined
        raise TagError("no key record" if not candidates else "several key records")
    return _key(candidates[0], signature)


def _key(tags: dict[bytes, bytes], signature: Signature) -> Key:
    key_type = _ascii(tags.get(b"k", b"rsa")).lower()
    if tags.get(b"v", b"DKIM1") != b"DKIM1":
        raise TagError("unknown key record version")
    if b"h" in tags and signature.algorithm.partition("-")[2].encode() not in _list(tags[b"h"]):
        raise TagError("the key is not for this hash")
    if not {b"*", b"email"} & set(_list(tags.get(b"s", b"*"))):
        raise TagError("the key is not for mail")
    if key_type != signature.algorithm.partition("-")[0]:
        raise TagError("the key is of another type than the signature")
    flags = _list(tags.get(b"t", b""))
    if b"s" in flags and signature.identity_domain != signature.domain:
        raise TagError("i= must not be a subdomain (t=s)")
    if not tags[b"p"]:
        raise TagError("the key is revoked")
    octets = _base64(tags[b"p"], "p")
    key: object
    if key_type == "ed25519":
        if len(octets) != 32:
            raise TagError("Ed25519 key of wrong length")
        key, bits = VerifyKey(octets), 256
    else:
        try:
            rsa_key, bits = load_rsa_key(octets)
        except dkim.UnparsableKeyError as error:
            raise TagError(str(error)) from None
        key = {"key": rsa_key, "modulus": rsa_key.public_numbers().n}
    return Key(key_type, bits, key, b"y" in flags, b"s" in flags)


def is_domain(text: str) -> bool:
    """Two labels or more of letters, digits and hyphens."""
    labels = text.split(".")
    return len(labels) >= 2 and len(text) <= 253 and all(_LDH.fullmatch(label) for label in labels)


def is_selector(text: str) -> bool:
    return len(text) <= 253 and all(_SELECTOR_LABEL.fullmatch(label) for label in text.split("."))


def _identity_domain(identity: bytes | None, domain: str) -> str:
    if identity is None:
        return domain
    # RFC 6376 section 2.11: dkim-quoted-printable, folding allowed.
    decoded = _QUOTED.sub(lambda found: bytes([int(found[1], 16)]), _BLANKS.sub(b"", identity))
    _, at, found = _ascii(decoded).lower().rpartition("@")
    if not at or (found != domain and not found.endswith("." + domain)):
        raise TagError("i= is not within d=")
    return found


def _field_names(value: bytes) -> tuple[bytes, ...]:
    names = tuple(name.strip(b" \t\r\n").lower() for name in value.split(b":", MAX_SIGNED_NAMES))
    if len(names) > MAX_SIGNED_NAMES:
        raise TagError("too many names in h=")
    if not all(_FIELD_NAME.fullmatch(name) for name in names):
        raise TagError("h= syntax error")
    if b"from" not in names:
        raise TagError("From is not signed")
    return names


def _list(value: bytes) -> list[bytes]:
    return [item.strip().lower() for item in value.split(b":")]


def _number(tags: dict[bytes, bytes], name: bytes) -> int | None:
    if name not in tags:
        return None
    if not _DIGITS.fullmatch(tags[name]):
        raise TagError(f"{name.decode()}= is no number")
    return int(tags[name])


def _base64(value: bytes, tag: str) -> bytes:
    try:
        return base64.b64decode(_BLANKS.sub(b"", value), validate=True)
    except binascii.Error:
        raise TagError(f"{tag}= is not base64") from None


def _ascii(value: bytes) -> str:
    """Octets as text; anything beyond ASCII becomes a character that no name holds."""
    return value.decode("ascii", errors="replace")
