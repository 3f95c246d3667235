"""One hook at one stage: who runs when, for how long, and what comes of it when a plugin fails.

A call ends as a `Called`, whatever the plugin does: an exception (SystemExit included), a time limit, a wrong type or a stuck
thread make a failed call with a sentence that says why. What a failed call means for the message is the policy's business.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from types import MappingProxyType
from typing import Generic, Literal, TypeVar

import structlog

from mailward.api.plugin import Facts, Finding, Settings
from mailward.api.relaying import UnsendableMessage
from mailward.api.services import Services
from mailward.api.views import Evidence
from mailward.formats.message import MessageView
from mailward.model.edits import Edit
from mailward.model.errors import HooksUnavailable, PluginError
from mailward.model.evidence import HookCall, StoredFinding
from mailward.model.verdict import Verdict
from mailward.pipeline.answers import BadAnswer, describe, read_edits, read_findings
from mailward.pipeline.breaker import Breaker
from mailward.pipeline.isolation.process import Crashed, HookFailed, IsolatedPlugin
from mailward.pipeline.order import Order, OrderError, arrange
from mailward.pipeline.plugins import Implementation, LoadedPlugin
from mailward.pipeline.stages import PLACES
from mailward.pipeline.threads import AllStuck, DaemonThreads, Escaped

MAX_ABANDONED = 8
"""Coroutines of one plugin that were given up and still run; from here on its next calls fail at once."""

CRASH_COST_S = 4.0
"""What a process that ended costs, in the breaker's budget: another one must be started."""

_log = structlog.get_logger()

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Enabled:
    """One plugin as a policy uses it. place: among those that edit, lowest first. timeout_s: limit of each of its calls.

    on_error: what a failed call counts as. isolated: it runs in a process of its own.
    """

    plugin: LoadedPlugin
    settings: Settings
    services: Services
    timeout_s: float
    mode: Literal["enforce", "shadow"] = "enforce"
    place: int = 0
    on_error: Verdict = Verdict.TEMPFAIL
    isolated: bool = False

    @property
    def name(self) -> str:
        return self.plugin.name


@dataclass(frozen=True, slots=True)
class Called(Generic[T_co]):
    """One call that was made: `call` for the record; value: the checked answer, None when it failed or had none.

    is_final: it failed for a fault of the message itself.
    """

    call: HookCall
    value: T_co | None = None
    is_final: bool = False

    @property
    def failed(self) -> bool:
        return self.call.error is not None

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Those of an `inspect_*` hook."""
        return tuple(entry for entry in self.value if isinstance(entry, Finding)) if isinstance(self.value, tuple) else ()


Calls = Sequence[Called[object]]
"""Of any hooks."""


@dataclass(frozen=True, slots=True)
class _Answer(Generic[T]):
    """What a guarded call came to. error: why there is no value. is_final: nor will there ever be one for this message.

    cost_s: what the failure costs beyond the time it took.
    """

    value: T | None = None
    error: str | None = None
    is_final: bool = False
    cost_s: float = 0.0


@dataclass(slots=True)
class _Worker:
    """Where one plugin's calls run."""

    threads: DaemonThreads
    breaker: Breaker
    process: IsolatedPlugin | None
    abandoned: "set[asyncio.Task[object]]" = field(default_factory=set)


