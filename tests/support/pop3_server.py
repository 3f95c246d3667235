"""A POP3 listener with real sockets, TLS and store, on an event loop of its own thread."""

import asyncio
import poplib
import socket
import ssl
import threading
from collections.abc import Coroutine
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import uvloop

from mailward.app.certificate import self_signed
from mailward.net.admission import Admission
from mailward.net.pop3d import Pop3Listener, Pop3Settings, serve_pop3
from mailward.net.tls import server_context
from support.pop3 import PASSWORD, Office

T = TypeVar("T")

NAME = "alice@example.test"
LOGIN = f"USER {NAME}\r\nPASS {PASSWORD}\r\n".encode()


class Pop3Server(Office):
    """Two listeners of one office: tls_port with TLS from the first octet, plain_port with STLS."""

    def __init__(self, folder: Path, settings: Pop3Settings | None = None, admission: Admission | None = None) -> None:
        super().__init__(folder)
        certificate, key = self_signed("localhost")
        (folder / "c.pem").write_bytes(certificate)
        (folder / "k.pem").write_bytes(key)
        self.client_context = ssl.create_default_context(cafile=str(folder / "c.pem"))
        self.client_context.check_hostname = False
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._listeners: list[Pop3Listener] = []
        self._call(self._start(settings or Pop3Settings(), admission))
        self.tls_port, self.plain_port = (listener.port for listener in self._listeners)

    def _call(self, coroutine: Coroutine[object, object, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(30)

    async def _start(self, settings: Pop3Settings, admission: Admission | None) -> None:
        for implicit in (True, False):
            context = server_context(self.folder / "c.pem", self.folder / "k.pem")
            sock = socket.create_server(("127.0.0.1", 0))
            sock.setblocking(False)
            made = replace(settings, implicit_tls=implicit)
            self._listeners.append(
                await serve_pop3(sock, settings=made, desk=self.desk, tls_context=context, admission=admission)
            )

    def connect(self) -> poplib.POP3_SSL:
        client = poplib.POP3_SSL("127.0.0.1", self.tls_port, context=self.client_context, timeout=20)
        client.user(NAME)
        client.pass_(PASSWORD)
        return client

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

        self._call(stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self.store.close()
