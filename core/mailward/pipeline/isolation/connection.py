"""One process of a plugin from its start to its end: what goes back and forth.

What the process sends is read as data, checked like any answer, and bounded; a process that sends anything else is killed. When
it ends, whatever for, the calls that were under way have failed.
"""

import asyncio
import contextlib
import contextvars
import itertools
import signal
import subprocess
from collections.abc import Callable, Mapping
from typing import Any, cast

from mailward.api.commands import CommandAnswer, CommandCall, CommandFailed, ServerCall
from mailward.api.services import Services
from mailward.formats.text import clean
from mailward.pipeline.isolation.answering import Bounds, answer, bounded, log, measure, told
from mailward.pipeline.isolation.pace import Pace
from mailward.pipeline.isolation.processor import AT_ONCE_S, IdleUse, cpu_clock
from mailward.pipeline.isolation.values import BadValue, Packing, Unpacking
from mailward.pipeline.isolation.wire import MAX_FROM_PLUGIN_OCTETS, BadFrame, Frame, FrameReader, frame
from mailward.pipeline.plugins import LoadedPlugin

START_S = 20.0
"""So long a process may take until it is ready; a call's own limit begins then."""
GRACE_S = 1.0
"""So long a call that was cancelled may take to end; then the process is killed."""
_POLL_S, _POLLS = 0.01, 100
"""So often, and so many times, it is looked whether a process that has closed its socket has ended."""
LOOK_S = 5.0
"""So often it is looked what the process does while no call is under way."""
MAX_ASKED_AT_ONCE = 200
"""So many questions are under way; until one is answered, nothing more is read."""
FRAMES_A_SECOND, FRAMES_AT_ONCE = 5000, 20_000
"""What is read of one process; more has to wait."""
LINES_A_SECOND, LINES_AT_ONCE = 100, 1000
"""What one process may write into the log; more is dropped, and that is told."""
MAX_ANSWER_OCTETS = 4 * 1024 * 1024
"""One answer of a service."""
MAX_UNREAD_OCTETS = 64 * 1024 * 1024
"""Answers that a process has asked for and does not read; then it is killed."""


class Crashed(Exception):
    """The process has ended, or could not be started; the text says how. others: other calls may have ended it."""

    def __init__(self, text: str, *, others: bool = False) -> None:
        super().__init__(text)
        self.others = others


class HookFailed(Exception):
    """The hook failed in its process; the text says how. is_final: for a fault of the message itself."""

    def __init__(self, text: str, *, is_final: bool = False) -> None:
        super().__init__(text)
        self.is_final = is_final


