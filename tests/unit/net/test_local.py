"""Calls over a unix socket: many at once, restarts, limits, and who is answered (T-PRIV-08)."""

import asyncio
import json
import os
import socket
import stat
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import uvloop

from mailward.net.local import LocalClient, LocalServer, PeerAway, Refusal, Values, call_once
from support.server import open_folder


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run" / "test.sock"


class Calls:
    """Handlers to be called."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.waiting = 0
        self.somebody_waits = asyncio.Event()

    async def echo(self, values: Values) -> Values:
        return values

    async def wait(self, values: Values) -> Values:
        self.waiting += 1
        self.somebody_waits.set()
        await self.gate.wait()
        return values

    async def refuse(self, values: Values) -> Values:
        raise Refusal("there is no such thing")

    async def fail(self, values: Values) -> Values:
        raise KeyError("secret detail")

    def server(self, path: Path, **more: int) -> LocalServer:
        handlers = {"echo": self.echo, "wait": self.wait, "refuse": self.refuse, "fail": self.fail}
        return LocalServer(path, handlers, **more)


@pytest.fixture
async def calls() -> Calls:
    return Calls()


@pytest.fixture
async def server(path: Path, calls: Calls) -> AsyncIterator[LocalServer]:
    made = calls.server(path)
    await made.start()
    yield made
    await made.close()


@pytest.fixture
async def client(path: Path) -> AsyncIterator[LocalClient]:
    made = LocalClient(path)
    yield made
    await made.close()


async def test_calls_and_answers(server: LocalServer, client: LocalClient) -> None:
    for values in ({}, {"text": 'ü\n"\x00☃', "list": [1, None, True]}, {"big": "x" * 300_000}):
        assert await client.call("echo", values) == values


async def test_refusals_come_with_their_words_and_failures_without(server: LocalServer, client: LocalClient) -> None:
    with pytest.raises(Refusal, match="there is no such thing"):
        await client.call("refuse", {})
    with pytest.raises(Refusal, match="no such call"):
        await client.call("other", {})
    with pytest.raises(Refusal, match="the server's log says why") as caught:
        await client.call("fail", {})
    assert "secret" not in str(caught.value)


async def test_many_calls_at_once_and_answers_in_any_order(server: LocalServer, client: LocalClient, calls: Calls) -> None:
    slow = [asyncio.ensure_future(client.call("wait", {"n": n})) for n in range(300)]
    quick = await asyncio.gather(*(client.call("echo", {"n": n}) for n in range(300)))
    assert [answer["n"] for answer in quick] == list(range(300))
    calls.gate.set()
    assert [answer["n"] for answer in await asyncio.gather(*slow)] == list(range(300))


async def test_a_call_that_is_broken_off_disturbs_no_other(server: LocalServer, client: LocalClient, calls: Calls) -> None:
    broken = asyncio.ensure_future(client.call("wait", {}))
    await calls.somebody_waits.wait()
    broken.cancel()
    with pytest.raises(asyncio.CancelledError):
        await broken
    calls.gate.set()
    assert await client.call("echo", {"a": 1}) == {"a": 1}


async def test_without_a_server(client: LocalClient, path: Path) -> None:
    with pytest.raises(PeerAway, match="No such file"):
        await client.call("echo", {})
    with pytest.raises(PeerAway, match="No such file"):
        call_once(path, "echo", {})


async def test_a_restarted_server_is_found_again(path: Path, client: LocalClient, calls: Calls) -> None:
    first = calls.server(path)
    await first.start()
    await client.call("echo", {})
    under_way = asyncio.ensure_future(client.call("wait", {}))
    await calls.somebody_waits.wait()
    await first.close()
    with pytest.raises(PeerAway):
        await under_way
    with pytest.raises(PeerAway):
        await client.call("echo", {})
    second = calls.server(path)
    await second.start()
    assert await client.call("echo", {"n": 2}) == {"n": 2}
    await second.close()


async def test_a_server_takes_the_place_of_a_dead_one(path: Path, client: LocalClient, calls: Calls) -> None:
    path.parent.mkdir()
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(str(path))
    stale.close()
    server = calls.server(path)
    await server.start()
    assert await client.call("echo", {"n": 1}) == {"n": 1}
    await server.close()


async def test_paths_longer_than_a_socket_address(tmp_path: Path, calls: Calls) -> None:
    path = tmp_path / ("long" * 30) / ("path" * 30) / "test.sock"
    assert len(str(path)) > 250
    server, client = calls.server(path), LocalClient(path)
    await server.start()
    assert await client.call("echo", {"n": 1}) == {"n": 1}
    assert await asyncio.to_thread(call_once, path, "echo", {"n": 2}) == {"n": 2}
    await client.close()
    await server.close()


def test_on_uvloop_as_the_server_runs(path: Path) -> None:
    async def main() -> None:
        calls, client = Calls(), LocalClient(path)
        for n in range(2):
            server = calls.server(path)
            await server.start()
            assert await client.call("echo", {"n": n}) == {"n": n}
            with pytest.raises(Refusal):
                await client.call("refuse", {})
            under_way = asyncio.ensure_future(client.call("wait", {}))
            await calls.somebody_waits.wait()
            calls.somebody_waits.clear()
            await server.close()
            with pytest.raises(PeerAway):
                await under_way
            with pytest.raises(PeerAway):
                await client.call("echo", {})
        await client.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())


async def test_the_blocking_call(server: LocalServer, path: Path) -> None:
    assert await asyncio.to_thread(call_once, path, "echo", {"big": "x" * 300_000}) == {"big": "x" * 300_000}
    with pytest.raises(Refusal, match="no such thing"):
        await asyncio.to_thread(call_once, path, "refuse", {})


async def test_the_blocking_call_does_not_wait_for_ever(server: LocalServer, path: Path) -> None:
    with pytest.raises(PeerAway, match="no answer"):
        await asyncio.to_thread(lambda: call_once(path, "wait", {}, timeout_s=0.05))


# --- T-PRIV-08 ---


async def test_t_priv_08_socket_and_folder_are_closed_to_others(server: LocalServer, path: Path) -> None:
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def raw(path: Path, octets: bytes) -> bytes:
    """Everything a peer gets for these octets until it is cut off."""
    reader, writer = await asyncio.open_unix_connection(str(path))
    writer.write(octets)
    async with asyncio.timeout(10):
        found = await reader.read()
    writer.close()
    return found


@pytest.mark.parametrize(
    "octets",
    [
        b"x" * 3000,
        b"x" * 3000 + b"\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"[]\n",
        b"{}\n",
        b'{"id":"1","call":"echo","with":{}}\n',
        b"\xff\n",
        b"[" * 900 + b"\n",
    ],
)
async def test_t_priv_08_what_is_no_call_is_cut_off(path: Path, calls: Calls, octets: bytes) -> None:
    server = calls.server(path, max_line_octets=1024)
    await server.start()
    assert await raw(path, octets) == b""
    await server.close()


async def test_t_priv_08_a_client_survives_a_server_that_answers_nonsense(path: Path, client: LocalClient) -> None:
    path.parent.mkdir()

    async def nonsense(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"nonsense\n")

    server = await asyncio.start_unix_server(nonsense, str(path))
    with pytest.raises(PeerAway):
        await client.call("echo", {})
    server.close()


OTHER = """
import os, socket, sys
if os.geteuid() == 0:
    os.setgid(65534); os.setuid(65534)
