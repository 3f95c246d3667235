"""The AUTH command and the client's side of its exchange, from lines to octets (RFC 4954 section 4)."""

from collections.abc import Collection

from mailward.model.replies import AUTH_CANCELLED, AUTH_NO_BASE64, AUTH_NO_MECHANISM, AUTH_SYNTAX
from mailward.protocol.sasl import NoResponseError, encode, initial_response, response
from mailward.protocol.smtp.events import AuthAsked, AuthResponse
from mailward.protocol.smtp.refused import RefusedError


def parse_auth(argument: bytes, mechanisms: Collection[str]) -> AuthAsked:
    """The argument of AUTH, b"PLAIN AGFsaWNl". Raises RefusedError."""
    words = argument.split(b" ")
    if not words[0] or len(words) > 2:
        raise RefusedError(AUTH_SYNTAX)
    mechanism = words[0].decode("ascii", "replace").upper()
    if mechanism not in mechanisms:
        raise RefusedError(AUTH_NO_MECHANISM)
    try:
        return AuthAsked(mechanism, None if len(words) == 1 else initial_response(words[1]))
    except NoResponseError:
        raise RefusedError(AUTH_NO_BASE64) from None


def parse_response(line: bytes) -> AuthResponse:
    """The line that answers a challenge. Raises RefusedError."""
    try:
        return AuthResponse(response(line))
    except NoResponseError as error:
        raise RefusedError(AUTH_CANCELLED if error.was_cancelled else AUTH_NO_BASE64) from None


def challenge_line(octets: bytes) -> bytes:
    """The 334 reply with its CRLF. It may be longer than other replies (RFC 4954 section 4: up to 12,288 octets)."""
    return b"334 " + encode(octets) + b"\r\n"
