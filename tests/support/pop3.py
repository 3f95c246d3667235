"""POP3 sessions without sockets: a session over a real store, and a small client that reads replies."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from mailward.access.pop3.leases import Leases
from mailward.access.pop3.session import Desk, Session
from mailward.auth.exchange import Accepted, Challenge, LoginPeer, Refused, Step
from mailward.disk import Disk
from mailward.model.identity import Identity
from mailward.model.ids import AccountId
from mailward.store.base import Append, MailStore
from mailward.store.embedded import EmbeddedAccount, EmbeddedStore
from support.imap import Wire
from support.storecheck import RECEIVED_AT
from support.stores import NoHints

PASSWORD = "secret word"


class OnePassword:
    """Every name is the account its local-part says, if the password is right; nobody can tell about "down".

    STEPS is a mechanism of two challenges: it wants "one" and "" (as SCRAM ends), whoever asks is alice.
    """

    mechanisms = ("STEPS", "PLAIN")

    def __init__(self) -> None:
        self.peers: list[LoginPeer] = []

    def begin(self, peer: LoginPeer, mechanism: str) -> "_Exchange":
        self.peers.append(peer)
        return _Exchange(mechanism)


class _Exchange:
    def __init__(self, mechanism: str) -> None:
        self._mechanism = mechanism
        self._steps = iter((b"first", b"last"))
        self._wanted = iter((None, b"one", b""))

    async def step(self, response: bytes | None) -> Step:
        if self._mechanism == "STEPS":
            if response != next(self._wanted):
                return Refused("malformed")
            octets = next(self._steps, None)
            return Accepted(Identity(AccountId("alice"), "alice@example.test")) if octets is None else Challenge(octets)
        if response is None:
            return Challenge(b"")
        parts = response.split(b"\0")
        if len(parts) != 3:
            return Refused("malformed")
        name = parts[1].decode("utf-8", "replace").partition("@")[0]
        if name == "down":
            return Refused("unavailable")
        if parts[2] != PASSWORD.encode():
            return Refused("failed")
        return Accepted(Identity(AccountId(name), f"{name}@example.test"))


class Office:
    """A desk over a real store."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = EmbeddedStore(folder / "accounts", Disk(), NoHints(), now_s=lambda: 0x60000000)
        self.authenticator = OnePassword()
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
            done, _ = await asyncio.wait((news, self.task), timeout=10, return_when=asyncio.FIRST_COMPLETED)
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
        await asyncio.wait((self.task,), timeout=10)

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
