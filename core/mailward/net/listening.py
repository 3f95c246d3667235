"""A listening socket: what is alike for every protocol, from the first connection to the end."""

import abc
import asyncio
import socket
import ssl

from mailward.net.admission import Admission

_BACKLOG = 512


class SocketListener(abc.ABC):
    """One listening socket. admission: shared by listeners that count together. implicit_tls: TLS from the first octet."""

    def __init__(
        self, tls_context: ssl.SSLContext | None, admission: Admission, *, implicit_tls: bool, handshake_s: float
    ) -> None:
        self.tls_context = tls_context
        self.admission = admission
        self._implicit_tls = tls_context if implicit_tls else None
        self._handshake_s = handshake_s
        self._server: asyncio.Server | None = None

    @abc.abstractmethod
    def make_connection(self) -> asyncio.Protocol:
        """One for each client that connects."""

    @abc.abstractmethod
    async def close(self) -> None:
        """Stop accepting, and end with everybody who is connected."""

    async def serve(self, sock: socket.socket) -> None:
        """Accept on a socket that is bound already, until `close`."""
        self._server = await asyncio.get_running_loop().create_server(
            self.make_connection,
            sock=sock,
            backlog=_BACKLOG,
            ssl=self._implicit_tls,
            ssl_handshake_timeout=self._handshake_s if self._implicit_tls else None,
        )

    @property
    def port(self) -> int:
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    def stop_accepting(self) -> None:
        if self._server is not None:
            self._server.close()
