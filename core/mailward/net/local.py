"""Calls between processes of one server over a unix socket: a line of JSON there, a line of JSON back, many at once.

    {"id": 7, "call": "unlock", "with": {"account": "a1"}}
    {"id": 7, "answer": {}}          or          {"id": 7, "refusal": "there is no such account"}

Only root and the user who runs the server are answered (T-PRIV-08). A line has a largest length; who sends a longer one, or
what is no call, is cut off. A client connects when it is first used, and again after the server was restarted.
"""

import asyncio
import contextlib
import itertools
import json
import os
import socket
import struct
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import structlog

from mailward.model.errors import MailwardError

MAX_LINE_OCTETS = 1024 * 1024
MAX_AT_ONCE = 5000
"""Calls of one client that are worked on at the same time; further ones wait in the socket. A login may take half a minute."""
_BACKLOG = 128
_MAX_PATH_OCTETS = 107  # sun_path of unix(7), less its final NUL
_CREDENTIALS = struct.Struct("3i")

Values = Mapping[str, object]
"""What JSON can hold."""
Handler = Callable[[Values], Awaitable[Values]]

log = structlog.get_logger("mailward.local")


class PeerAway(MailwardError):
    """The other process does not answer: it is not running, or went away in the middle of a call."""


class Refusal(MailwardError):
    """What was asked cannot be done; the text says why. Handlers raise it, and it comes out of the call at the other end."""


@contextmanager
def _short(path: Path) -> Iterator[str]:
    """A path of the same file that fits into a socket address."""
    if len(os.fsencode(path)) <= _MAX_PATH_OCTETS:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def _is_ours(connection: socket.socket) -> bool:
    octets = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    _, uid, _ = _CREDENTIALS.unpack(octets)
    return uid in (0, os.geteuid())


class LocalServer:
    """Answers calls until `close`. A handler's Refusal is told to the caller; of other exceptions only that there was one."""

    def __init__(self, path: Path, handlers: Mapping[str, Handler], *, max_line_octets: int = MAX_LINE_OCTETS) -> None:
        self._path = path
        self._handlers = handlers
        self._max_line_octets = max_line_octets
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Take the place of whoever listened there before. The folder is made with mode 0700. Raises OSError."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = self._path.with_name(f"{self._path.name}.{os.getpid()}")
        draft.unlink(missing_ok=True)
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        with _short(draft) as address:
            listening.bind(address)
        draft.chmod(0o600)
        listening.listen(_BACKLOG)
        draft.rename(self._path)  # so there is no moment without a socket, and none with one that nobody listens on
        self._server = await asyncio.start_unix_server(self._on_client, sock=listening, limit=self._max_line_octets)

    async def close(self) -> None:
        """Stop listening; calls under way are dropped."""
        if self._server is not None:
            self._server.close()
        for client in tuple(self._clients):
            client.cancel()
        if self._clients:
            await asyncio.wait(tuple(self._clients))

    async def _on_client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._clients.add(task)
        calls: set[asyncio.Task[None]] = set()
        try:
            if not _is_ours(writer.get_extra_info("socket")):
                log.warning("local peer refused", socket=self._path.name)
                return
            room = asyncio.Semaphore(MAX_AT_ONCE)
            while line := await _line(reader):
                number, handler, values = self._read(line)
                await room.acquire()
                call = asyncio.create_task(self._answer(number, handler, values, writer))
                calls.add(call)
                call.add_done_callback(calls.discard)
                call.add_done_callback(lambda _: room.release())
        except ValueError as error:
            log.warning("local peer cut off", socket=self._path.name, reason=str(error))
        except ConnectionError:
            log.info("local peer gone", socket=self._path.name)
        finally:
            self._clients.discard(task)
            for call in calls:
                call.cancel()
            writer.close()

    def _read(self, line: bytes) -> tuple[int, Handler | None, Values]:
        call = json.loads(line)
        if not isinstance(call, dict) or not isinstance(call.get("id"), int) or not isinstance(call.get("with"), dict):
            raise ValueError("no call")
        return call["id"], self._handlers.get(str(call.get("call"))), call["with"]

    async def _answer(self, number: int, handler: Handler | None, values: Values, writer: asyncio.StreamWriter) -> None:
        answer: dict[str, object] = {"id": number}
        try:
            if handler is None:
                raise Refusal("there is no such call")
            answer["answer"] = await handler(values)
        except Refusal as refusal:
            answer["refusal"] = str(refusal)
        except Exception:
            log.exception("local call failed", socket=self._path.name)
            answer["refusal"] = "it failed; the server's log says why"
        with contextlib.suppress(ConnectionError):
            writer.write(_encode(answer))
            await writer.drain()