class Chain:
    """The enabled plugins of one policy, in order for every hook. Raises PluginError when `needs` or `after` cannot be kept.

    One Chain serves all messages at once.
    """

    def __init__(self, enabled: Iterable[Enabled]) -> None:
        self._enabled = {one.name: one for one in enabled}
        self._workers = {name: _worker(one) for name, one in self._enabled.items()}
        enforced = [one for one in self._enabled.values() if one.mode == "enforce"]
        self._orders = {hook: _order(hook, enforced) for hook in PLACES}
        # A shadowed plugin may look at anybody's work; nobody who counts may look at its.
        self._shadow_orders = {hook: _order(hook, self._enabled.values()) for hook in PLACES}
        self._enforced = {hook: self._in(order, "enforce") for hook, order in self._orders.items()}
        self._shadowed = {hook: self._in(order, "shadow") for hook, order in self._shadow_orders.items()}

    def _in(self, order: Order, mode: str) -> tuple[Enabled, ...]:
        found = (self._enabled[name] for name in order.sequence)
        return tuple(one for one in found if one.mode == mode)

    def close(self) -> None:
        """End the processes of its plugins; one that is asked again gets another."""
        for worker in self._workers.values():
            if worker.process is not None:
                worker.process.close()

    def enforced(self, hook: str) -> tuple[Enabled, ...]:
        """Those whose answers count, in order."""
        return self._enforced[hook]

    def shadowed(self, hook: str) -> tuple[Enabled, ...]:
        """Those that only look, in order."""
        return self._shadowed[hook]

    async def inspect(
        self, hook: str, arguments: Mapping[str, object], earlier: Calls, deadline: float
    ) -> tuple[Called[tuple[Finding, ...]], ...]:
        """Call an `inspect_*` hook of all enforced plugins, concurrently as far as `needs` and `after` allow.

        arguments: all of the specification's but evidence, settings and services. earlier: calls of former stages, which
        everybody may see. deadline: `time.monotonic()` at which the stage ends. One Called each, in order.
        """
        return await self._inspect(hook, self.enforced(hook), self._orders[hook], arguments, earlier, deadline)

    async def shadow(
        self, hook: str, arguments: Mapping[str, object], earlier: Calls, deadline: float
    ) -> tuple[Called[tuple[Finding, ...]], ...]:
        """The same for the shadowed plugins; `earlier` holds the enforced ones' calls of this stage, too."""
        return await self._inspect(hook, self.shadowed(hook), self._shadow_orders[hook], arguments, earlier, deadline)

    async def edit(
        self, hook: str, message: Callable[[], MessageView], arguments: Callable[[], Mapping[str, object]], deadline: float
    ) -> AsyncIterator[Called[tuple[Edit, ...]]]:
        """Call an `edit_*` hook of all enforced plugins, one after another.

        message, arguments: what each of them is given, asked for before its turn, so that one can see what came of the edits
        of the last one.
        """
        for one in self.enforced(hook):
            view = message()
            yield await self.ask(one, hook, {**arguments(), "message": view}, partial(read_edits, message=view), deadline)

    async def provide(
        self, hook: str, arguments: Mapping[str, object], read: Callable[[object], T | None], deadline: float
    ) -> T | None:
        """Ask a `provide_*` hook of the enforced plugins one after another; the first answer wins.

        Raises HooksUnavailable when one fails before: who might have known better cannot be asked. `on_error: accept` says to
        go on without it.
        """
        for one in self.enforced(hook):
            value = self.heed(await self.ask(one, hook, arguments, read, deadline))
            if value is not None:
                return value
        return None

    async def collect(
        self,
        hook: str,
        arguments: Mapping[str, object],
        read: Callable[[object], T | None],
        deadline: float,
        *,
        tolerant: bool = False,
    ) -> tuple[Called[T], ...]:
        """Ask a `collect_*` hook of all enforced plugins at once; one Called each, in order.

        Raises HooksUnavailable when one fails, unless `tolerant` or its `on_error` is accept.
        """
        asked = [self.ask(one, hook, arguments, read, deadline) for one in self.enforced(hook)]
        calls = await asyncio.gather(*asked) if len(asked) > 1 else [await one for one in asked]
        if not tolerant:
            for called in calls:
                self.heed(called)
        return tuple(calls)

    async def ask(
        self, one: Enabled, hook: str, arguments: Mapping[str, object], read: Callable[[object], T | None], deadline: float
    ) -> Called[T]:
        """Call a hook of one plugin. read: checks its answer, raising BadAnswer."""
        started = time.monotonic()
        answer = await self._guard(one, hook, arguments, read, started, deadline)
        return Called(_recorded(one, hook, time.monotonic() - started, answer.error), answer.value, answer.is_final)

    async def watch(self, one: Enabled, hook: str, arguments: Mapping[str, object], deadline: float) -> bool:
        """Call an `on_*` hook of one plugin; what it returns is ignored. False when it failed."""
        return not (await self.ask(one, hook, arguments, _ignored, deadline)).failed

    def heed(self, called: Called[T]) -> T | None:
        """The answer. Raises HooksUnavailable when the call failed, unless the plugin's `on_error` is accept."""
        call = called.call
        if call.error is not None and self._enabled[call.plugin].on_error is not Verdict.ACCEPT:
            raise HooksUnavailable(call.plugin, call.hook, call.error, permanent=called.is_final)
        return called.value

    def evidence(self, calls: Calls) -> Evidence:
        """What plugins may see of these calls, all plugins' facts among it."""
        return self._evidence(calls, self._enabled)

    async def _inspect(
        self,
        hook: str,
        plugins: Sequence[Enabled],
        order: Order,
        arguments: Mapping[str, object],
        earlier: Calls,
        deadline: float,
    ) -> tuple[Called[tuple[Finding, ...]], ...]:
        running: dict[str, asyncio.Task[Called[tuple[Finding, ...]]]] = {}

        async def one_after_its_needs(one: Enabled) -> Called[tuple[Finding, ...]]:
            before = [await running[name] for name in order.sequence if name in order.waits_for[one.name] and name in running]
            known = [*earlier, *before]
            if broken := self._broken_need(one, hook, known):
                return Called(_recorded(one, hook, 0.0, f"it needs '{broken}', which failed"))
            here = [called for called in known if called.call.hook != hook or called.call.plugin in order.sees[one.name]]
            evidence = self._evidence(here, {c.call.plugin for c in here if c.call.hook != hook} | order.sees[one.name])
            read = partial(read_findings, plugin=one.plugin.declaration)
            called = await self.ask(one, hook, {**arguments, "evidence": evidence}, read, deadline)
            stored = tuple(StoredFinding(one.name, f.symbol, f.text, float(f.strength), asks=f.asks) for f in called.findings)
            return replace(called, call=replace(called.call, findings=stored))

        for one in plugins:
            running[one.name] = asyncio.create_task(one_after_its_needs(one), name=f"{hook} {one.name}")
        try:
            return tuple([await task for task in running.values()])
        finally:
            for task in running.values():
                task.cancel()

    def _broken_need(self, one: Enabled, hook: str, known: Calls) -> str | None:
        """A plugin that this one cannot do without and that failed: judging without it would be judging on nothing."""
        needs = one.plugin.implementations[hook].options.needs
        return next((called.call.plugin for called in known if called.failed and called.call.plugin in needs), None)

    def _evidence(self, calls: Calls, names: Iterable[str]) -> Evidence:
        facts: dict[str, Facts] = {name: self._enabled[name].plugin.declaration.facts() for name in names}
        facts.update(facts_of(calls))
        findings = tuple((called.call.plugin, finding) for called in calls for finding in called.findings)
        return Evidence(MappingProxyType(facts), findings, MappingProxyType(status_of(calls)))

    async def _guard(
        self,
        one: Enabled,
        hook: str,
        arguments: Mapping[str, object],
        read: Callable[[object], T],
        started: float,
        deadline: float,
    ) -> _Answer[T]:
        implementation = one.plugin.implementations[hook]
        own = {**arguments, "settings": one.settings, "services": one.services}
        values = {name: own[name] for name in implementation.arguments}
        left_s = deadline - started
        if left_s <= 0:
            return _Answer(error="no time was left for it; the other plugins of this stage used it up")
        breaker = self._workers[one.name].breaker
        if refusal := breaker.refusal():
            return _Answer(error=refusal)
        try:
            answer = await self._limited(one, implementation, values, read, deadline)
        except BaseException:
            breaker.given_up()
            raise
        if answer.error is None or answer.is_final:
            breaker.succeeded()
        else:
            breaker.failed(time.monotonic() - started + answer.cost_s)
        return answer

    async def _limited(
        self,
        one: Enabled,
        implementation: Implementation,
        values: Mapping[str, object],
        read: Callable[[object], T],
        deadline: float,
    ) -> _Answer[T]:
        """The limit of a call begins when there is somebody to call."""
        process = self._workers[one.name].process
        if process is not None and not process.is_ready:
            try:
                await asyncio.wait_for(process.ready(), deadline - time.monotonic())
            except Crashed as error:
                return _Answer(error=str(error), cost_s=CRASH_COST_S)
            except TimeoutError:
                return _Answer(error="the time of its stage ran out before its process was ready")
        return await self._run(one, implementation, values, read, min(one.timeout_s, max(0.0, deadline - time.monotonic())))

    async def _run(
        self,
        one: Enabled,
        implementation: Implementation,
        values: Mapping[str, object],
        read: Callable[[object], T],
        limit_s: float,
    ) -> _Answer[T]:
        worker = self._workers[one.name]
        function = implementation.function
        if implementation.way == "inline" and worker.process is None:
            return _guarded(function, values, read)
        if len(worker.abandoned) >= MAX_ABANDONED:
            return _Answer(error=f"{MAX_ABANDONED} earlier calls never came back; nothing is asked of it until one does")
        task: asyncio.Task[_Answer[T]]
        if worker.process is not None:
            task = asyncio.create_task(_in_process(worker.process, implementation.hook, values, read))
        elif implementation.way == "thread":
            task = asyncio.create_task(_in_thread(worker.threads, partial(_guarded, function, values, read)))
        else:
            task = asyncio.create_task(_awaited(function, values, read))
        try:
            # Not asyncio.timeout: a plugin that swallows the cancellation would hold up everybody.
            done, _ = await asyncio.wait({task}, timeout=limit_s)
        finally:
            if not task.done():
                worker.abandoned.add(task)
                task.add_done_callback(worker.abandoned.discard)
                task.cancel()
        if not done and worker.process is not None:
            await asyncio.wait({task})  # it tells the process and ends at once; the next call must know
        if not done:
            own = limit_s == one.timeout_s
            return _Answer(error=f"it took longer than its limit of {limit_s:g} s" if own else "the time of its stage ran out")
        return _Answer(error="it cancelled itself") if task.cancelled() else task.result()


