"""What do the calls of several plugins come to? The evidence a policy judges by: every declared fact, set or not."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from mailward.model.address import ForwardPath
from mailward.model.evidence import AuthResult, EvidenceSet, FactValue
from mailward.pipeline.answers import flat_facts
from mailward.pipeline.called import Called, Calls, Enabled, facts_of, own_facts_of, status_of
from mailward.policy import RecipientFacts


def unset_facts(enabled: Iterable[Enabled]) -> dict[str, FactValue]:
    """Every declared fact of these plugins with its default, and the status of one that was not called."""
    unset: dict[str, FactValue] = {}
    for one in enabled:
        unset |= flat_facts(one.name, one.plugin.declaration.facts())
        unset[f"{one.name}.status"] = "shadow" if one.mode == "shadow" else "skipped"
    return unset


def gather(calls: Calls, unset: Mapping[str, FactValue]) -> EvidenceSet:
    """All that is known after these calls; a fact that no finding set has its default. Without points."""
    facts = dict(unset)
    for plugin, found in facts_of(calls).items():
        facts |= flat_facts(plugin, found)
    facts |= {f"{plugin}.status": status for plugin, status in status_of(calls).items()}
    return EvidenceSet(tuple(called.call for called in calls), facts, auth_results(calls))


def with_own(recipients: Sequence[RecipientFacts], paths: Sequence[ForwardPath], calls: Calls) -> tuple[RecipientFacts, ...]:
    """The recipients with what these calls found of each alone. paths: theirs, in the same order."""
    own = own_facts_of(calls)

    def found(path: ForwardPath) -> dict[str, FactValue]:
        return {name: v for plugin, facts in own.get(path, {}).items() for name, v in flat_facts(plugin, facts).items()}

    return tuple(replace(who, found=found(path)) for who, path in zip(recipients, paths, strict=True))


def auth_results(calls: Iterable[Called[object]]) -> tuple[AuthResult, ...]:
    """What those that count say of who wrote the message."""
    return tuple(r for called in calls if called.call.status == "ok" for f in called.findings for r in f.auth)
