"""By what is one message judged? Policy and plugins, with what is a canary as it counts for a sender and a recipient."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

from mailward.api.services import Clock
from mailward.model.evidence import EvidenceSet, FactValue
from mailward.pipeline.called import Calls, Enabled
from mailward.pipeline.chain import Chain
from mailward.pipeline.gathering import gather, unset_facts
from mailward.pipeline.shadowing import ShadowRoom
from mailward.policy import Policy, RecipientFacts
from mailward.policy.canary import Canary
from mailward.policy.named import Named
from mailward.policy.policy import MOST_KEPT
from mailward.policy.scope import Origin


@dataclass(frozen=True, slots=True)
class Bench:
    """What all trials of one side share. unset_facts: every declared fact of every enabled plugin, with its default.

    counting: the canaries that do on this side.
    """

    policy: Policy
    chain: Chain
    clock: Clock
    unset_facts: Mapping[str, FactValue]
    message_stage_s: float
    room: ShadowRoom
    counting: frozenset[Canary] = frozenset()

    def evidence(self, calls: Calls) -> EvidenceSet:
        """All that is known after these calls, with points."""
        return self.policy.weigh(gather(calls, self.unset_facts))


class Sides:
    """The benches of one judge. base: without any canary. key: of this installation, for those that count for a share.

    Raises PluginError when a canary could not count by itself.
    """

    def __init__(self, base: Bench, enabled: tuple[Enabled, ...], key: bytes | None) -> None:
        self.base = base
        self.canaries = base.policy.canaries
        self._enabled = enabled
        self._key = key
        self._made: dict[frozenset[Canary], Bench] = {}
        # Whatever others count beside it: a plugin needs those that always count, and nobody waits in a circle.
        for one in self.canaries:
            self.where({one})

    def of(self, origin: Origin, recipient: RecipientFacts | None) -> Bench:
        """For mail of this origin to this recipient; None: while nobody is named."""
        if not self.canaries:
            return self.base
        return self.where(self.base.policy.canaries_for(origin, recipient, self._key))

    def where(self, counting: AbstractSet[Canary]) -> Bench:
        """Where these canaries count and no others."""
        if not counting:
            return self.base
        chosen = frozenset(counting)
        if chosen not in self._made:
            if len(self._made) >= MOST_KEPT:
                del self._made[next(iter(self._made))]
            self._made[chosen] = self._make(chosen)
        return self._made[chosen]

    def _make(self, counting: frozenset[Canary]) -> Bench:
        named = Named.of(counting)
        base = replace(self.base, policy=self.base.policy.enforcing(named), counting=counting)
        if not named.plugins:
            return base
        enabled = tuple(replace(one, mode="enforce") if one.name in named.plugins else one for one in self._enabled)
        return replace(base, chain=Chain(enabled, self.base.chain), unset_facts=unset_facts(enabled))