client = socket.socket(socket.AF_UNIX)
client.settimeout(10)
client.connect(sys.argv[1])
try:
    client.sendall(b'{"id":1,"call":"echo","with":{}}\\n')
    print(client.recv(1000))
except (ConnectionResetError, BrokenPipeError):
    print(b"")
"""


@pytest.fixture
def open_path() -> Iterator[Path]:
    """Where anybody can connect, as if the folder had been opened by mistake."""
    folder = open_folder()
    yield folder / "test.sock"
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()


async def test_t_priv_08_another_user_is_not_answered(open_path: Path, calls: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    if os.geteuid() != 0:  # who cannot become another user lets the server be another's
        monkeypatch.setattr("mailward.net.local.os.geteuid", lambda: 65534)
    server = calls.server(open_path)
    await server.start()
    open_path.chmod(0o666)
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", OTHER, str(open_path), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    assert await child.communicate() == (b"b''\n", b"")
    await server.close()


def test_t_priv_08_a_client_tells_nothing_to_another_users_server(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as foreign:
        foreign.bind(str(path))
        foreign.listen()
        monkeypatch.setattr("mailward.net.local._CREDENTIALS", _Foreign())
        with pytest.raises(PeerAway, match="another user"):
            call_once(path, "echo", {"password": "secret"})


class _Foreign:
    """As if SO_PEERCRED named somebody else."""

    size = 12

    def unpack(self, octets: bytes) -> tuple[int, int, int]:
        return (1, 65534, 65534)


async def test_the_lines_are_json(server: LocalServer, path: Path) -> None:
    reader, writer = await asyncio.open_unix_connection(str(path))
    writer.write(b'{"id":7,"call":"echo","with":{"a":1}}\n')
    assert json.loads(await reader.readline()) == {"id": 7, "answer": {"a": 1}}
    writer.close()
