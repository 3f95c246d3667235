"""How much a connection keeps for a client, without sockets."""

import asyncio
from typing import Any

import pytest

from mailward.access.connection import Connection
from mailward.model.identity import Identity
from mailward.model.ids import AccountId
from mailward.net.admission import Admission
from mailward.net.stream import StreamListener
from mailward.net.stream_connection import StreamConnection
from mailward.net.stream_settings import StreamSettings

SETTINGS = StreamSettings("test", idle_s=60.0, buffer_octets=1000, output_octets=1000, stranger_octets=100)


class Client(asyncio.Transport):
    """The other end, which reads nothing."""

    def __init__(self, protocol: StreamConnection) -> None:
        super().__init__()
        self._protocol = protocol
        self._most = 0
        self.unread = 0
        self.is_heard = True

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("192.0.2.1", 1) if name == "peername" else default

    def is_closing(self) -> bool:
        return False

    def close(self) -> None:
        pass

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._most = high or 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.unread += len(data)
        if self.unread > self._most:
            self._protocol.pause_writing()

    def pause_reading(self) -> None:
        self.is_heard = False


class Session:
    identity: Identity | None = None
    account: AccountId | None = None
    is_logged_in = False
    ended_by = ""

    def __init__(self) -> None:
        self.tallies: dict[str, int] = {}

    async def run(self) -> None:
        await asyncio.Event().wait()

    def say_goodbye(self, text: str) -> None:
        raise NotImplementedError


class Listener(StreamListener):
    protocol = "imap"
    too_many = b""

    def open_session(self, connection: Connection, peer_ip: str) -> Session:
        return Session()


async def connected(settings: StreamSettings) -> tuple[StreamConnection, Session, Client]:
    connection = Listener(settings, None, Admission(), "test").make_connection()
    client = Client(connection)
    connection.connection_made(client)
    await asyncio.sleep(0)
    assert isinstance(connection.session, Session)
    return connection, connection.session, client


@pytest.mark.parametrize(("is_logged_in", "most"), [(False, 100), (True, 1000)])
async def test_t_dos_06_less_is_kept_for_a_client_that_has_not_logged_in(is_logged_in: bool, most: int) -> None:
    connection, session, client = await connected(SETTINGS)
    session.is_logged_in = is_logged_in
    sent = 0
    while client.is_heard:
        connection.data_received(b"x")
        sent += 1
    assert sent == most
    sending = asyncio.ensure_future(_send_on(connection))
    await asyncio.sleep(0)
    assert client.unread == most + 1
    sending.cancel()


async def test_t_dos_06_a_client_that_has_not_logged_in_and_reads_nothing_is_not_waited_for_beyond_its_time_to_do_so() -> None:
    connection, _, _ = await connected(StreamSettings("test", idle_s=60.0, login_s=0.0, write_s=3600.0, stranger_octets=100))
    sending = asyncio.ensure_future(_send_on(connection))
    await asyncio.wait((sending,), timeout=20)
    assert sending.done() and isinstance(sending.exception(), TimeoutError)


async def _send_on(connection: StreamConnection) -> None:
    while True:
        await connection.send(b"x")
