"""SMTP, submission and LMTP on sockets: the listener. What happens on a connection is in `smtp_connection`."""

import asyncio
import ssl
from collections.abc import Callable, Mapping

from mailward.intake.reception import Reception
from mailward.model.replies import SHUTTING_DOWN
from mailward.model.session import Role, Session
from mailward.net.admission import Admission
from mailward.net.listening import SocketListener
from mailward.net.smtp_connection import SmtpConnection, SmtpSettings
from mailward.net.tracing import Traces


class SmtpListener(SocketListener):
    """One listening socket and its clients. texts: the admin's words for replies, as they are today."""

    def __init__(
        self,
        settings: SmtpSettings,
        reception_factory: Callable[[Session], Reception],
        tls_context: ssl.SSLContext | None,
        admission: Admission,
        traces: Traces | None = None,
        texts: Callable[[Role], Mapping[str, str]] = lambda role: {},
    ) -> None:
        super().__init__(
            tls_context,
            admission,
            implicit_tls=settings.implicit_tls,
            handshake_s=settings.handshake_s,
            proxies=settings.proxies,
        )
        self.settings = settings
        self.reception_factory = reception_factory
        self.texts = texts
        self.traces = traces or Traces()
        self.connections: dict[SmtpConnection, asyncio.Task[None]] = {}
        admission.on_stress.append(self._hurry)

    def make_connection(self, peer_ip: str | None = None) -> SmtpConnection:
        return SmtpConnection(self, peer_ip)

    def _hurry(self) -> None:
        for connection in tuple(self.connections):
            connection.hurry()

    async def close(self, grace_s: float = 30.0) -> None:
        """Stop accepting, let open transactions end within grace_s, say 421 to the rest; decisions under way are awaited."""
        self.stop_accepting()
        for connection in tuple(self.connections):
            connection.drain()
        if self.connections:
            await asyncio.wait(self.connections.values(), timeout=grace_s)
        for connection in tuple(self.connections):
            connection.say_and_end(SHUTTING_DOWN)
        if self.connections:
            await asyncio.wait(self.connections.values())