class LocalClient:
    """Calls one server, from one event loop."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: _Connection | None = None
        self._connecting = asyncio.Lock()

    async def call(self, name: str, values: Values) -> Values:
        """The answer. Raises PeerAway, and Refusal with the server's words. May be cancelled; the server does not hear of it."""
        connection = await self._connected()
        return await connection.call(name, values)

    async def close(self) -> None:
        if self._connection is not None:
            await self._connection.close()

    async def _connected(self) -> "_Connection":
        async with self._connecting:
            if self._connection is None or self._connection.is_over:
                sock = _connect(self._path)
                reader, writer = await asyncio.open_unix_connection(sock=sock, limit=MAX_LINE_OCTETS)
                self._connection = _Connection(self._path.name, reader, writer)
            return self._connection


class _Connection:
    """One connection of a client, and the calls that wait for their answers on it."""

    def __init__(self, name: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._name = name
        self._reader = reader
        self._writer = writer
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Values]] = {}
        self.is_over = False
        self._reading = asyncio.create_task(self._read())

    async def call(self, name: str, values: Values) -> Values:
        number = next(self._numbers)
        answer: asyncio.Future[Values] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        try:
            self._writer.write(_encode({"id": number, "call": name, "with": values}))
            await self._writer.drain()
            return await answer
        except (ConnectionError, RuntimeError) as error:  # uvloop raises the latter for a closed transport
            self.is_over = True
            raise PeerAway(f"{self._name}: {error}") from error
        finally:
            del self._waiting[number]

    async def close(self) -> None:
        self._reading.cancel()
        await asyncio.wait((self._reading,))

    async def _read(self) -> None:
        why = "the connection ended"
        try:
            while line := await _line(self._reader):
                answer = json.loads(line)
                future = self._waiting.get(answer["id"])
                if future is not None and not future.done():
                    _settle(future, answer)
        except (ConnectionError, ValueError, KeyError, TypeError) as error:
            why = str(error)
        finally:
            self.is_over = True
            self._writer.close()
            for future in self._waiting.values():
                if not future.done():
                    future.set_exception(PeerAway(f"{self._name}: {why}"))


def call_once(path: Path, name: str, values: Values, *, timeout_s: float = 30.0) -> Values:
    """One blocking call, for the command line. Raises PeerAway and Refusal."""
    with contextlib.closing(_connect(path)) as connection:
        connection.settimeout(timeout_s)
        try:
            connection.sendall(_encode({"id": 1, "call": name, "with": values}))
            with connection.makefile("rb") as answers:
                line = answers.readline(MAX_LINE_OCTETS)
            answer = json.loads(line)
        except (OSError, ValueError) as error:
            raise PeerAway(f"{path}: no answer ({error})") from error
    if "refusal" in answer:
        raise Refusal(answer["refusal"])
    found: Values = answer["answer"]
    return found


def _connect(path: Path) -> socket.socket:
    """Blocks for no time: a unix socket is connected, or refuses, at once."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.setblocking(False)
        with _short(path) as address:
            connection.connect(address)
        if not _is_ours(connection):
            raise PeerAway(f"{path}: another user listens there")
    except OSError as error:
        connection.close()
        raise PeerAway(f"{path}: {error.strerror}") from error
    except BaseException:
        connection.close()
        raise
    return connection


def _settle(future: "asyncio.Future[Values]", answer: Mapping[str, object]) -> None:
    found = answer.get("answer")
    if isinstance(found, dict):
        future.set_result(found)
    else:
        future.set_exception(Refusal(str(answer.get("refusal"))))


def _encode(values: Values) -> bytes:
    return json.dumps(values, separators=(",", ":")).encode("ascii") + b"\n"


async def _line(reader: asyncio.StreamReader) -> bytes:
    """The next line; b"" at the end, and for what stands there without an end. Raises ValueError for an over-long one."""
    line = await reader.readline()
    return line if line.endswith(b"\n") else b""
