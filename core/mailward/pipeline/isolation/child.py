"""The process of one plugin: loads it, calls its hooks when it is told to, and asks the worker for every service.

python -m mailward.pipeline.isolation.child FD PARENT: FD is a connected socket, PARENT the worker. The first frame says what to
load. The main thread reads frames; `async def` hooks run on one event loop in a thread of its own, `def` hooks in a few others,
inline ones on the main thread. It ends with the socket.
"""

import asyncio
import concurrent.futures
import importlib
import os
import pickle
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from types import ModuleType
from typing import Any, TypeVar, cast

from mailward.api.commands import AccountCommand, CommandCall, CommandFailed, ServerCall, ServerCommand
from mailward.api.hooks import options_of
from mailward.api.plugin import Plugin, Settings
from mailward.api.relaying import UnsendableMessage
from mailward.api.services import Services
from mailward.pipeline import dropins
from mailward.pipeline.answers import BadAnswer, describe, reader_of
from mailward.pipeline.isolation import sandbox
from mailward.pipeline.isolation.asking import Asking, services_by, within
from mailward.pipeline.isolation.values import Packing, Unpacking
from mailward.pipeline.isolation.wire import MAX_FROM_PLUGIN_OCTETS, MAX_TO_PLUGIN_OCTETS, Frame, FrameReader, frame

T = TypeVar("T")

THREADS = 8
_READ_OCTETS = 1 << 20


class Child:
    """One plugin and its calls. Frames in: call, run, cancel, answer. Frames out: ready, done, failed, ask, log, measure."""

    def __init__(
        self, sock: socket.socket, plugin: ModuleType, settings: Settings, arguments: Mapping[str, Sequence[str]]
    ) -> None:
        self._socket = sock
        self._module = plugin
        self._declaration = cast(Plugin, plugin.plugin)
        self._settings = settings
        self._arguments = arguments
        self._sending = threading.Lock()
        self._loop = asyncio.new_event_loop()
        self._pool = concurrent.futures.ThreadPoolExecutor(THREADS, thread_name_prefix="hook")
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._commands: list[Callable[..., Any]] = []
        self._clock = _Clock()
        self._asking = Asking(self.send, self._declaration.facts)
        self._services: Services = services_by(self._asking, self._clock, self._run_blocking)

    def serve(self, reader: FrameReader) -> None:
        """Until the worker closes the socket."""
        threading.Thread(target=self._loop.run_forever, name="loop", daemon=True).start()
        self.send(["ready"])
        while octets := self._socket.recv(_READ_OCTETS):
            for one in reader.feed(octets):
                self._take(one)

    def send(self, fields: Sequence[object], blobs: Sequence[bytes] = ()) -> None:
        """Raises ValueError for what is too large."""
        pieces = frame(fields, blobs)
        if sum(map(len, pieces)) > MAX_FROM_PLUGIN_OCTETS:
            raise ValueError(f"more than {MAX_FROM_PLUGIN_OCTETS} octets at once leave no process of a plugin")
        with self._sending:
            for piece in pieces:
                self._socket.sendall(piece)

    def _take(self, given: Frame) -> None:
        unpacking = Unpacking(self._declaration.facts, given.blobs, trusted=True)
        match given.fields:
            case ["answer", int(number), bool(is_value), value]:
                self._asking.answered(number, is_value, unpacking.unpack(value))
            case ["call", int(number), str(hook), float(now), values]:
                self._clock.set(now)
                self._call(number, hook, unpacking.unpack(values))
            case ["run", int(number), int(index), float(now), values]:
                self._clock.set(now)
                self._start(number, partial(self._ran, index, unpacking.unpack(values)))
            case ["cancel", int(number)]:
                self._loop.call_soon_threadsafe(self._cancel, number)

    def _call(self, number: int, hook: str, given: Mapping[str, object]) -> None:
        function = getattr(self._module, hook)
        own = {**given, "settings": self._settings, "services": self._services}
        values = {name: own[name] for name in self._arguments[hook]}
        read = partial(reader_of(hook), plugin=self._declaration, arguments=given)
        if asyncio.iscoroutinefunction(function):
            self._start(number, partial(_awaited, function, values, read))
        elif options_of(function).inline and "services" not in values:  # whose answers this thread reads
            self._finish(number, lambda: read(function(**values)), function)
        else:
            self._pool.submit(self._finish, number, lambda: read(function(**values)), function)

    def _start(self, number: int, work: "Callable[[], Any]") -> None:
        self._loop.call_soon_threadsafe(self._begin, number, work)

    def _begin(self, number: int, work: "Callable[[], Any]") -> None:
        self._tasks[number] = self._loop.create_task(self._worked(number, work))

    async def _worked(self, number: int, work: "Callable[[], Any]") -> None:
        within.set(number)
        try:
            value = await work()
        except BaseException as error:  # noqa: BLE001  whatever a hook raises, SystemExit included, fails this call
            self._failed(number, error, self._module)
        else:
            self._done(number, value)
        finally:
            self._tasks.pop(number, None)

    def _cancel(self, number: int) -> None:
        if number in self._tasks:
            self._tasks[number].cancel()

    async def _ran(self, index: int, given: Mapping[str, Any]) -> object:
        command: AccountCommand | ServerCommand | ServerCall | CommandCall
        if "account" in given:
            command = CommandCall(**given, settings=self._settings, services=self._services)
        else:
            command = ServerCall(**given, settings=self._settings, services=self._services)
        return await self._commands[index](command)

    def _finish(self, number: int, work: Callable[[], object], function: object) -> None:
        within.set(number)
        try:
            value = work()
        except BaseException as error:  # noqa: BLE001  as above
            self._failed(number, error, function)
        else:
            self._done(number, value)

    def _done(self, number: int, value: object) -> None:
        try:
            packing = Packing(self._declaration.facts)
            packed = packing.pack(value)
            if packing.functions:  # before the worker knows of them
                self._commands = packing.functions
            self.send(["done", number, packed], packing.blobs)
        except BaseException as error:  # noqa: BLE001  what cannot be packed is no answer
            self._failed(number, error, self._module)

    def _failed(self, number: int, error: BaseException, function: object) -> None:
        code = getattr(function, "__code__", None)
        file = code.co_filename if code else str(getattr(function, "__file__", ""))
        if isinstance(error, BadAnswer):
            self.send(["failed", number, "hook", f"it {error}"])
        elif isinstance(error, asyncio.CancelledError):
            self.send(["failed", number, "hook", "it cancelled itself"])
        elif isinstance(error, UnsendableMessage | CommandFailed):
            kind = "final" if isinstance(error, UnsendableMessage) else "command"
            self.send(["failed", number, kind, describe(error).partition(": ")[2] or "no reason was given"])
        else:
            self.send(["failed", number, "memory" if isinstance(error, MemoryError) else "hook", describe(error, file)])

    async def _run_blocking(self, function: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, function)


