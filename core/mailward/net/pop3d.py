"""POP3 on sockets: what `net.stream` leaves to the protocol."""

import ssl
from dataclasses import dataclass

from mailward.access.connection import Connection
from mailward.access.pop3.session import Desk, Session
from mailward.net.admission import Admission
from mailward.net.stream import StreamListener
from mailward.net.stream_settings import StreamSettings


@dataclass(frozen=True, slots=True)
class Pop3Settings(StreamSettings):
    """One POP3 listener."""

    listener: str = "pop3"
    idle_s: float = 630.0  # RFC 1939 section 3: at least 10 minutes


class Pop3Listener(StreamListener):
    """One listening socket and its sessions."""

    protocol = "pop3"
    too_many = b"-ERR [SYS/TEMP] Too many connections from your address\r\n"

    def __init__(self, settings: Pop3Settings, desk: Desk, tls_context: ssl.SSLContext | None, admission: Admission) -> None:
        super().__init__(settings, tls_context, admission, "mailward.pop3")
        self._desk = desk

    def open_session(self, connection: Connection, peer_ip: str) -> Session:
        return Session(self._desk, connection, peer_ip)
