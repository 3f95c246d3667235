"""One `inspect_*` hook of several plugins: concurrently as far as `needs` and `after` allow, each with what it may know.

Inline hooks are called as soon as their turn comes; the others are begun and heard of later. There is one task for each call that
waits for something, and none for waiting.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from mailward.api.plugin import Finding
from mailward.api.views import Evidence
from mailward.pipeline.answers import read_findings
from mailward.pipeline.called import Answer, Called, Calls, Enabled, recorded
from mailward.pipeline.caller import Call, Caller
from mailward.pipeline.guarding import Read
from mailward.pipeline.limits import Limits
from mailward.pipeline.order import Order
from mailward.pipeline.plugins import Implementation

Findings = tuple[Finding, ...]
EvidenceOf = Callable[[Calls, frozenset[str]], Evidence]
"""What may be seen of these calls, the facts of these plugins among it."""


@dataclass(frozen=True, slots=True)
class Part:
    """One plugin's part. given: the arguments it names of those that the stage gives. own: its settings and services.

    needs: plugins that must not have failed. waits_for: plugins of the same hook. sees: those named in its `needs` and `after`.
    """

    name: str
    one: Enabled
    caller: Caller
    made: Implementation
    read: Read[Findings]
    given: tuple[str, ...]
    own: Mapping[str, object]
    wants_evidence: bool
    needs: tuple[str, ...]
    waits_for: frozenset[str]
    sees: frozenset[str]


def parts_of(hook: str, plugins: Sequence[Enabled], callers: Mapping[str, Caller], order: Order) -> tuple[Part, ...]:
    """The parts of these plugins, in order. Of those it waits for, only these count."""
    names = {one.name for one in plugins}
    found = []
    for one in plugins:
        made = one.plugin.implementations[hook]
        own: dict[str, object] = {"settings": one.settings, "services": one.services}
        found.append(
            Part(
                name=one.name,
                one=one,
                caller=callers[one.name],
                made=made,
                read=partial(read_findings, one.plugin.declaration),
                given=tuple(name for name in made.arguments if name not in own and name != "evidence"),
                own={name: value for name, value in own.items() if name in made.arguments},
                wants_evidence="evidence" in made.arguments,
                needs=made.options.needs,
                waits_for=order.waits_for[one.name] & names,
                sees=order.sees[one.name],
            )
        )
    return tuple(found)


class Inspection:
    """One hook for one message. earlier: calls of former stages, which everybody may see."""

    def __init__(
        self,
        hook: str,
        parts: Sequence[Part],
        arguments: Mapping[str, object],
        earlier: Calls,
        evidence_of: EvidenceOf,
        deadline: float,
    ) -> None:
        self._hook = hook
        self._parts = parts
        self._arguments = arguments
        self._earlier = earlier
        self._evidence_of = evidence_of
        self._limits = Limits(deadline)
        self._found: dict[str, Called[Findings]] = {}
        self._running: dict[str, Call[Findings]] = {}
        self._waiting: list[Part] = []
        self._all: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def run(self) -> tuple[Called[Findings], ...]:
        """One Called each, in order."""
        try:
            self._go_on(self._parts)
            await self._all
        finally:
            for call in self._running.values():
                call.give_up()
        return tuple([self._found[part.name] for part in self._parts])

    def _go_on(self, parts: Sequence[Part]) -> None:
        """Begin those of these whose turn has come. In order: what waits for one that is over at once need not wait."""
        self._waiting = []
        for part in parts:
            if part.waits_for and not part.waits_for <= self._found.keys():
                self._waiting.append(part)
            else:
                self._begin(part)
        if len(self._found) == len(self._parts):
            self._all.set_result(None)

    def _begin(self, part: Part) -> None:
        if part.needs and (broken := self._broken_need(part.needs)):
            self._found[part.name] = recorded(part.one, self._hook, Answer(error=f"it needs '{broken}', which failed"))
            return
        values = dict(part.own)
        for name in part.given:
            values[name] = self._arguments[name]
        if part.wants_evidence:
            values["evidence"] = self._evidence(part)
        begun = part.caller.begin(part.made, values, part.read, self._limits)
        if isinstance(begun, Answer):
            self._found[part.name] = recorded(part.one, self._hook, begun)
        else:
            self._running[part.name] = begun
            begun.tell(partial(self._ended, part))

    def _ended(self, part: Part, answer: Answer[Findings]) -> None:
        del self._running[part.name]
        self._found[part.name] = recorded(part.one, self._hook, answer)
        if self._all.done():
            return
        try:
            self._go_on(self._waiting)
        except Exception as error:  # noqa: BLE001  nobody else would hear of it
            self._all.set_exception(error)

    def _evidence(self, part: Part) -> Evidence:
        known = [*self._earlier, *self._before(part)]
        here = [called for called in known if called.call.hook != self._hook or called.call.plugin in part.sees]
        names = {called.call.plugin for called in here if called.call.hook != self._hook}
        return self._evidence_of(here, part.sees | names)

    def _before(self, part: Part) -> list[Called[Findings]]:
        return [self._found[other.name] for other in self._parts if other.name in part.waits_for]

    def _broken_need(self, needs: Sequence[str]) -> str | None:
        """A plugin that this one cannot do without and that failed: judging without it would be judging on nothing."""
        known = [*self._earlier, *self._found.values()]
        return next((called.call.plugin for called in known if called.failed and called.call.plugin in needs), None)
