"""A listening socket: what is alike for every protocol, from the first connection to the end.

With TLS from the first octet, clients are accepted by us and counted before their handshake: `create_server` tells of a client
only behind it, so that silent ones could take every file descriptor (T-TLS-13).
"""

import abc
import asyncio
import contextlib
import socket
import ssl

import structlog

from mailward.formats.network import normal_ip
from mailward.net.admission import Admission

_BACKLOG = 512
_PAUSE_S = 1.0

log = structlog.get_logger("mailward.net")


class SocketListener(abc.ABC):
    """One listening socket. admission: shared by listeners that count together. implicit_tls: TLS from the first octet."""

    def __init__(
        self, tls_context: ssl.SSLContext | None, admission: Admission, *, implicit_tls: bool, handshake_s: float
    ) -> None:
        self.tls_context = tls_context
        self.admission = admission
        self._implicit_tls = tls_context if implicit_tls else None
        self._handshake_s = handshake_s
        self._handshakes = admission.twin()
        self._shaking: set[asyncio.Task[None]] = set()
        self._sock: socket.socket | None = None
        self._server: asyncio.Server | None = None
        self._accepting: asyncio.Task[None] | None = None

    @abc.abstractmethod
    def make_connection(self) -> asyncio.Protocol:
        """One for each client that connects."""

    @abc.abstractmethod
    async def close(self) -> None:
        """Stop accepting, and end with everybody who is connected."""

    async def serve(self, sock: socket.socket) -> None:
        """Accept on a socket that is bound already, until `close`."""
        loop = asyncio.get_running_loop()
        self._sock = sock
        if self._implicit_tls is None:
            self._server = await loop.create_server(self.make_connection, sock=sock, backlog=_BACKLOG)
        else:
            sock.listen(_BACKLOG)
            sock.setblocking(False)
            self._accepting = loop.create_task(self._accept(sock, self._implicit_tls))

    @property
    def port(self) -> int:
        assert self._sock is not None
        return int(self._sock.getsockname()[1])

    def stop_accepting(self) -> None:
        """Handshakes under way are given up."""
        if self._server is not None:
            self._server.close()
        if self._accepting is not None and self._sock is not None:
            self._accepting.cancel()
            for task in self._shaking:
                task.cancel()
            self._sock.close()

    async def _accept(self, sock: socket.socket, context: ssl.SSLContext) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                client, address = await loop.sock_accept(sock)
            except ConnectionAbortedError:  # gone before we looked
                continue
            except OSError as error:  # no descriptor or no memory left, most likely: trying at once would only spin
                log.error("no client can be accepted", error=str(error))
                await asyncio.sleep(_PAUSE_S)
                continue
            peer = normal_ip(address[0])
            if self._handshakes.enter(peer) is not None:
                client.close()
                continue
            task = loop.create_task(self._shake_hands(client, peer, context))
            self._shaking.add(task)
            task.add_done_callback(self._shaking.discard)

    async def _shake_hands(self, client: socket.socket, peer: str, context: ssl.SSLContext) -> None:
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                self.make_connection, client, ssl=context, ssl_handshake_timeout=self._handshake_s
            )
        except (OSError, ssl.SSLError) as error:
            log.info("handshake failed", peer=peer, why=str(error) or type(error).__name__)
            with contextlib.suppress(OSError):
                client.close()
        finally:
            self._handshakes.leave(peer)