def _worker(one: Enabled) -> _Worker:
    process = IsolatedPlugin(one.plugin, one.settings, one.services) if one.isolated else None
    return _Worker(DaemonThreads(one.name), Breaker(one.name), process)


def _recorded(one: Enabled, hook: str, duration_s: float, error: str | None) -> HookCall:
    stage = PLACES[hook].stage
    if error is not None:
        _log.warning("plugin_failed", plugin=one.name, hook=hook, stage=stage, mode=one.mode, reason=error)
    status = "shadow" if one.mode == "shadow" else "ok" if error is None else "failed"
    return HookCall(one.name, one.plugin.version, hook, stage, round(duration_s * 1000, 3), status, error)


def facts_of(calls: Iterable[Called[object]]) -> dict[str, Facts]:
    """The facts that were set, by plugin; a later call's replace an earlier one's."""
    return {called.call.plugin: finding.facts for called in calls for finding in called.findings if finding.facts is not None}


def status_of(calls: Iterable[Called[object]]) -> dict[str, str]:
    """plugin -> "failed" when one of its calls failed, else what its calls say."""
    status: dict[str, str] = {}
    for called in calls:
        if status.get(called.call.plugin) != "failed":
            status[called.call.plugin] = called.call.status
    return status


def _order(hook: str, plugins: Iterable[Enabled]) -> Order:
    known = {one.name: one for one in plugins}
    options = {
        name: one.plugin.implementations[hook].options for name, one in known.items() if hook in one.plugin.implementations
    }
    try:
        return arrange(hook, options, {name: one.place for name, one in known.items()})
    except OrderError as error:
        raise PluginError(error.plugin, str(error)) from error


