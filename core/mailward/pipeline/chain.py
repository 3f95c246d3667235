"""The plugins of one policy, hook by hook: who is asked in which order, and whether an answer or a failure is heeded.

How one of them is called belongs to `caller`, how several look at once to `inspection`. What a failed call means for the message
is the policy's business.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import TypeVar

from mailward.api.plugin import Facts, Finding
from mailward.api.views import Evidence
from mailward.formats.message import MessageView
from mailward.model.edits import Edit
from mailward.model.errors import HooksUnavailable, PluginError
from mailward.model.verdict import Verdict
from mailward.pipeline.answers import read_edits
from mailward.pipeline.called import Answer, Called, Calls, Enabled, facts_of, recorded, status_of
from mailward.pipeline.caller import Caller
from mailward.pipeline.inspection import Inspection, Part, parts_of
from mailward.pipeline.order import Order, OrderError, arrange_all
from mailward.pipeline.stages import PLACES

T = TypeVar("T")


class Chain:
    """The enabled plugins of one policy, in order for every hook. Raises PluginError when `needs` or `after` cannot be kept.

    One Chain serves all messages at once.
    """

    def __init__(self, enabled: Iterable[Enabled], like: "Chain | None" = None) -> None:
        """like: a chain of the same plugins in other modes, whose threads, processes and breakers are used."""
        self._enabled = {one.name: one for one in enabled}
        self._callers: Mapping[str, Caller] = (
            {name: Caller(one) for name, one in self._enabled.items()} if like is None else like._callers
        )
        self._unset = {name: one.plugin.declaration.facts() for name, one in self._enabled.items()}
        orders = _orders([one for one in self._enabled.values() if one.mode == "enforce"])
        # A shadowed plugin may look at anybody's work; nobody who counts may look at its.
        shadow_orders = _orders(self._enabled.values())
        self._enforced = {hook: self._in(order, "enforce") for hook, order in orders.items()}
        self._shadowed = {hook: self._in(order, "shadow") for hook, order in shadow_orders.items()}
        looking = [hook for hook in PLACES if hook.startswith("inspect_")]
        self._parts = {hook: parts_of(hook, self._enforced[hook], self._callers, orders[hook]) for hook in looking}
        self._shadow_parts = {hook: parts_of(hook, self._shadowed[hook], self._callers, shadow_orders[hook]) for hook in looking}

    def _in(self, order: Order, mode: str) -> tuple[Enabled, ...]:
        found = (self._enabled[name] for name in order.sequence)
        return tuple(one for one in found if one.mode == mode)

    def close(self) -> None:
        """End the processes of its plugins; one that is asked again gets another."""
        for caller in self._callers.values():
            caller.close()

    def is_ready(self, one: Enabled) -> bool:
        """It can be called at once: it needs no process of its own, or has one in which no call has yet to end."""
        process = self._callers[one.name].process
        return process is None or process.is_ready

    def asks_as(self, other: "Chain", hooks: Iterable[str]) -> bool:
        """The same plugins count in both at these hooks. other: a chain of the same plugins, maybe in other modes."""
        return all([o.name for o in self.enforced(hook)] == [o.name for o in other.enforced(hook)] for hook in hooks)

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
        return await self._inspect(hook, self._parts[hook], arguments, earlier, deadline)

    async def inspect_by(
        self, name: str, hook: str, arguments: Mapping[str, object], earlier: Calls, deadline: float
    ) -> tuple[Called[tuple[Finding, ...]], ...]:
        """The same for one of them, () without the hook, after the others: `earlier` holds their calls of this stage, too."""
        parts = tuple(replace(part, waits_for=frozenset()) for part in self._parts[hook] if part.name == name)
        return await self._inspect(hook, parts, arguments, earlier, deadline) if parts else ()

    async def shadow(
        self, hook: str, arguments: Mapping[str, object], earlier: Calls, deadline: float
    ) -> tuple[Called[tuple[Finding, ...]], ...]:
        """The same for the shadowed plugins; `earlier` holds the enforced ones' calls of this stage, too."""
        return await self._inspect(hook, self._shadow_parts[hook], arguments, earlier, deadline)

    async def edit(
        self,
        hook: str,
        message: Callable[[], MessageView],
        arguments: Callable[[], Mapping[str, object]],
        deadline: float,
        *,
        by: str | None = None,
    ) -> AsyncIterator[Called[tuple[Edit, ...]]]:
        """Call an `edit_*` hook of all enforced plugins, one after another.

        message, arguments: what each of them is given, asked for before its turn, so that one can see what came of the edits
        of the last one. by: one of them alone.
        """
        for one in (one for one in self.enforced(hook) if by in (None, one.name)):
            view = message()
            yield await self.ask(one, hook, {**arguments(), "message": view}, partial(read_edits, message=view), deadline)

    async def provide(
        self, hook: str, arguments: Mapping[str, object], read: Callable[[object], T | None], deadline: float
    ) -> Called[T] | None:
        """Ask a `provide_*` hook of the enforced plugins one after another; the first answer wins: the call with a value.

        Raises HooksUnavailable when one fails before: who might have known better cannot be asked. `on_error: accept` says to
        go on without it.
        """
        for one in self.enforced(hook):
            called = await self.ask(one, hook, arguments, read, deadline)
            if self.heed(called) is not None:
                return called
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
        made = one.plugin.implementations[hook]
        known = {**arguments, "settings": one.settings, "services": one.services}
        values = {name: known[name] for name in made.arguments}
        answer: Answer[T] = await self._callers[one.name].call(made, values, read, deadline)  # type: ignore[arg-type]  # a None too
        return recorded(one, hook, answer)

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
        self, hook: str, parts: tuple[Part, ...], arguments: Mapping[str, object], earlier: Calls, deadline: float
    ) -> tuple[Called[tuple[Finding, ...]], ...]:
        return await Inspection(hook, parts, arguments, earlier, self._evidence, deadline).run()

    def _evidence(self, calls: Calls, names: Iterable[str]) -> Evidence:
        facts: dict[str, Facts] = {name: self._unset[name] for name in names}
        facts.update(facts_of(calls))
        findings = tuple((called.call.plugin, finding) for called in calls for finding in called.findings)
        return Evidence(MappingProxyType(facts), findings, MappingProxyType(status_of(calls)))


def _orders(plugins: Iterable[Enabled]) -> dict[str, Order]:
    known = {one.name: one for one in plugins}
    try:
        return arrange_all({name: one.plugin for name, one in known.items()}, {name: one.place for name, one in known.items()})
    except OrderError as error:
        raise PluginError(error.plugin, str(error)) from error


def _ignored(_: object) -> tuple[()]:
    return ()
