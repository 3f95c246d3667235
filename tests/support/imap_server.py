"""An IMAP listener with real sockets, TLS and store, on an event loop of its own thread."""

import asyncio
import imaplib
import socket
import ssl
import threading
from collections.abc import Coroutine
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from mailward.access.imap.session import Desk
from mailward.api.hooks import MessageMoved
from mailward.app.certificate import self_signed
from mailward.app.watching import Watchers
from mailward.disk import Disk
from mailward.model.ids import AccountId
from mailward.net.admission import Admission
from mailward.net.imapd import ImapListener, ImapSettings, serve_imap
from mailward.net.tls import server_context
from mailward.store.base import Append, MailStore
from mailward.store.changes import Hints
from mailward.store.embedded import EmbeddedStore
from support.plain_book import PlainBook, authenticator

T = TypeVar("T")

MESSAGE = (
    b"Return-Path: <a@example.net>\r\nFrom: Ann <ann@example.net>\r\nTo: bob@example.org\r\nSubject: first\r\n"
    b"Date: Mon, 2 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@example.net>\r\n\r\nhello there\r\n"
)

LOGIN = b'a LOGIN bob@example.org "pass \\"word\\""\r\n'


def bobs_password(name: str) -> tuple[AccountId, str] | None:
    return (AccountId("a1"), 'pass "word"') if name == "bob@example.org" else None


class ImapServer:
    """A listener on a loop of its own thread. moves: what plugins would be told."""

    def __init__(
        self,
        folder: Path,
        settings: ImapSettings | None = None,
        admission: Admission | None = None,
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self.folder = folder
        self._settings = settings or ImapSettings()
        self._admission = admission
        certificate, key = self_signed("mx.example.test")
        (folder / "c.pem").write_bytes(certificate)
        (folder / "k.pem").write_bytes(key)
        self.client_context = ssl.create_default_context(cafile=str(folder / "c.pem"))
        self.client_context.check_hostname = False
        self.moves: list[MessageMoved] = []
        self._loop = loop or asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.store: MailStore
        self._call(self._start(folder))

    def _call(self, coroutine: Coroutine[object, object, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(30)

    async def _start(self, folder: Path) -> None:
        context = server_context(folder / "c.pem", folder / "k.pem")
        self._hints = Hints(folder / "hints")
        watchers = Watchers()
        self._hints.listen(watchers.changed)
        self.store = EmbeddedStore(folder / "accounts", Disk(), self._hints)
        desk = Desk(
            self.store, authenticator(PlainBook(bobs_password)), watchers.watch, self.moves.append, "mx.example.test", 1_000_000
        )
        self._listeners: list[ImapListener] = []
        for implicit in (True, False):
            sock = socket.create_server(("127.0.0.1", 0))
            sock.setblocking(False)
            settings = replace(self._settings, implicit_tls=implicit)
            self._listeners.append(
                await serve_imap(sock, settings=settings, desk=desk, tls_context=context, admission=self._admission)
            )
        self.tls_port, self.plain_port = (listener.port for listener in self._listeners)

    def deliver(self, octets: bytes = MESSAGE, mailbox: str = "INBOX") -> None:
        account = self.store.open(AccountId("a1"))
        account.apply([Append(account.mailbox(mailbox).id, octets, datetime(2026, 11, 2, 10, tzinfo=UTC))])

    def connect(self) -> imaplib.IMAP4_SSL:
        client = imaplib.IMAP4_SSL("127.0.0.1", self.tls_port, ssl_context=self.client_context, timeout=20)
        assert client.login("bob@example.org", 'pass "word"')[0] == "OK"
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
            self._hints.close()

        self._call(stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()


def read_until(client: socket.socket, wanted: bytes) -> bytes:
    """Everything up to what is wanted and a little more; fails when the server ends the connection first."""
    octets = b""
    while wanted not in octets:
        more = client.recv(65536)
        assert more, octets
        octets += more
    return octets
