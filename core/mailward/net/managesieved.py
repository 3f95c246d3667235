"""ManageSieve on sockets: what `net.stream` leaves to the protocol."""

import ssl
from dataclasses import dataclass

from mailward.access.connection import Connection
from mailward.access.managesieve.session import Desk, Session
from mailward.net.admission import Admission
from mailward.net.stream import StreamListener
from mailward.net.stream_settings import StreamSettings


@dataclass(frozen=True, slots=True)
class ManageSieveSettings(StreamSettings):
    """One ManageSieve listener."""

    listener: str = "managesieve"
    idle_s: float = 1830.0  # RFC 5804 section 1.2: at least 30 minutes


class ManageSieveListener(StreamListener):
    """One listening socket and its sessions."""

    protocol = "managesieve"
    too_many = b'BYE (TRYLATER) "Too many connections from your address"\r\n'

    def __init__(
        self, settings: ManageSieveSettings, desk: Desk, tls_context: ssl.SSLContext | None, admission: Admission
    ) -> None:
        super().__init__(settings, tls_context, admission, "mailward.managesieve")
        self._desk = desk

    def open_session(self, connection: Connection, peer_ip: str) -> Session:
        return Session(self._desk, connection, peer_ip)
