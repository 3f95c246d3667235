"""IMAP with real sockets, TLS and store."""

import imaplib
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from mailward.access.imap.desk import Desk, Scripts
from mailward.api.learning import MessageClassified, MessageMoved
from mailward.app.watching import Watchers
from mailward.disk import Disk
from mailward.model.ids import AccountId
from mailward.model.limits import NO_LIMITS
from mailward.net.admission import Admission
from mailward.net.imapd import ImapListener, ImapSettings
from mailward.store.base import MailStore
from mailward.store.changes import Hints
from mailward.store.embedded import EmbeddedStore
from mailward.store.ops import Append
from support.mail_server import MailServer
from support.plain_book import PlainAuthenticator

MESSAGE = (
    b"Return-Path: <a@example.net>\r\nFrom: Ann <ann@example.net>\r\nTo: bob@example.org\r\nSubject: first\r\n"
    b"Date: Mon, 2 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@example.net>\r\n\r\nhello there\r\n"
)

LOGIN = b'a LOGIN bob@example.org "pass \\"word\\""\r\n'


def bobs_password(name: str) -> tuple[AccountId, str] | None:
    return (AccountId("a1"), 'pass "word"') if name == "bob@example.org" else None


class ImapServer(MailServer):
    """moves, classified: what plugins would be told. limits: of every account. now_s: the store's clock."""

    def __init__(
        self,
        folder: Path,
        settings: ImapSettings | None = None,
        admission: Admission | None = None,
        *,
        now_s: Callable[[], float] = time.time,
        scripts: Scripts | None = None,
    ) -> None:
        self._settings = settings or ImapSettings()
        self._admission = admission or Admission()
        self._hints = Hints(folder / "hints")
        self.moves: list[MessageMoved] = []
        self.classified: list[MessageClassified] = []
        self.limits = NO_LIMITS
        self.store: MailStore = EmbeddedStore(
            folder / "accounts", Disk(), self._hints, limits_of=lambda _: self.limits, now_s=now_s
        )
        self._watchers = Watchers()
        self._desk = Desk(
            self.store,
            PlainAuthenticator(bobs_password),
            self._watchers.watch,
            self.moves.append,
            self.classified.append,
            "mx.example.test",
            1_000_000,
            scripts=scripts,
        )
        super().__init__(folder)

    async def start(self) -> None:
        self._hints.listen(self._watchers.changed)
        await super().start()

    def listener(self, context: ssl.SSLContext, *, implicit_tls: bool) -> ImapListener:
        return ImapListener(replace(self._settings, implicit_tls=implicit_tls), self._desk, context, self._admission)

    def let_go(self) -> None:
        self._hints.close()

    def deliver(self, octets: bytes = MESSAGE, mailbox: str = "INBOX") -> None:
        account = self.store.open(AccountId("a1"))
        account.apply([Append(account.mailbox(mailbox).id, octets, datetime(2026, 11, 2, 10, tzinfo=UTC))])

    def connect(self) -> imaplib.IMAP4_SSL:
        client = imaplib.IMAP4_SSL("127.0.0.1", self.tls_port, ssl_context=self.client_context, timeout=60)
        assert client.login("bob@example.org", 'pass "word"')[0] == "OK"
        return client


def read_until(client: socket.socket, wanted: bytes) -> bytes:
    """Everything up to what is wanted and a little more; fails when the server ends the connection first."""
    octets = b""
    while wanted not in octets:
        more = client.recv(65536)
        assert more, octets
        octets += more
    return octets
