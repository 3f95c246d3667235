"""Sessions end when their secret is no longer good, and only then; one that is busy, at the second look."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from mailward.app.certificate import self_signed
from mailward.net.admission import Admission
from mailward.net.imapd import ImapListener, ImapSettings
from mailward.net.pop3d import Pop3Listener, Pop3Settings
from mailward.net.revoking import Revoking
from mailward.net.tls import server_context
from support import imap, pop3

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def bound() -> socket.socket:
    sock = socket.create_server(("127.0.0.1", 0))
    sock.setblocking(False)
    return sock


class Place:
    """An IMAP and a POP3 listener with TLS from the first octet, and what watches their sessions."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.imap, self.pop3 = imap.Office(folder / "imap"), pop3.Office(folder / "pop3")
        self.listeners: list[ImapListener | Pop3Listener] = []

    async def start(self) -> None:
        certificate, key = self_signed("localhost")
        (self.folder / "c.pem").write_bytes(certificate)
        (self.folder / "k.pem").write_bytes(key)
        context = server_context(self.folder / "c.pem", self.folder / "k.pem")
        imaps = ImapSettings(implicit_tls=True, output_octets=1024)
        pop3s = Pop3Settings(listener="pop3s", implicit_tls=True)
        self.listeners = [
            ImapListener(imaps, self.imap.desk, context, Admission()),
            Pop3Listener(pop3s, self.pop3.desk, context, Admission()),
        ]
        for listener in self.listeners:
            await listener.serve(bound())
        self.by_imap = Revoking(self.imap.authenticator, self.listeners[:1])
        self.by_pop3 = Revoking(self.pop3.authenticator, self.listeners[1:])

    async def connect(self, listener: int) -> Streams:
        trusting = ssl.create_default_context(cafile=str(self.folder / "c.pem"))
        trusting.check_hostname = False
        return await asyncio.open_connection("127.0.0.1", self.listeners[listener].port, ssl=trusting, limit=2**16)

    async def over_imap(self, name: str) -> Streams:
        reader, writer = await self.connect(0)
        writer.write(f"a LOGIN {name}@example.test {imap.PASSWORD}\r\n".encode())
        await reader.readuntil(b"a OK")
        await reader.readline()
        return reader, writer

    async def over_pop3(self, name: str) -> Streams:
        reader, writer = await self.connect(1)
        writer.write(f"USER {name}@example.test\r\nPASS {pop3.PASSWORD}\r\n".encode())
        for _ in range(3):
            assert (await reader.readline()).startswith(b"+OK")
        return reader, writer


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    made = Place(tmp_path)
    await made.start()
    yield made
    for listener in made.listeners:
        await listener.close(0.1)


async def test_t_2fa_06_an_idling_session_gets_bye(place: Place) -> None:
    reader, writer = await place.over_imap("alice")
    writer.write(b"b IDLE\r\n")
    assert await reader.readline() == b"+ idling\r\n"
    await place.by_imap.look()
    writer.write(b"DONE\r\nc NOOP\r\n")
    assert (await reader.readuntil(b"c OK")).startswith(b"b OK")
    await reader.readline()
    place.imap.authenticator.book.gone = {imap.PASSWORD}
    writer.write(b"d IDLE\r\n")
    assert await reader.readline() == b"+ idling\r\n"
    await place.by_imap.look()
    assert await reader.read() == b"* BYE The login of this session is no longer good\r\n"


async def test_t_2fa_06_sessions_that_wait_for_a_command_end(place: Place) -> None:
    place.pop3.deliver(b"Subject: x\r\n\r\n")
    reader, _writer = await place.over_imap("alice")
    lines, answers = await place.over_pop3("alice")
    answers.write(b"DELE 1\r\n")
    await lines.readline()
    place.imap.authenticator.book.gone = {imap.PASSWORD}
    place.pop3.authenticator.book.gone = {pop3.PASSWORD}
    await place.by_imap.look()
    await place.by_pop3.look()
    assert await reader.read() == b"* BYE The login of this session is no longer good\r\n"
    assert await lines.read() == b""
    assert place.pop3.flags() == [0], "nothing is deleted without QUIT"


async def test_t_2fa_06_a_session_that_is_sending_is_cut_off_at_the_second_look(place: Place) -> None:
    reader, writer = await place.over_imap("alice")
    big = b"Subject: x\r\n\r\n" + b"x" * 900_000
    for _ in range(12):
        writer.write(b"b APPEND INBOX {%d+}\r\n%b\r\n" % (len(big), big))
        await reader.readuntil(b"b OK")
    writer.write(b"c SELECT INBOX\r\n")
    await reader.readuntil(b"c OK")
    writer.write(b"d FETCH 1:* BODY.PEEK[]\r\n")
    await reader.readuntil(b"{900014}")
    place.imap.authenticator.book.gone = {imap.PASSWORD}
    await place.by_imap.look()
    assert place.listeners[0].sessions, "its command is under way"
    await place.by_imap.look()
    await asyncio.wait(place.listeners[0].sessions or [asyncio.create_task(asyncio.sleep(0))], timeout=10)
    assert not place.listeners[0].sessions
    with suppress(ConnectionError):
        assert b"d OK" not in await reader.read()


async def test_while_nobody_can_tell_sessions_stay(place: Place) -> None:
    reader, writer = await place.over_imap("alice")
    place.imap.authenticator.book.gone = {imap.PASSWORD}
    place.imap.authenticator.book.is_away = True
    with capture_logs() as lines:
        await place.by_imap.look()
    assert [line["event"] for line in lines] == ["nobody can tell which logins are revoked"]
    writer.write(b"b NOOP\r\n")
    assert await reader.readline() == b"b OK NOOP completed\r\n"
    place.imap.authenticator.book.is_away = False
    await place.by_imap.look()
    assert await reader.read() == b"* BYE The login of this session is no longer good\r\n"
