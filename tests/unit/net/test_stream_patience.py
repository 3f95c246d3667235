"""How long a client within a command is waited for: its own silence counts, and not the time that an answer takes."""

import asyncio
import socket
from types import SimpleNamespace
from typing import Any, cast

import pytest

from mailward.net.patience import Patience, PatienceLimits
from mailward.net.stream_connection import StreamConnection
from mailward.net.stream_settings import StreamSettings

WAIT_S = 0.4


@pytest.fixture
def connection() -> StreamConnection:
    settings = StreamSettings("imap", 60.0, patience=PatienceLimits(command_s=WAIT_S, data_octets_per_s=1e9))
    made = StreamConnection(cast(Any, SimpleNamespace(settings=settings)))
    made.session = cast(Any, SimpleNamespace(is_logged_in=True))
    return made


async def test_what_came_while_an_answer_was_made_leaves_the_client_its_time(connection: StreamConnection) -> None:
    connection.data_received(b"b FET")
    assert await connection.receive() == b"b FET"
    rest = b"CH 1:20 BODY[]\r\nc APPEND Drafts {5}\r\n"
    asyncio.get_running_loop().call_soon(connection.data_received, rest)
    assert await connection.receive(within_command=True) == rest
    await asyncio.sleep(2 * WAIT_S)  # the answer to b
    connection.data_received(b"hel")
    assert await connection.receive(within_command=True) == b"hel"
    asyncio.get_running_loop().call_later(WAIT_S / 4, connection.data_received, b"lo\r\n")
    assert await connection.receive(within_command=True) == b"lo\r\n"


async def test_t_imap_15_a_silent_client_within_a_command_has_an_end(connection: StreamConnection) -> None:
    connection.data_received(b"hel")
    assert await connection.receive(within_command=True) == b"hel"
    with pytest.raises(TimeoutError):
        await connection.receive(within_command=True)


async def test_t_imap_15_one_command_takes_an_hour_at_most(connection: StreamConnection) -> None:
    connection._patience = Patience(StreamSettings("imap", 60.0).patience, 0.0)
    connection._patience.octets_came(25 * 2**20, 100.0)
    connection._patience.expect_content(3590.0, hurried=False)
    assert connection._patience.deadline == 3600.0


async def test_part_of_a_command_is_acknowledged_at_once(connection: StreamConnection) -> None:
    """The kernel of a client that has written a literal keeps the line end behind it until then."""
    with socket.create_server(("127.0.0.1", 0)) as listening, socket.create_connection(listening.getsockname()) as client:
        served, _ = listening.accept()
        with served:
            served.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 0)
            connection._transport = cast(Any, SimpleNamespace(get_extra_info=lambda name: served if name == "socket" else None))
            client.sendall(b"a APPEND Drafts {3}\r\n")
            connection.data_received(b"a APPEND Drafts {3}\r\n")
            await connection.receive()
            assert not served.getsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK)
            connection.data_received(b"hi\r")
            await connection.receive(within_command=True)
            assert served.getsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK)
