"""A listening socket: what is alike for every protocol, from the first connection to the end.

With TLS from the first octet, clients are accepted by us and counted before their handshake: `create_server` tells of a client
only behind it, so that silent ones could take every file descriptor (T-TLS-13). Behind a load balancer we accept them, too,
because the PROXY header comes before everything else; and on unix sockets, whose clients have no address.
"""

import abc
import asyncio
import contextlib
import socket
import ssl
from collections.abc import Sequence

import structlog

from mailward.formats.network import Network, is_in, normal_ip, source_of
from mailward.model.errors import PeerError
from mailward.net.admission import Admission
from mailward.protocol.proxy import octets_to_read, read_proxy_header

_BACKLOG = 512
_PAUSE_S = 1.0
_UNIX_PEER = "127.0.0.1"
"""What stands for the address of a client on a unix socket."""

log = structlog.get_logger("mailward.net")


class SocketListener(abc.ABC):
    """One listening socket. admission: shared by listeners that count together. implicit_tls: TLS from the first octet.

    proxies: the networks of load balancers, whose PROXY header says who the client is; then nobody else is served (T-RELAY-10).
    """

    def __init__(
        self,
        tls_context: ssl.SSLContext | None,
        admission: Admission,
        *,
        implicit_tls: bool,
        handshake_s: float,
        proxies: Sequence[Network] = (),
    ) -> None:
        self.tls_context = tls_context
        self.admission = admission
        self._implicit_tls = tls_context if implicit_tls else None
        self._handshake_s = handshake_s
        self._proxies = tuple(proxies)
        self._shaking: set[asyncio.Task[None]] = set()
        self._sock: socket.socket | None = None
        self._server: asyncio.Server | None = None
        self._accepting: asyncio.Task[None] | None = None

    @abc.abstractmethod
    def make_connection(self, peer_ip: str | None = None) -> asyncio.Protocol:
        """One for each client that connects. peer_ip: where it is not the address of the socket's other end."""

    @abc.abstractmethod
    async def close(self) -> None:
        """Stop accepting, and end with everybody who is connected."""

    async def serve(self, sock: socket.socket) -> None:
        """Accept on a socket that is bound already, until `close`."""
        loop = asyncio.get_running_loop()
        self._sock = sock
        if self._implicit_tls is None and not self._proxies and sock.family != socket.AF_UNIX:
            self._server = await loop.create_server(self.make_connection, sock=sock, backlog=_BACKLOG)
        else:
            sock.listen(_BACKLOG)
            sock.setblocking(False)
            self._accepting = loop.create_task(self._accept(sock))

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

    async def _accept(self, sock: socket.socket) -> None:
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
            peer = _UNIX_PEER if sock.family == socket.AF_UNIX else normal_ip(address[0])
            task = loop.create_task(self._welcome(client, peer))
            self._shaking.add(task)
            task.add_done_callback(self._shaking.discard)

    async def _welcome(self, client: socket.socket, peer: str) -> None:
        """From the accepted socket to a connection. peer: the other end of the socket."""
        try:
            client.setblocking(False)
            proxied = await self._client_of(client, peer)
            if self.admission.enter_handshake(proxied or peer) is None:
                try:
                    await self._connect(client, proxied)
                    return
                finally:
                    self.admission.leave_handshake(proxied or peer)
        except PeerError as error:
            if self.admission.is_news(source_of(peer)):
                log.warning("connection refused", peer=peer, why=str(error))
        except (OSError, ssl.SSLError, TimeoutError) as error:
            log.info("handshake failed", peer=peer, why=str(error) or type(error).__name__)
        with contextlib.suppress(OSError):
            client.close()

    async def _connect(self, client: socket.socket, proxied: str | None) -> None:
        tls = {} if self._implicit_tls is None else {"ssl": self._implicit_tls, "ssl_handshake_timeout": self._handshake_s}
        loop = asyncio.get_running_loop()
        await loop.connect_accepted_socket(lambda: self.make_connection(proxied), client, **tls)  # type: ignore[arg-type]

    async def _client_of(self, client: socket.socket, peer: str) -> str | None:
        """Who the client is when the socket does not say it: of whom the load balancer speaks, unless of itself.

        Raises PeerError, TimeoutError, OSError.
        """
        if client.family == socket.AF_UNIX:
            return peer
        if not self._proxies:
            return None
        if not is_in(peer, self._proxies):
            raise PeerError("it is no load balancer of this listener's proxy_from")
        octets = b""
        async with asyncio.timeout(self._handshake_s):
            while (header := read_proxy_header(octets)) is None:
                more = await asyncio.get_running_loop().sock_recv(client, octets_to_read(octets))
                if not more:
                    raise PeerError("gone before its PROXY header ended")
                octets += more
        return None if header.address is None else normal_ip(header.address)
