"""The AUTH command and the client's side of its exchange, from lines to octets (RFC 4954 section 4; base64 of RFC 4648)."""

import binascii
from collections.abc import Collection

from mailward.protocol.smtp.events import AuthAsked, AuthResponse
from mailward.protocol.smtp.params import RefusedError
from mailward.protocol.smtp.server_replies import AUTH_CANCELLED, AUTH_NO_BASE64, AUTH_NO_MECHANISM, AUTH_SYNTAX


def parse_auth(argument: bytes, mechanisms: Collection[str]) -> AuthAsked:
    """The argument of AUTH, b"PLAIN AGFsaWNl"; "=" is an initial response of no octets. Raises RefusedError."""
    words = argument.split(b" ")
    if not words[0] or len(words) > 2:
        raise RefusedError(AUTH_SYNTAX)
    mechanism = words[0].decode("ascii", "replace").upper()
    if mechanism not in mechanisms:
        raise RefusedError(AUTH_NO_MECHANISM)
    if len(words) == 1:
        return AuthAsked(mechanism, None)
    return AuthAsked(mechanism, b"" if words[1] == b"=" else _decode(words[1]))


def parse_response(line: bytes) -> AuthResponse:
    """The line that answers a challenge; "*" cancels the exchange. Raises RefusedError."""
    if line == b"*":
        raise RefusedError(AUTH_CANCELLED)
    return AuthResponse(_decode(line))


def challenge_line(octets: bytes) -> bytes:
    """The 334 reply with its CRLF. It may be longer than other replies (RFC 4954 section 4: up to 12,288 octets)."""
    return b"334 " + binascii.b2a_base64(octets, newline=False) + b"\r\n"


def _decode(text: bytes) -> bytes:
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        raise RefusedError(AUTH_NO_BASE64) from None
