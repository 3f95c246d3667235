"""Where does an admin send a domain's mail, and how do `routes` and `queue reroute` write that?"""

import os
import re
from dataclasses import dataclass

from mailward.formats.network import LONGEST_SOCKET_PATH, parsed_ip
from mailward.model.tls import TlsLevel

SMTP_PORT = 25
LMTP_PORT = 24
"""No port is LMTP's (RFC 2033 section 5); this is what its servers and clients use."""
FORMS = "smtp:HOST:PORT, lmtp:HOST:PORT or lmtp:unix:/PATH"

_INET = re.compile(
    r"(?P<protocol>smtp|lmtp):(?:\[(?P<literal>[0-9a-fA-F:.]+)\]|(?P<name>[A-Za-z0-9._-]+))(?::(?P<port>[0-9]{1,5}))?"
)
_UNIX = re.compile(r"lmtp:unix:(?P<path>/[!-~]+)")


@dataclass(frozen=True, slots=True)
class Login:
    """How we log in. secret: the name of the file that holds the password."""

    user: str
    secret: str


@dataclass(frozen=True, slots=True)
class StaticHop:
    """host: a name, whose addresses are looked up (no MX), an address, or the path of a unix socket of this machine (port 0).

    is_implicit: TLS from the first octet. level: how well the connection is protected at least. login: for a smarthost.
    source: addresses to connect from, at most one of each kind, () for the usual. hostname: our name there, "" for the usual.
    is_lmtp: a reply for each recipient (RFC 2033).
    """

    host: str
    port: int
    is_implicit: bool = False
    level: TlsLevel = TlsLevel.OPPORTUNISTIC
    login: Login | None = None
    source: tuple[str, ...] = ()
    hostname: str = ""
    is_lmtp: bool = False

    @property
    def is_socket(self) -> bool:
        return self.host.startswith("/")

    def __str__(self) -> str:
        """As `parse_hop` reads it."""
        if self.is_socket:
            return f"lmtp:unix:{self.host}"
        host = f"[{self.host}]" if parsed_ip(self.host) is not None else self.host
        return f"{'lmtp' if self.is_lmtp else 'smtp'}:{host}:{self.port}"


def parse_hop(text: str) -> StaticHop:
    """Raises ValueError, which says what was expected."""
    if unix := _UNIX.fullmatch(text):
        if len(os.fsencode(unix["path"])) > LONGEST_SOCKET_PATH:
            raise ValueError(f"the path is longer than {LONGEST_SOCKET_PATH} octets")
        return StaticHop(unix["path"], 0, is_lmtp=True)
    found = _INET.fullmatch(text)
    if found is None:
        raise ValueError(f"'{text}' is no next hop: {FORMS} was expected")
    if found["literal"] and parsed_ip(found["literal"]) is None:
        raise ValueError(f"[{found['literal']}] is no address")
    is_lmtp = found["protocol"] == "lmtp"
    port = checked_port(int(found["port"] or (LMTP_PORT if is_lmtp else SMTP_PORT)), is_lmtp=is_lmtp)
    return StaticHop((found["literal"] or found["name"]).lower(), port, is_lmtp=is_lmtp)


def checked_port(port: int, *, is_lmtp: bool) -> int:
    """Raises ValueError."""
    if not 0 < port < 65_536:
        raise ValueError(f"{port} is no port")
    if is_lmtp and port == SMTP_PORT:
        raise ValueError("LMTP must not be on port 25 (RFC 2033 section 5)")
    return port
