"""Who is the client behind a load balancer? The PROXY protocol, versions 1 and 2, as HAProxy's specification of 2020 has it.

The header comes once, before anything else, TLS among it. It is read to its end and no further, and never guessed: what is
no header is an error.
"""

import ipaddress
import re
import struct
from dataclasses import dataclass

from mailward.model.errors import PeerError

MOST_OCTETS = 2048
"""Of a header with its TLVs, which are passed over; the specification allows 64 KiB, and no balancer sends a fraction of it."""

_V1 = re.compile(
    rb"PROXY (?:(TCP4) ([0-9.]{7,15}) [0-9.]{7,15}|(TCP6) ([0-9A-Fa-f:.]{2,39}) [0-9A-Fa-f:.]{2,39})"
    rb" ([0-9]{1,5}) ([0-9]{1,5})\r\n"
)
_V1_UNKNOWN = re.compile(rb"PROXY UNKNOWN(?: [^\r\n]*)?\r\n")
_V1_OCTETS = 107
_LEAST_OCTETS = len(b"PROXY UNKNOWN\r\n")
_V1_BEGINS = b"PROXY "
_V2_BEGINS = b"\r\n\r\n\0\r\nQUIT\n"
_V2_HEAD = struct.Struct("!12sBBH")
_LOCAL, _PROXY = 0, 1
_UNSPECIFIED = 0x00
_STREAM = {0x11: (4, 12), 0x21: (16, 36)}
"""TCP over IPv4 and over IPv6: octets of one address, of both with their ports."""


@dataclass(frozen=True, slots=True)
class ProxyHeader:
    """size_octets: of the header; what follows is the client's.

    address: the client's, None where the balancer speaks for itself or does not know.
    """

    size_octets: int
    address: str | None


def read_proxy_header(octets: bytes) -> ProxyHeader | None:
    """The header at the front; None until more octets arrive. Raises PeerError when there is none."""
    if octets.startswith(_V2_BEGINS[: len(octets)]):
        return _version_2(octets)
    if octets.startswith(_V1_BEGINS[: len(octets)]):
        return _version_1(octets)
    raise PeerError("no PROXY header")


def octets_to_read(octets: bytes) -> int:
    """How many more may be read when the header is not whole yet, so that nothing behind it is."""
    if len(octets) < _LEAST_OCTETS:
        return _LEAST_OCTETS - len(octets)
    if not octets.startswith(_V2_BEGINS):
        return 1
    if len(octets) < _V2_HEAD.size:
        return _V2_HEAD.size - len(octets)
    return _V2_HEAD.size + int(_V2_HEAD.unpack_from(octets)[3]) - len(octets)


def _version_1(octets: bytes) -> ProxyHeader | None:
    end = octets.find(b"\r\n", 0, _V1_OCTETS)
    if end < 0:
        if len(octets) >= _V1_OCTETS:
            raise PeerError("a PROXY header that does not end")
        return None
    line = octets[: end + 2]
    if _V1_UNKNOWN.fullmatch(line):
        return ProxyHeader(len(line), None)
    found = _V1.fullmatch(line)
    if found is None or int(found[5]) > 0xFFFF or int(found[6]) > 0xFFFF:
        raise PeerError("a malformed PROXY header")
    try:
        address = ipaddress.IPv4Address(found[2].decode("ascii")) if found[1] else ipaddress.IPv6Address(found[4].decode("ascii"))
    except ValueError as error:
        raise PeerError("a PROXY header with a malformed address") from error
    return ProxyHeader(len(line), str(address))


def _version_2(octets: bytes) -> ProxyHeader | None:
    if len(octets) < _V2_HEAD.size:
        return None
    _, version_and_command, family, length = _V2_HEAD.unpack_from(octets)
    size_octets = _V2_HEAD.size + length
    command = version_and_command & 0x0F
    if version_and_command >> 4 != 2 or command not in (_LOCAL, _PROXY):
        raise PeerError("a PROXY header of an unknown version or command")
    if size_octets > MOST_OCTETS:
        raise PeerError("a PROXY header that is too long")
    if len(octets) < size_octets:
        return None
    if command == _LOCAL or family == _UNSPECIFIED:
        return ProxyHeader(size_octets, None)
    if family not in _STREAM:  # a client without an address must not pass for the balancer, which may be trusted with more
        raise PeerError("a PROXY header of another family than TCP over IPv4 or IPv6")
    one, both = _STREAM[family]
    if length < both:
        raise PeerError("a PROXY header that is too short for its addresses")
    return ProxyHeader(size_octets, str(ipaddress.ip_address(octets[_V2_HEAD.size : _V2_HEAD.size + one])))