def _ignored(_: object) -> tuple[()]:
    return ()


def _guarded(function: Callable[..., object], values: Mapping[str, object], read: Callable[[object], T]) -> _Answer[T]:
    try:
        return _Answer(read(function(**values)))
    except BaseException as error:  # noqa: BLE001  whatever a plugin raises is its own failure, sys.exit included
        return _failure(error, function)


async def _awaited(function: Callable[..., object], values: Mapping[str, object], read: Callable[[object], T]) -> _Answer[T]:
    try:
        return _Answer(read(await function(**values)))  # type: ignore[misc]  # the host found it to be a coroutine function
    except asyncio.CancelledError:
        raise
    except BaseException as error:  # noqa: BLE001  as above; SystemExit in a task would end the loop itself
        return _failure(error, function)


async def _in_process(
    process: IsolatedPlugin, hook: str, values: Mapping[str, object], read: Callable[[object], T]
) -> _Answer[T]:
    own = ("settings", "services")  # it has its own
    try:
        return _Answer(read(await process.call(hook, {name: value for name, value in values.items() if name not in own})))
    except Crashed as error:
        return _Answer(error=str(error), cost_s=CRASH_COST_S)
    except HookFailed as error:
        return _Answer(error=str(error), is_final=error.is_final)
    except BadAnswer as error:
        return _Answer(error=f"it {error}")


async def _in_thread(threads: DaemonThreads, job: Callable[[], _Answer[T]]) -> _Answer[T]:
    try:
        return await threads.run(job)
    except AllStuck:
        return _Answer(error="all its threads are busy with calls that never came back")
    except Escaped as error:
        return _Answer(error=describe(error.original))


def _failure(error: BaseException, function: Callable[..., object]) -> "_Answer[T]":
    if isinstance(error, BadAnswer):
        return _Answer(error=f"it {error}")
    if isinstance(error, UnsendableMessage):
        return _Answer(error=describe(error).partition(": ")[2] or "no reason was given", is_final=True)
    code = getattr(function, "__code__", None)
    return _Answer(error=describe(error, code.co_filename if code else ""))
