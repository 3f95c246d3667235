"""POP3 sessions without sockets: a session over a real store, and a small client that reads replies."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from mailward.access.pop3.leases import Leases
from mailward.access.pop3.session import Desk, Session
from mailward.disk import Disk
from mailward.model.errors import LoginUnavailable
from mailward.model.ids import AccountId
from mailward.store.account import EmbeddedAccount
from mailward.store.base import MailStore
from mailward.store.embedded import EmbeddedStore
from mailward.store.ops import Append
from support.imap import Wire
from support.plain_book import PlainAuthenticator
from support.storecheck import RECEIVED_AT
from support.stores import NoHints

PASSWORD = "secret word"
FIVE = [b"Subject: %d\r\n\r\nbody %d\r\n" % (n, n) for n in range(1, 6)]
"""Messages."""


def one_password(name: str) -> tuple[AccountId, str]:
    """Every name is the account its local-part says, and "user" has the password of RFC 7677; nobody can tell about "down"."""
    account = name.partition("@")[0]
    if account == "down":
        raise LoginUnavailable("down")
    return AccountId(account), "pencil" if account == "user" else PASSWORD


class Office:
    """A desk over a real store."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = EmbeddedStore(folder / "accounts", Disk(), NoHints(), now_s=lambda: 0x60000000)
        self.authenticator = PlainAuthenticator(one_password)
        self.desk = Desk(self.store, self.authenticator, Leases(folder / "pop3", Disk()), "pop.example.test")

    def with_store(self, store: MailStore) -> None:
        self.desk = replace(self.desk, store=store)

    def account(self, name: str = "alice") -> EmbeddedAccount:
        return self.store.open(AccountId(name))

    def deliver(self, *messages: bytes, name: str = "alice") -> None:
        account = self.account(name)
        inbox = account.mailbox("INBOX").id
        account.apply([Append(inbox, octets, RECEIVED_AT) for octets in messages])

    def flags(self, name: str = "alice") -> list[int]:
        """The flags value of each message in INBOX."""
        account = self.account(name)
        return [*account.view(account.mailbox("INBOX").id).flags]


class Client:
    """One session and its client."""

    def __init__(self, office: Office, **wire: bool) -> None:
        self.wire = Wire(**wire)
        self.session = Session(office.desk, self.wire, "192.0.2.1")
        self.task = asyncio.get_running_loop().create_task(self.session.run())
        self._read = 0

    async def line(self) -> bytes:
        """The next line without its CRLF; b"" when the session is over."""
        while (end := self.wire.sent.find(b"\r\n", self._read)) < 0:
            self.wire.news.clear()
            news = asyncio.ensure_future(self.wire.news.wait())
            done, _ = await asyncio.wait((news, self.task), timeout=60, return_when=asyncio.FIRST_COMPLETED)
            news.cancel()
            assert done, f"no reply; so far {bytes(self.wire.sent[-500:])!r}"
            if news not in done:
                return b""
        line = bytes(self.wire.sent[self._read : end])
        self._read = end + 2
        return line

    async def command(self, text: str | bytes) -> str:
        """Send one command; the first line of its response."""
        self.wire.feed((text.encode() if isinstance(text, str) else text) + b"\r\n")
        return (await self.line()).decode()

    async def lines(self, text: str) -> list[bytes]:
        """The lines of a multi-line response, dot-stuffing undone."""
        assert (await self.command(text)).startswith("+OK")
        found: list[bytes] = []
        while (line := await self.line()) != b".":
            found.append(line.removeprefix(b"."))
        return found

    async def octets(self, text: str) -> bytes:
        """What a multi-line response holds."""
        return b"".join(line + b"\r\n" for line in await self.lines(text))

    async def login(self, name: str = "alice") -> "Client":
        assert (await self.line()).startswith(b"+OK")
        await self.command(f"USER {name}@example.test")
        reply = await self.command(f"PASS {PASSWORD}")
        assert reply.startswith("+OK"), reply
        return self

    async def ended(self) -> None:
        """Until the session is over."""
        await asyncio.wait((self.task,), timeout=60)

    async def drop(self) -> None:
        """The connection is gone without a word."""
        self.wire.feed(b"")
        await self.ended()

    async def close(self) -> None:
        self.task.cancel()
        with suppress(asyncio.CancelledError, ConnectionError):
            await self.task


def numbered(lines: Sequence[bytes]) -> dict[int, str]:
    """The lines of LIST or UIDL."""
    return {int(number): value.decode() for number, value in (line.split(b" ", 1) for line in lines)}
