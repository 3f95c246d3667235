"""XCLIENT: a trusted peer says whose mail it passes on (Postfix's XCLIENT_README).

ADDR is all that counts here: everything that is decided about a client is decided by its address, and EHLO comes anew behind
XCLIENT. LOGIN is not among the attributes: nobody is logged in by somebody else's word (docs/decisions/0016).
"""

import ipaddress
import re

from mailward.formats.network import normal_ip
from mailward.model.replies import XCLIENT_SYNTAX
from mailward.protocol.smtp.events import XclientAsked
from mailward.protocol.smtp.refused import RefusedError

KEYWORD = "XCLIENT NAME ADDR PORT PROTO HELO DESTADDR DESTPORT"
_ATTRIBUTES = frozenset(KEYWORD.split()[1:])
_UNKNOWN = frozenset({"[UNAVAILABLE]", "[TEMPUNAVAIL]"})
_ATTRIBUTE = re.compile(rb"([A-Za-z]+)=((?:[!-*,-<>-~]|\+[0-9A-Fa-f]{2})+)")
_HEX = re.compile(r"\+([0-9A-Fa-f]{2})")
_SIX = "IPV6:"


def parse_xclient(argument: bytes) -> XclientAsked:
    """The argument of XCLIENT, b"ADDR=192.0.2.1 NAME=[UNAVAILABLE]"; values are xtext. Raises RefusedError."""
    found: dict[str, str] = {}
    for word in argument.split():
        match = _ATTRIBUTE.fullmatch(word)
        name = "" if match is None else match[1].decode("ascii").upper()
        if match is None or name not in _ATTRIBUTES or name in found:
            raise RefusedError(XCLIENT_SYNTAX)
        found[name] = _HEX.sub(lambda code: chr(int(code[1], 16)), match[2].decode("ascii"))
    if not found:
        raise RefusedError(XCLIENT_SYNTAX)
    address = found.get("ADDR", "")
    return XclientAsked(None if not address or address.upper() in _UNKNOWN else _ip(address))


def _ip(text: str) -> str:
    is_six = text[: len(_SIX)].upper() == _SIX
    try:
        address = ipaddress.IPv6Address(text[len(_SIX) :]) if is_six else ipaddress.IPv4Address(text)
    except ValueError as error:
        raise RefusedError(XCLIENT_SYNTAX) from error
    return normal_ip(str(address))
