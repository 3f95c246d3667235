"""What would have become of a message if what is in shadow had counted? One answer, which `explain` and `policy shadow` read.

The policy that judged it judges the same evidence again, once with each plugin and rule in shadow enforced, and once with all of
them. That is done while all is known that rules may read, so it is exact, and needs no content of the message later.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

from msgspec import structs

from mailward.model.decision import InShadow, RecipientDecision, WithIt
from mailward.model.evidence import EvidenceSet, FactValue
from mailward.policy.judging import BY_THE_SERVER, cases_of, judge_taken, refused_early
from mailward.policy.named import Named
from mailward.policy.policy import Case, Policy
from mailward.policy.ruling import RecipientFacts, Ruling
from mailward.policy.scope import Origin
from mailward.policy.stages import STAGES

_NOT_REFUSED = "with it this would not have been refused before its message came"
MOST_JUDGED = 1000
"""Recipients times things in shadow of one message: some 20 us each, while the reply of another message may wait."""
_TOO_MANY = "not compared: too many recipients for all that is in shadow"

_Judged = Callable[[Sequence[Policy], EvidenceSet], Sequence[RecipientDecision] | None]
"""A policy for each recipient, and the evidence as it counts there -> the decisions in their order; None: nobody knows."""


@dataclass(frozen=True, slots=True)
class Compared:
    """shadow: what was in shadow. recipients: for each of them, in order, what would have been otherwise."""

    shadow: tuple[InShadow, ...] = ()
    recipients: tuple[tuple[WithIt, ...], ...] = ()

    def noted(self, decisions: tuple[RecipientDecision, ...]) -> tuple[RecipientDecision, ...]:
        """The same decisions, and what each would have been."""
        if not any(self.recipients):
            return decisions
        return tuple(replace(d, shadow=found) for d, found in zip(decisions, self.recipients, strict=True))


NOTHING = Compared()
"""Of a message at which nothing looked in shadow."""


def compare(
    policies: Sequence[Policy],
    facts: Mapping[str, FactValue],
    evidence: EvidenceSet,
    recipients: Sequence[RecipientFacts],
    decisions: Sequence[RecipientDecision],
    plugins: Mapping[str, str],
    *,
    each: bool,
) -> Compared:
    """Of a whole message.

    policies: what each recipient was judged by. facts, evidence: as for `Policy.judge`, calls of shadowed plugins among it.
    decisions: what it came to, in the order of the recipients. plugins: those that looked and did not count for everybody,
    and why one did not look; "" when it did.
    each: every recipient has a reply of its own.
    """
    origin = Origin.of(facts)
    views = [policy.view(origin, who) for policy, who in zip(reversed(policies), reversed(recipients), strict=True)]
    rules = {rule.name: rule.where for view in views for rule in view.rules if rule.shadow}
    if not rules and not plugins:
        return NOTHING

    @cache
    def as_it_was() -> list[Case]:
        return cases_of(policies, facts, evidence)

    def newly_refused(index: int, case: Case) -> Ruling | None:
        early = refused_early(case, recipients[index])
        return early if early is not None and refused_early(as_it_was()[index], recipients[index]) is None else None

    def judged(others: Sequence[Policy], counted: EvidenceSet) -> list[RecipientDecision]:
        cases = cases_of(others, facts, counted)
        refused = [newly_refused(index, case) for index, case in enumerate(cases)]
        return [ruling.decision() for ruling in judge_taken(cases, recipients, refused, each=each)]

    things = _things(policies[0], evidence, rules, plugins)
    if any(decision.source_kind == "core" for decision in decisions):
        things = [replace(thing, unknown=thing.unknown or BY_THE_SERVER) for thing in things]
    elif len(things) * len(recipients) > MOST_JUDGED:
        things = [replace(thing, unknown=thing.unknown or _TOO_MANY) for thing in things]
    return _compared(policies, evidence, things, decisions, judged)


def compare_refused(
    policy: Policy,
    facts: Mapping[str, FactValue],
    evidence: EvidenceSet,
    recipient: RecipientFacts | None,
    decision: RecipientDecision,
    plugins: Mapping[str, str],
) -> Compared:
    """Of a refusal before any message came: at RCPT, or at MAIL, where there is no recipient. plugins: as in `compare`.

    Only rules above the one that refused, and plugins whose facts one of them reads, could have made a difference. What other
    recipients of the same mail would have got, had this one stayed, is not looked at.
    """
    if decision.source_kind != "rule":
        return NOTHING
    now = STAGES.index("mail" if recipient is None else "rcpt")
    asked = policy.view(Origin.of(facts), recipient).rules
    asked = asked[: [rule.name for rule in asked].index(decision.source_name) + 1]
    rules = {rule.name: rule.where for rule in asked if rule.shadow and rule.then is not None}
    read = {fact.partition(".")[0] for rule in asked if STAGES.index(rule.stage) <= now for fact in rule.when.names}
    plugins = {name: why for name, why in plugins.items() if name in read}
    if not rules and not plugins:
        return NOTHING

    def judged(others: Sequence[Policy], counted: EvidenceSet) -> list[RecipientDecision] | None:
        ruling = refused_early(Case(others[0], facts, counted), recipient)
        return None if ruling is None else [replace(ruling, recipient=decision.recipient).decision()]

    return _compared((policy,), evidence, _things(policy, evidence, rules, plugins), (decision,), judged)


def _things(policy: Policy, evidence: EvidenceSet, rules: Mapping[str, str], plugins: Mapping[str, str]) -> list[InShadow]:
    failed = {call.plugin: f"{call.hook} failed: {call.error}" for call in evidence.calls if call.error is not None}
    found = [InShadow("plugin", name, policy.plugins[name].where, why or failed.get(name, "")) for name, why in plugins.items()]
    return found + [InShadow("rule", name, where) for name, where in rules.items()]


def _compared(
    policies: Sequence[Policy],
    evidence: EvidenceSet,
    things: list[InShadow],
    decisions: Sequence[RecipientDecision],
    judged: _Judged,
) -> Compared:
    """Each thing by itself; all of them when there are several and each is known."""
    changes: list[list[WithIt]] = [[] for _ in decisions]

    def note(kind: str, name: str, chosen: Collection[InShadow]) -> bool:
        named = Named.of(chosen)
        outcome = judged([policy.enforcing(named) for policy in policies], counted(evidence, named.plugins))
        if outcome is None:
            return False
        for found, was, now in zip(changes, decisions, outcome, strict=True):
            change = WithIt.of(kind, name, now)
            if change != WithIt.of(kind, name, was):
                found.append(change)
        return True

    for index, thing in enumerate(things):
        if not thing.unknown and not note(thing.kind, thing.name, [thing]):
            things[index] = replace(thing, unknown=_NOT_REFUSED)
    if len(things) > 1 and not any(thing.unknown for thing in things):
        note("all", "", things)
    return Compared(tuple(things), tuple(tuple(found) for found in changes))


def counted(evidence: EvidenceSet, plugins: Collection[str]) -> EvidenceSet:
    """The same evidence with the calls of these plugins as of any that counts."""
    if not plugins:
        return evidence
    calls = tuple(structs.replace(call, status="ok") if call.plugin in plugins else call for call in evidence.calls)
    called = {call.plugin for call in calls}
    status = {f"{name}.status": "ok" if name in called else "skipped" for name in plugins}
    return replace(evidence, calls=calls, facts={**evidence.facts, **status})
