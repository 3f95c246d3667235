"""IMAP sessions without sockets: a session over a real store, a wire held in memory, and a small client that reads replies."""

import asyncio
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from mailward.access.imap.commands.table import COMMANDS
from mailward.access.imap.desk import Desk
from mailward.access.imap.session import Session
from mailward.api.learning import MessageClassified, MessageMoved
from mailward.app.watching import Watchers
from mailward.disk import Disk
from mailward.model.ids import AccountId
from mailward.model.session import TlsFacts
from mailward.store.embedded import EmbeddedStore
from support.plain_book import PlainAuthenticator

PASSWORD = "secret"
MESSAGE = b"Subject: s\r\n\r\nbody\r\n"
APPEND_OCTETS = 1024 * 1024
_LITERAL = re.compile(rb"\{(\d+)\}\r\n$")


class Watched(Watchers):
    """Hints of one process: the store publishes, sessions watch."""

    def __init__(self) -> None:
        super().__init__()
        self.loop: asyncio.AbstractEventLoop | None = None

    def publish(self, account: AccountId, *_: object) -> None:
        if self.loop is not None and not self.loop.is_closed():
            self.loop.call_soon_threadsafe(self.changed, account)

    def watch(self, account: AccountId, callback: Callable[[], None]) -> Callable[[], None]:
        self.loop = asyncio.get_running_loop()
        return super().watch(account, callback)

    def watching(self, account: AccountId) -> int:
        """How many hear of it."""
        return len(self._callbacks.get(account, ()))


def one_password(name: str) -> tuple[AccountId, str]:
    """Every name that begins with an account's is that account."""
    return AccountId(name.partition("@")[0]), PASSWORD


@dataclass
class Office:
    """A desk over a real store, and what it was told of moves and keywords."""

    folder: Path
    moves: list[MessageMoved] = field(default_factory=list)
    classified: list[MessageClassified] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.hints = Watched()
        self.authenticator = PlainAuthenticator(one_password)
        self.use(EmbeddedStore(self.folder, Disk(), self.hints))

    def use(self, store: EmbeddedStore) -> None:
        """For sessions that are opened from now on."""
        self.store = store
        self.desk = Desk(
            store=store,
            authenticator=self.authenticator,
            watch=self.hints.watch,
            moved=self.moves.append,
            classified=self.classified.append,
            hostname="mail.example.test",
            append_octets=APPEND_OCTETS,
        )


class Wire:
    """access.connection.Connection in memory."""

    listener = "imap"

    def __init__(self, *, is_secure: bool = True, can_start_tls: bool = False) -> None:
        self.is_secure = is_secure
        self.can_start_tls = can_start_tls
        self.sent = bytearray()
        self.news = asyncio.Event()
        self.is_waiting = asyncio.Event()
        self.is_patient = True
        """A client that has begun a command is waited for."""
        self._inbox: asyncio.Queue[bytes] = asyncio.Queue()

    @property
    def tls(self) -> TlsFacts | None:
        return TlsFacts("TLSv1.3", "TLS_AES_256_GCM_SHA384") if self.is_secure else None

    async def send(self, octets: bytes) -> None:
        self.sent += octets
        self.news.set()

    async def receive(self, *, within_command: bool = False) -> bytes:
        if within_command and not self.is_patient:
            raise TimeoutError
        if self._inbox.empty():
            self.is_waiting.set()
        octets = await self._inbox.get()
        self.is_waiting.clear()
        return octets

    async def start_tls(self) -> None:
        self.is_secure = True
        self.can_start_tls = False

    def start_compression(self) -> None:
        raise NotImplementedError

    def feed(self, octets: bytes) -> None:
        """What the client sends; b"" is its end."""
        self.is_waiting.clear()
        self._inbox.put_nowait(octets)


class OnWire(Protocol):
    """Whoever has a session of its own at the other end of a wire."""

    wire: Wire
    task: asyncio.Task[None]


class Client:
    """One session and its client. Replies are whole: literals are in their line."""

    def __init__(self, office: Office, **wire: bool) -> None:
        self.wire = Wire(**wire)
        self.session = Session(office.desk, self.wire, "192.0.2.1", COMMANDS)
        self.task = asyncio.get_running_loop().create_task(self.session.run())
        self._read = 0
        self._tags = 0

    @property
    def tag(self) -> str:
        """Of the last command."""
        return f"t{self._tags}"

    async def line(self) -> bytes:
        """The next reply without its CRLF; b"" when the session is over."""
        reply = b""
        while True:
            end = self.wire.sent.find(b"\n", self._read)
            if end < 0:
                if not await self._more():
                    return b""
                continue
            reply += self.wire.sent[self._read : end + 1]
            self._read = end + 1
            literal = _LITERAL.search(reply)
            if literal is None:
                return reply[:-2]
            size = int(literal[1])
            while len(self.wire.sent) < self._read + size:
                assert await self._more()
            reply += self.wire.sent[self._read : self._read + size]
            self._read += size

    @property
    def read_octets(self) -> int:
        """How much of what was sent has been read."""
        return self._read

    async def _more(self) -> bool:
        """Wait for the session to send something; False when it is over."""
        self.wire.news.clear()
        news = asyncio.ensure_future(self.wire.news.wait())
        done, _ = await asyncio.wait((news, self.task), timeout=60, return_when=asyncio.FIRST_COMPLETED)
        news.cancel()
        if not done:
            raise TimeoutError(f"no reply; so far {bytes(self.wire.sent[-500:])!r}")
        return news in done

    async def command(self, text: str | bytes) -> list[bytes]:
        """Send one command; its untagged replies and, last, the tagged one without its tag."""
        self._tags += 1
        tag = b"t%d " % self._tags
        self.wire.feed(tag + (text.encode() if isinstance(text, str) else text) + b"\r\n")
        return await self.replies(tag)

    async def replies(self, tag: bytes) -> list[bytes]:
        found = []
        while True:
            line = await self.line()
            found.append(line.removeprefix(tag))
            if line.startswith(tag) or not line:
                return found

    async def ok(self, text: str | bytes) -> list[bytes]:
        """The untagged replies of a command that succeeds."""
        *untagged, tagged = await self.command(text)
        assert tagged.startswith(b"OK "), (text, tagged)
        return untagged

    async def append(self, mailbox: str, octets: bytes, more: str = "") -> bytes:
        """The tagged reply."""
        return (await self.command(f"APPEND {mailbox} {more}{{{len(octets)}+}}\r\n".encode() + octets))[-1]

    async def login(self, name: str = "alice") -> "Client":
        await self.line()
        await self.ok(f"LOGIN {name}@example.test {PASSWORD}")
        return self

    async def close(self) -> None:
        self.wire.feed(b"")
        self.task.cancel()
        with suppress(asyncio.CancelledError, ConnectionError):
            await self.task


async def settle(client: OnWire) -> None:
    """Until the session waits for its client, or is over."""
    waiting = asyncio.ensure_future(client.wire.is_waiting.wait())
    await asyncio.wait((waiting, client.task), timeout=60, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()


async def two(office: Office, messages: int = 3) -> tuple[Client, Client]:
    """Two sessions with INBOX selected; nothing is recent in the second."""
    first, second = await Client(office).login(), await Client(office).login()
    for n in range(messages):
        await first.append("INBOX", MESSAGE.replace(b"s\r", b"s%d\r" % n))
    for client in (first, second):
        await client.ok("SELECT INBOX")
    return first, second
