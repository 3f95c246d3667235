"""Which canaries count in one mail transaction, and for whom? What those have found that are for some recipients.

Such a plugin is in shadow until one of its recipients is named. From then on it looks before the replies, after those that always
count, beginning with what it has missed. Nobody else is given what it found, for that may be mail of others; and what it found
counts for its recipients alone. A transaction with none of them waits for nothing.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence

from mailward.formats.message import MessageView
from mailward.model.address import ForwardPath
from mailward.model.decision import OfCanary
from mailward.model.edits import Edit
from mailward.pipeline.at_rcpt import AtRcpt
from mailward.pipeline.called import Called, Calls
from mailward.pipeline.shadowing import Step
from mailward.pipeline.sides import Bench, Sides
from mailward.pipeline.stages import PLACES
from mailward.policy import RecipientFacts
from mailward.policy.canary import Canary
from mailward.policy.scope import Origin

NOT_SHOWN_ALL = "it was shown the recipients it is for, and there were others"
_ORDER = {hook: number for number, hook in enumerate(PLACES)}


class Canaries:
    """Of the mail of one origin. at_mail: the bench while nobody is named."""

    def __init__(self, sides: Sides, origin: Origin) -> None:
        self._sides = sides
        self._origin = origin
        self.at_mail = sides.of(origin, None)
        self._calls: dict[Canary, tuple[Called[object], ...]] = {}  # of those that look, without those at RCPT
        self._followed: dict[Canary, int] = {}  # how many steps they have seen
        self._at_rcpt = AtRcpt()

    def bench(self, recipient: RecipientFacts) -> Bench:
        """By what this recipient's mail is judged."""
        return self._sides.of(self._origin, recipient)

    @property
    def looked(self) -> Bench:
        """The bench where all those count that have looked: the others are in shadow for everybody."""
        return self._sides.where({*self.at_mail.counting, *self._calls}) if self._calls else self.at_mail

    async def follow(
        self, benches: Sequence[Bench], steps: Sequence[Step], paths: Collection[ForwardPath], deadline: float
    ) -> None:
        """Let those that count on one of these benches, or have begun to look, see what they have not seen of these steps.

        paths: the forward-paths that are known by now.
        """
        if not self._sides.canaries:
            return
        for one in self._new(benches):
            self._calls[one], self._followed[one] = (), 0
        await asyncio.gather(*(self._catch_up(one, steps, paths, deadline) for one in self._calls))

    async def _catch_up(self, one: Canary, steps: Sequence[Step], paths: Collection[ForwardPath], deadline: float) -> None:
        todo, self._followed[one] = steps[self._followed[one] :], len(steps)
        for step in todo:
            if step.hook != "inspect_rcpt":
                self._calls[one] += await self._inspect(one, step, paths, deadline)

    async def look_at(self, bench: Bench, path: ForwardPath, step: Step, deadline: float) -> None:
        """Let those that are for it look at a forward-path. bench: its recipient's. step: of `inspect_rcpt`."""
        if self._calls and path not in self._at_rcpt:
            counting = [one for one in self._calls if one in bench.counting]
            found = await asyncio.gather(*(self._inspect(one, step, (), deadline) for one in counting))
            self._at_rcpt.add(path, [called for calls in found for called in calls])

    async def edit(
        self,
        benches: Sequence[Bench],
        message: MessageView,
        arguments: Mapping[str, object],
        earlier: Calls,
        paths: Collection[ForwardPath],
        deadline: float,
    ) -> None:
        """Ask those that count for a recipient what they would change. earlier: the calls of those that always count."""
        for one in self._calls:
            if any(one in bench.counting for bench in benches):
                chain = self._alone(one).chain
                known = {**arguments, "evidence": chain.evidence((*earlier, *self._by(one, paths)))}
                asked = chain.edit("edit_message", lambda: message, _always(known), deadline, by=one.name)
                self._calls[one] += tuple([called async for called in asked])

    def calls(self, paths: Collection[ForwardPath], until: str = "edit_message") -> tuple[Called[object], ...]:
        """Those that were made, but at RCPT only of these forward-paths, up to a hook."""
        found = [called for one in self._calls for called in self._by(one, paths)]
        return tuple(called for called in found if _ORDER[called.call.hook] <= _ORDER[until])

    def partly(self, benches: Sequence[Bench]) -> dict[str, str]:
        """Plugins that have looked and do not count for all of these, and why it is not known what would be if they did."""
        found = {}
        for one in self._calls:
            if not all(one in bench.counting for bench in benches):
                looks_at_rcpt = any(other.name == one.name for other in self._alone(one).chain.enforced("inspect_rcpt"))
                found[one.name] = NOT_SHOWN_ALL if looks_at_rcpt else ""
        return found

    def told(self, benches: Sequence[Bench], recipients: Sequence[str]) -> tuple[OfCanary, ...]:
        """For the record. benches: of the recipients in their order; of a refusal at MAIL, with none, that of its sender."""
        told = []
        for one in self._sides.canaries:
            counted = [one in bench.counting for bench in benches]
            some = () if all(counted) else tuple(who for who, counts in zip(recipients, counted, strict=False) if counts)
            told.append(OfCanary(one.kind, one.name, any(counted), some))
        return tuple(told)

    def _new(self, benches: Sequence[Bench]) -> list[Canary]:
        named = frozenset[Canary]().union(*(bench.counting for bench in benches)) - self.at_mail.counting
        return [one for one in self._sides.canaries if one in named and one.kind == "plugin" and one not in self._calls]

    def _alone(self, one: Canary) -> Bench:
        return self._sides.where({*self.at_mail.counting, one})

    async def _inspect(
        self, one: Canary, step: Step, paths: Collection[ForwardPath], deadline: float
    ) -> tuple[Called[object], ...]:
        earlier = (*step.earlier, *self._by(one, paths))
        return await self._alone(one).chain.inspect_by(one.name, step.hook, step.arguments, earlier, deadline)

    def _by(self, one: Canary, paths: Collection[ForwardPath]) -> list[Called[object]]:
        """Its calls in the order of a message's way, so that later facts replace earlier ones."""
        at_rcpt = (called for called in self._at_rcpt.of(paths) if called.call.plugin == one.name)
        return sorted([*self._calls[one], *at_rcpt], key=lambda called: _ORDER[called.call.hook])


def _always(known: Mapping[str, object]) -> Callable[[], Mapping[str, object]]:
    return lambda: known


def edits_of(bench: Bench, proposed: Mapping[str, Sequence[Edit]]) -> tuple[Edit, ...]:
    """What the plugins that count for a recipient change, in their order. bench: the recipient's. proposed: by plugin."""
    return tuple(edit for one in bench.chain.enforced("edit_message") for edit in proposed.get(one.name, ()))
