"""How long IMAP, POP3 and ManageSieve wait for a client, and how much they keep for it."""

from dataclasses import dataclass

from mailward.formats.network import Network
from mailward.net.patience import PatienceLimits

_PATIENCE = PatienceLimits(command_s=120.0, content_s=120.0, data_octets_per_s=1000.0, session_s=3600.0)
"""A telephone keeps to it that sends a message at half the rate of GPRS; who drips does not (T-IMAP-15, T-DOS-01). Nobody takes
longer than an hour for one command: what has come of a message takes the room of all."""


@dataclass(frozen=True, slots=True)
class StreamSettings:
    """One listener. login_s: from the connection until somebody is logged in; idle_s: the longest silence afterwards.
    patience: with a command that has begun to come.

    buffer_octets: input kept while a command is carried out. output_octets: unsent output before we wait for the client.
    stranger_octets: of either, before somebody is logged in (T-DOS-06).
    proxies: as in `SocketListener`.
    """

    listener: str
    idle_s: float
    implicit_tls: bool = False
    login_s: float = 60.0
    patience: PatienceLimits = _PATIENCE
    handshake_s: float = 10.0
    write_s: float = 120.0
    buffer_octets: int = 256 * 1024
    output_octets: int = 512 * 1024
    stranger_octets: int = 32 * 1024
    proxies: tuple[Network, ...] = ()
