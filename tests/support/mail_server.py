"""Two listeners of one protocol with real sockets and TLS, on uvloop as in production, in a thread of their own."""

import abc
import asyncio
import socket
import ssl
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TypeVar

import uvloop

from mailward.app.certificate import self_signed
from mailward.net.stream import StreamListener
from mailward.net.tls import server_context

T = TypeVar("T")


class MailServer(abc.ABC):
    """tls_port: with TLS from the first octet. plain_port: where it can be started."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        certificate, key = self_signed("localhost")
        (folder / "c.pem").write_bytes(certificate)
        (folder / "k.pem").write_bytes(key)
        self.client_context = ssl.create_default_context(cafile=str(folder / "c.pem"))
        self.client_context.check_hostname = False
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._listeners: list[StreamListener] = []
        self._call(self.start())
        self.tls_port, self.plain_port = (listener.port for listener in self._listeners)

    @abc.abstractmethod
    def listener(self, context: ssl.SSLContext, *, implicit_tls: bool) -> StreamListener:
        """A listener that does not listen yet. Called on the loop."""

    @abc.abstractmethod
    def let_go(self) -> None:
        """Close what the listeners used. Called on the loop."""

    def call_soon(self, callback: Callable[[], None]) -> None:
        """In a turn of the server's loop."""
        self._loop.call_soon_threadsafe(callback)

    def _call(self, coroutine: Coroutine[object, object, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(30)

    async def start(self) -> None:
        for implicit in (True, False):
            sock = socket.create_server(("127.0.0.1", 0))
            sock.setblocking(False)
            context = server_context(self.folder / "c.pem", self.folder / "k.pem")
            listener = self.listener(context, implicit_tls=implicit)
            await listener.serve(sock)
            self._listeners.append(listener)

    def raw(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.plain_port), 20)

    def secure(self) -> ssl.SSLSocket:
        return self.client_context.wrap_socket(socket.create_connection(("127.0.0.1", self.tls_port), 20))

    def until_alone(self) -> None:
        """Until every session is over."""

        async def ended() -> None:
            for listener in self._listeners:
                if listener.sessions:
                    await asyncio.wait(listener.sessions)

        self._call(ended())

    def close(self) -> None:
        """May be called again."""
        if not self._thread.is_alive():
            return

        async def stop() -> None:
            for listener in self._listeners:
                await listener.close()
            self.let_go()

        self._call(stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
