"""TLS: contexts for listeners and for relaying, and the facts of a finished handshake (RFC 8996, RFC 9325)."""

import asyncio
import ipaddress
import ssl
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography import x509

from mailward.model.errors import ConfigError
from mailward.model.session import TlsFacts

_TLS_1_2_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""Forward secrecy and AEAD only (RFC 9325 section 4.2); TLS 1.3 has its own list, all of which is sound."""


def server_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """A context for one service: TLS 1.2 or newer, no compression, no renegotiation. Raises ConfigError.

    Each service gets its own, so that a session ticket of one cannot be used on another.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    context.set_ciphers(_TLS_1_2_CIPHERS)
    _load(context, certificate, key)
    return context


def renew_certificates(contexts: Iterable[ssl.SSLContext], certificate: Path, key: Path, *, if_expired: bool = False) -> None:
    """Use these files from the next handshake on, without a restart. Raises ConfigError, and then nothing has changed.

    if_expired: even if the certificate is out of date.
    """
    server_context(certificate, key)  # a pair that does not fit is found before any live context is touched
    if not if_expired:
        _check_not_expired(certificate)
    for context in contexts:
        _load(context, certificate, key)


def _check_not_expired(certificate: Path) -> None:
    """A file that was put back, or never renewed, must not take the place of one that may still be good (T-TLS-26)."""
    try:
        expires_at = x509.load_pem_x509_certificate(certificate.read_bytes()).not_valid_after_utc
    except (OSError, ValueError) as error:
        raise ConfigError(f"certificate {certificate} cannot be read: {error}") from error
    if expires_at < datetime.now(UTC):
        raise ConfigError(f"certificate {certificate} expired on {expires_at:%Y-%m-%d}; the one in use stays")


def _load(context: ssl.SSLContext, certificate: Path, key: Path) -> None:
    try:
        context.load_cert_chain(certificate, key)
    except ssl.SSLError as error:
        raise ConfigError(f"certificate {certificate} and key {key} do not make a pair: {error.reason}") from error
    except OSError as error:
        raise ConfigError(f"certificate {certificate} or key {key} cannot be read: {error.strerror}") from error


def tls_facts(transport: asyncio.BaseTransport) -> TlsFacts | None:
    """What was negotiated on this transport, None when it is in clear."""
    tls = transport.get_extra_info("ssl_object")
    if tls is None:
        return None
    cipher = tls.cipher()
    return TlsFacts(tls.version() or "", cipher[0] if cipher else "")


def any_peer_context() -> ssl.SSLContext:
    """For opportunistic TLS with another server: TLS 1.2 or newer, whoever it is."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def verifying_context() -> ssl.SSLContext:
    """TLS 1.2 or newer, with a certificate that the system's authorities vouch for. The name is checked by `proves_name`."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = False  # one of two names will do, which OpenSSL cannot be told
    return context


def peer_chain(tls: ssl.SSLObject) -> tuple[bytes, ...]:
    """The certificates that the peer sent, in DER, its own first; nobody has checked them."""
    if hasattr(tls, "get_unverified_chain"):  # Python 3.13
        return tuple(tls.get_unverified_chain() or ())
    inner: Any = tls._sslobj  # type: ignore[attr-defined]
    return tuple(certificate.public_bytes(_DER) for certificate in inner.get_unverified_chain() or ())


_DER = 2
"""`_ssl.ENCODING_DER`."""


def proves_name(tls: ssl.SSLObject, name: str) -> bool:
    """Does the verified certificate name this host, domain or IP address? (RFC 9525: subjectAltName only)"""
    certificate: Mapping[str, Any] = tls.getpeercert() or {}
    names: Sequence[tuple[str, str]] = certificate.get("subjectAltName", ())
    return any(
        (kind == "DNS" and _names(value.lower(), name.lower())) or (kind == "IP Address" and _same_address(value, name))
        for kind, value in names
    )


def _names(pattern: str, name: str) -> bool:
    """RFC 9525 section 6.3: a wildcard is the whole leftmost label and stands for one label."""
    first, _, rest = pattern.partition(".")
    return pattern == name or (first == "*" and "." in rest and name.partition(".")[2] == rest)


def _same_address(left: str, right: str) -> bool:
    try:
        return ipaddress.ip_address(left.strip()) == ipaddress.ip_address(right)
    except ValueError:
        return False
