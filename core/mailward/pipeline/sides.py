"""By what is one message judged? Policy and plugins, with what is a canary on the side that its sender meets."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from mailward.api.services import Clock
from mailward.model.decision import OfCanary
from mailward.model.evidence import EvidenceSet, FactValue
from mailward.pipeline.called import Calls, Enabled
from mailward.pipeline.chain import Chain
from mailward.pipeline.gathering import gather, unset_facts
from mailward.pipeline.shadowing import ShadowRoom
from mailward.policy import Policy
from mailward.policy.policy import MOST_KEPT


@dataclass(frozen=True, slots=True)
class Bench:
    """What all trials of one side share. unset_facts: every declared fact of every enabled plugin, with its default.

    canaries: those of the policy, and whether they count on this side.
    """

    policy: Policy
    chain: Chain
    clock: Clock
    unset_facts: Mapping[str, FactValue]
    message_stage_s: float
    room: ShadowRoom
    canaries: tuple[OfCanary, ...] = ()

    def evidence(self, calls: Calls) -> EvidenceSet:
        """All that is known after these calls, with points."""
        return self.policy.weigh(gather(calls, self.unset_facts))


class Sides:
    """The benches of one judge. base: without any canary. Raises PluginError when one that counts could not do so by itself."""

    def __init__(self, base: Bench, enabled: tuple[Enabled, ...]) -> None:
        self.base = base
        self._enabled = enabled
        self._canaries = base.policy.canaries
        self._made: dict[tuple[bool, ...], Bench] = {}
        # Whatever others count beside it: a plugin needs those that always count, and nobody waits in a circle.
        for one in self._canaries:
            self._bench(tuple(other is one for other in self._canaries))

    def of(self, reverse_path: str) -> Bench:
        """For mail of this sender."""
        return self._bench(tuple(one.counts_for(reverse_path) for one in self._canaries)) if self._canaries else self.base

    def _bench(self, counted: tuple[bool, ...]) -> Bench:
        if counted not in self._made:
            if len(self._made) >= MOST_KEPT:
                del self._made[next(iter(self._made))]
            self._made[counted] = self._make(counted)
        return self._made[counted]

    def _make(self, counted: tuple[bool, ...]) -> Bench:
        pairs = tuple(zip(self._canaries, counted, strict=True))
        told = tuple(OfCanary(one.kind, one.name, counts) for one, counts in pairs)
        plugins = frozenset(one.name for one, counts in pairs if counts and one.kind == "plugin")
        rules = frozenset(one.name for one, counts in pairs if counts and one.kind == "rule")
        base = replace(self.base, policy=self.base.policy.enforcing(plugins, rules), canaries=told)
        if not plugins:
            return base
        enabled = tuple(replace(one, mode="enforce") if one.name in plugins else one for one in self._enabled)
        return replace(base, chain=Chain(enabled, self.base.chain), unset_facts=unset_facts(enabled))