class Connection(asyncio.Protocol):
    """One process from its start to its end."""

    def __init__(self, plugin: LoadedPlugin, services: Services, process: "subprocess.Popen[bytes]") -> None:
        self._plugin = plugin
        self._services = services
        self._process = process
        self._own_facts = plugin.declaration.facts
        self._reader = FrameReader(MAX_FROM_PLUGIN_OCTETS)
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._calls: dict[int, _Call] = {}
        self._asked: set[asyncio.Task[None]] = set()
        self._transport: asyncio.Transport | None = None
        self._last = 0
        self._handles = itertools.count()
        self._frames = Pace(FRAMES_A_SECOND, FRAMES_AT_ONCE)
        self._lines = Pace(LINES_A_SECOND, LINES_AT_ONCE)
        self._lines_dropped = 0
        self._unread_octets = 0
        self._bounds = Bounds()
        self._idle = IdleUse(cpu_clock(process.pid))
        self._why = ""
        self._out_of_memory = False
        self._cancelled: set[int] = set()
        self.settled = asyncio.Event()
        """Not while it is open whether a call that was cancelled ends, or the process with it."""
        self.settled.set()
        self.ended = False

    def end(self, why: str = "") -> None:
        """Kill the process. why: for those who wait for it, "" when it was not its fault."""
        self._why = self._why or why
        self.ended = True
        self.settled.set()
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        if self._transport is not None:
            with contextlib.suppress(RuntimeError):  # of a loop that is closed
                self._transport.resume_reading()  # or its end would not be seen

    async def begin(self, settings: bytes) -> None:
        """Tell the process what to load. Raises Crashed when it is not ready in time."""
        plugin = self._plugin
        source = plugin.source
        arguments = {name: list(one.arguments) for name, one in plugin.implementations.items()}
        capabilities = list(plugin.declaration.capabilities)
        self._send(["load", source.module, source.file, capabilities, arguments], [source.text, settings])
        try:
            await asyncio.wait_for(self._ready, START_S)
        except TimeoutError:
            self.end(f"its process was not ready within {START_S:g} s")
            raise Crashed(self._why) from None
        self._look_at_idle_use()

    async def call(self, hook: str, values: Mapping[str, object]) -> object:
        """Of a hook. Raises Crashed and HookFailed."""
        return await self._request(["call", hook], values, is_command=False)

    def _command(self, index: int) -> Callable[..., Any]:
        """What runs a command that the plugin has in this process; in another its number stands for another one."""

        async def run(call: CommandCall | ServerCall) -> CommandAnswer:
            of_account = isinstance(call, CommandCall)
            values: dict[str, object] = (
                {"account": call.account, "address": call.address, "arguments": call.arguments}
                if isinstance(call, CommandCall)
                else {"options": call.options}
            )
            try:
                answered = await self._request(["run", index], values, is_command=True)
            except (Crashed, HookFailed) as error:
                raise CommandFailed(str(error)) from error
            if not isinstance(answered, CommandAnswer):
                raise CommandFailed(f"the {'account' if of_account else 'server'} command gave no answer")
            return answered

        return run

    async def _request(self, what: list[object], values: Mapping[str, object], *, is_command: bool) -> object:
        if self.ended:
            raise Crashed("its process has just ended", others=True)
        loop = asyncio.get_running_loop()
        self._last += 1
        number, packing = self._last, Packing(self._own_facts, self._handles)
        word, which = what
        packed = packing.pack(dict(values))
        if not self._calls:
            self._idle.begin_call()
        call = self._calls[number] = _Call(loop.create_future(), packing.kept, is_command)
        self._send([word, number, which, self._services.clock.now().timestamp(), packed], packing.blobs)
        try:
            return await call.future
        except asyncio.CancelledError:
            if number in self._calls and not self.ended:
                self._cancelled.add(number)
                self.settled.clear()
                self._send(["cancel", number])
                loop.call_later(GRACE_S, self._kill_unless_over, number)
            raise
        finally:
            del call  # an error holds this frame, and its future the error: the process would stay until garbage is collected

    def _kill_unless_over(self, number: int) -> None:
        if number in self._calls and not self.ended:
            self.end("it was killed, since another of its calls did not end when it was cancelled")

    def _send(self, fields: list[object], blobs: "list[bytes] | tuple[()]" = ()) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.writelines(frame(fields, blobs))

    # What the transport calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(0)  # so that `resume_writing` says that all is on its way

    def data_received(self, data: bytes) -> None:
        try:
            for one in self._reader.feed(data):
                self._take(one)
        except (BadFrame, BadValue) as error:
            self.end(clean(f"it was killed, since it sent {error}", 300))
        self._read_on_or_wait()

    def resume_writing(self) -> None:
        self._unread_octets = 0

    def _read_on_or_wait(self) -> None:
        """What is not read fills the socket, and the process has to wait."""
        if self._transport is None or self.ended:
            return
        wait_s = self._frames.wait_s()
        if wait_s:
            asyncio.get_running_loop().call_later(wait_s, self._read_on_or_wait)
        if wait_s or len(self._asked) >= MAX_ASKED_AT_ONCE:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended = True
        self.settled.set()
        self._bury(_POLLS)

    def _bury(self, polls: int) -> None:
        """Fail what was under way, with the reason that the system has. By callbacks: a loop that is closed forgets them."""
        code = self._process.poll()
        if code is None and polls:
            asyncio.get_running_loop().call_later(_POLL_S, self._bury, polls - 1)
            return
        if code is None:  # it has closed its socket and lives on
            self._process.kill()
            code = self._process.wait()
        why = self._why or f"its process ended ({_ending(code)})"
        if not self._ready.done():
            self._ready.set_exception(Crashed(why))
        others = self._out_of_memory or len(self._calls) > 1
        for call in self._calls.values():
            if not call.future.done():
                call.future.set_exception(Crashed(why, others=others))
        self._calls.clear()

    def _take(self, given: Frame) -> None:
        self._frames.spend()
        match given.fields:
            case ["ready"] if not self._ready.done():
                self._ready.set_result(None)
            case ["broken", str(text)] if not self._ready.done():
                self._why = clean(f"its process cannot load it: {text}", 400)
            case ["done", int(number), value] if number in self._calls:
                self._answered(number, value, given)
            case ["failed", int(number), str(kind), str(text)] if number in self._calls:
                self._failed(number, kind, clean(text, 400))
            case ["ask", int(number), int(within), str(service), str(method), arguments, named]:
                self._asks(number, within, service, method, arguments, named, given)
            case ["measure", str(method), metric, float(value), dict(labels)]:
                self._measures(method, metric, value, labels, given)
            case ["log", str(level), str(event), dict(values)]:
                self._logs(level, event, values)
            case _:
                raise BadFrame("a frame that nobody waits for")

    def _answered(self, number: int, value: object, given: Frame) -> None:
        call = self._over(number)
        if call.future.done():
            return
        unpacking = Unpacking(self._own_facts, given.blobs, command=None if call.is_command else self._command)
        try:
            call.future.set_result(unpacking.unpack(value))
        except BadValue as error:
            call.future.set_exception(HookFailed(clean(f"it returned no value of the API: {error}", 300)))

    def _over(self, number: int) -> "_Call":
        self._cancelled.discard(number)
        if not self._cancelled:
            self.settled.set()
        call = self._calls.pop(number)
        if not self._calls:
            self._idle.end_calls()
        return call

    def _look_at_idle_use(self) -> None:
        if self.ended:
            return
        if self._idle.is_too_much():
            why = f"it was killed, since it used more than {AT_ONCE_S:g} s of processor time while nobody had asked it anything"
            self._services.log.warning("plugin process killed", reason=why)
            self.end(why)
        else:
            asyncio.get_running_loop().call_later(LOOK_S, self._look_at_idle_use)

    def _failed(self, number: int, kind: str, text: str) -> None:
        call = self._over(number)
        if not call.future.done():
            refused = kind == "command" and call.is_command
            call.future.set_exception(CommandFailed(text) if refused else HookFailed(text, is_final=kind == "final"))
        if kind == "memory":  # what it keeps leaves too little for the next call
            self._out_of_memory = True
            self.end("its process was out of memory")

    def _asks(self, number: int, within: int, service: str, method: str, arguments: object, named: object, given: Frame) -> None:
        # A handle stands for what this worker kept in one of the calls under way: the proof of a login.
        kept = {handle: one for call in self._calls.values() for handle, one in call.kept.items()}
        unpacking = Unpacking(self._own_facts, given.blobs, kept=kept)
        work = self._answer(number, service, method, unpacking.unpack(arguments), unpacking.unpack(named))
        call = self._calls.get(within)
        # In the context of the call that asks, which tells for what message it is.
        task = asyncio.get_running_loop().create_task(work, context=call.context if call else None)
        self._asked.add(task)
        task.add_done_callback(self._has_answered)

    def _has_answered(self, task: "asyncio.Task[None]") -> None:
        self._asked.discard(task)
        if len(self._asked) == MAX_ASKED_AT_ONCE - 1:
            self._read_on_or_wait()

    def _logs(self, level: str, event: str, values: Mapping[str, object]) -> None:
        if self._lines.wait_s():
            self._lines_dropped += 1
            return
        self._lines.spend()
        if self._lines_dropped:
            self._services.log.warning("log lines dropped", count=self._lines_dropped)
            self._lines_dropped = 0
        log(self._services, level, event, values)

    def _measures(self, method: str, metric: object, value: float, labels: Mapping[str, str], given: Frame) -> None:
        try:
            measure(self._services, method, Unpacking(self._own_facts, given.blobs).unpack(metric), value, labels)
        except ValueError as error:  # which an honest process has raised itself
            raise BadFrame(f"no measurement: {error}") from error

    async def _answer(self, number: int, service: str, method: str, arguments: Any, named: Any) -> None:
        packing = Packing(self._own_facts)
        try:
            if not isinstance(arguments, tuple) or not isinstance(named, dict):
                raise TypeError("arguments that are none")
            async with self._bounds.of(service):
                answered = await answer(self._services, service, method, arguments, bounded(service, method, arguments, named))
            value = packing.pack(answered)
            if (octets := sum(map(len, packing.blobs))) > MAX_ANSWER_OCTETS:
                raise ValueError(f"an answer of {octets} octets; at most {MAX_ANSWER_OCTETS} come at once: ask for less")
        except Exception as error:  # noqa: BLE001  whatever a service raises, the plugin gets
            packing = Packing(self._own_facts)
            self._send(["answer", number, False, packing.pack(told(error))], packing.blobs)
        else:
            self._send(["answer", number, True, value], packing.blobs)
            self._count_unread(octets)

    def _count_unread(self, octets: int) -> None:
        """What the process has been sent of answers since it last had read all."""
        if self._transport is None or self._transport.get_write_buffer_size() == 0:
            return
        self._unread_octets += octets
        if self._unread_octets > MAX_UNREAD_OCTETS:
            self.end("it was killed, since it does not read what it has asked for")


class _Call:
    """One call under way. kept: what its handles stand for."""

    __slots__ = ("context", "future", "is_command", "kept")

    def __init__(self, future: "asyncio.Future[object]", kept: dict[int, object], is_command: bool) -> None:
        self.context = contextvars.copy_context()
        self.future = future
        self.kept = kept
        self.is_command = is_command


def _ending(code: int) -> str:
    """How a process ended, in words."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"
