"""IMAP on sockets: what `net.stream` leaves to the protocol."""

import asyncio
import ssl
from dataclasses import dataclass

from mailward.access.connection import Connection
from mailward.access.imap.commands.table import COMMANDS
from mailward.access.imap.desk import Desk
from mailward.access.imap.session import Session
from mailward.net.admission import Admission
from mailward.net.stream import StreamListener
from mailward.net.stream_settings import StreamSettings


@dataclass(frozen=True, slots=True)
class ImapSettings(StreamSettings):
    """One IMAP listener. capabilities_off: what it does not offer."""

    listener: str = "imap"
    idle_s: float = 1830.0  # RFC 3501 section 5.4: at least 30 minutes
    capabilities_off: frozenset[str] = frozenset()


class ImapListener(StreamListener):
    """One listening socket and its sessions."""

    protocol = "imap"
    too_many = b"* BYE Too many connections from your address\r\n"

    def __init__(self, settings: ImapSettings, desk: Desk, tls_context: ssl.SSLContext | None, admission: Admission) -> None:
        super().__init__(settings, tls_context, admission, "mailward.imap")
        self._desk = desk
        self._off = settings.capabilities_off

    def open_session(self, connection: Connection, peer_ip: str) -> Session:
        return Session(self._desk, connection, peer_ip, COMMANDS, self._off)

    async def close(self, grace_s: float = 10.0) -> None:
        """Stop accepting and say BYE to everybody; commands under way, and what goes on behind replies, are finished."""
        await super().close(grace_s)
        if self._desk.background:
            await asyncio.wait(tuple(self._desk.background), timeout=grace_s)
