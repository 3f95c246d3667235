"""TLS for listeners: the context made from certificate and key, and the facts of a finished handshake (RFC 8996, RFC 9325)."""

import asyncio
import ssl
from collections.abc import Iterable
from pathlib import Path

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


def renew_certificates(contexts: Iterable[ssl.SSLContext], certificate: Path, key: Path) -> None:
    """Use these files from the next handshake on, without a restart. Raises ConfigError, and then nothing has changed."""
    server_context(certificate, key)  # a pair that does not fit is found before any live context is touched
    for context in contexts:
        _load(context, certificate, key)


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
