"""ManageSieve sessions without sockets: a session over a real store, and a small client that reads responses."""

import asyncio
import base64
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from mailward.access.managesieve.session import Desk, Session
from mailward.disk import Disk
from mailward.model.errors import LoginUnavailable
from mailward.model.ids import AccountId
from mailward.store.account import EmbeddedAccount
from mailward.store.embedded import EmbeddedStore
from support.imap import Wire
from support.plain_book import PlainAuthenticator
from support.stores import NoHints

PASSWORD = "secret word"
_LITERAL = re.compile(rb"\{(\d+)\}\r\n$")


def one_password(name: str) -> tuple[AccountId, str]:
    """Every name is the account its local-part says, and "user" has the password of RFC 7677; nobody can tell about "down"."""
    account = name.partition("@")[0]
    if account == "down":
        raise LoginUnavailable("down")
    return AccountId(account), "pencil" if account == "user" else PASSWORD


class Office:
    """A desk over a real store."""

    def __init__(self, folder: Path) -> None:
        self.store = EmbeddedStore(folder / "accounts", Disk(), NoHints())
        self.authenticator = PlainAuthenticator(one_password)
        self.desk = Desk(self.store, self.authenticator)

    def use(self, authenticator: PlainAuthenticator) -> None:
        self.authenticator = authenticator
        self.desk = Desk(self.store, authenticator)

    def account(self, name: str = "alice") -> EmbeddedAccount:
        return self.store.open(AccountId(name))


@dataclass(frozen=True)
class Response:
    """word: OK, NO or BYE. code: without brackets. text: of people's words. data: the lines before it, literals among them."""

    word: str
    code: str
    text: str
    data: tuple[bytes, ...]


class Client:
    """One session and its client."""

    def __init__(self, office: Office, **wire: bool) -> None:
        self.wire = Wire(**wire)
        self.session = Session(office.desk, self.wire, "192.0.2.1")
        self.task = asyncio.get_running_loop().create_task(self.session.run())
        self._read = 0

    async def line(self) -> bytes:
        """The next line without its CRLF, with the literals in it; b"" when the session is over."""
        line = b""
        while True:
            while (end := self.wire.sent.find(b"\r\n", self._read)) < 0:
                if not await self._more():
                    return line
            line += self.wire.sent[self._read : end + 2]
            self._read = end + 2
            literal = _LITERAL.search(line)
            if literal is None:
                return line[:-2]
            size = int(literal[1])
            while len(self.wire.sent) < self._read + size:
                assert await self._more()
            line += self.wire.sent[self._read : self._read + size]
            self._read += size

    async def _more(self) -> bool:
        self.wire.news.clear()
        news = asyncio.ensure_future(self.wire.news.wait())
        done, _ = await asyncio.wait((news, self.task), timeout=90, return_when=asyncio.FIRST_COMPLETED)
        news.cancel()
        assert done, f"no response; so far {bytes(self.wire.sent[-500:])!r}"
        return news in done

    async def response(self) -> Response:
        data: list[bytes] = []
        while line := await self.line():
            match = re.fullmatch(rb'(OK|NO|BYE)(?: \((.*?)\))?(?: (?:"(.*)"|\{\d+\}\r\n(.*)))?', line, re.DOTALL)
            if match:
                word, code, quoted, literal = (group.decode() if group is not None else "" for group in match.groups())
                return Response(word, code, quoted or literal, tuple(data))
            data.append(line)
        raise AssertionError(f"no response, but {data}")

    async def command(self, text: str | bytes) -> Response:
        self.wire.feed((text.encode() if isinstance(text, str) else text) + b"\r\n")
        return await self.response()

    async def put(self, name: str, script: str) -> Response:
        return await self.command(f'PUTSCRIPT "{name}" {{{len(script.encode())}+}}\r\n{script}')

    async def login(self, name: str = "alice") -> "Client":
        await self.response()
        secret = base64.b64encode(f"\0{name}@example.test\0{PASSWORD}".encode()).decode()
        assert (await self.command(f'AUTHENTICATE "PLAIN" "{secret}"')).word == "OK"
        return self

    async def drop(self) -> None:
        """The client is gone without a word."""
        self.wire.feed(b"")
        with suppress(ConnectionError):
            await self.task