class _Clock:
    """The worker's clock: what it said with the last call, and the time since."""

    def __init__(self) -> None:
        self._said, self._at = datetime.now(UTC), time.monotonic()

    def set(self, now_s: float) -> None:
        self._said, self._at = datetime.fromtimestamp(now_s, UTC), time.monotonic()

    def now(self) -> datetime:
        return self._said + timedelta(seconds=time.monotonic() - self._at)


async def _awaited(function: Callable[..., Any], values: Mapping[str, object], read: Callable[[object], object]) -> object:
    return read(await function(**values))


def main(fd: int, parent: int) -> None:
    """Never returns."""
    sandbox.die_with_parent(parent)
    sock = socket.socket(fileno=fd)
    reader = FrameReader(MAX_TO_PLUGIN_OCTETS)
    try:
        child = _loaded(sock, _first(sock, reader))
    except BaseException as error:  # noqa: BLE001  the plugin's module may do anything while it is imported
        sock.sendall(b"".join(frame(["broken", describe(error)])))
        os._exit(70)
    try:
        child.serve(reader)
    finally:
        os._exit(0)


def _first(sock: socket.socket, reader: FrameReader) -> Frame:
    while octets := sock.recv(_READ_OCTETS):
        for one in reader.feed(octets):
            return one
    os._exit(0)


def _loaded(sock: socket.socket, first: Frame) -> Child:
    _, module, file, capabilities, arguments = cast(tuple[str, str, str, list[str], dict[str, list[str]]], first.fields)
    source, settings = first.blobs
    missing = sandbox.confine(capabilities, sandbox.of_python())
    plugin = dropins.run(source, file, module) if source else importlib.import_module(module)
    # From the worker, which may be believed, and only after the plugin's module is there: its classes are named in it.
    made = pickle.loads(settings)  # noqa: S301
    child = Child(sock, plugin, made, arguments)
    for what in missing:
        child.send(["log", "warning", "not_enforced", {"what": what}])
    return child


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
