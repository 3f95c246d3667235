"""What would this policy have made of mail that was judged before? Its evidence is judged anew; no plugin is asked.

A record holds what was found and the facts, never content. What the policy wants to know beyond that, nobody knows any more: such
a message is said to be not known, with the reason, and is never counted as unchanged.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, fields, replace

from mailward.model.decision import DecisionRecord, RecipientDecision
from mailward.model.evidence import EvidenceSet
from mailward.policy.judging import BY_THE_SERVER, cases_of, judge_taken, refused_early
from mailward.policy.policy import Case, Policy
from mailward.policy.ruling import RecipientFacts, Ruling
from mailward.policy.scope import Origin
from mailward.policy.shadow import counted
from mailward.policy.values import PluginPolicy, View

NO_KEY = "it has canaries for a share of senders, and the key in secrets/srs cannot be read"
NOT_REFUSED = "it was refused before its message came, and would not have been"


@dataclass(frozen=True, slots=True)
class Replayed:
    """decisions: in the order of the record's recipients, () when it is not known what they would be. unknown: why, else ""."""

    decisions: tuple[RecipientDecision, ...]
    unknown: str = ""


class Replay:
    """One policy, asked about many records."""

    def __init__(self, policy: Policy, recipient: Callable[[str], RecipientFacts], key: bytes | None) -> None:
        """recipient: what is known of a forward-path, as a record names it. key: of canaries, None when it cannot be read."""
        self._policy = policy
        self._key = key
        self.lacks_key = key is None and any(one.share is not None for one in policy.canaries)
        """Nobody knows for whom its canaries would have counted."""
        self._recipient = recipient
        self._looking = {name: one for name, one in policy.plugins.items() if _may_find(one)}

    def judged(self, record: DecisionRecord) -> Replayed:
        """What its recipients would have got. The record is one that a policy of the same direction made."""
        if any(decision.source_kind == "core" for decision in record.recipients):
            return Replayed((), BY_THE_SERVER)
        if self.lacks_key:
            return Replayed((), NO_KEY)
        origin = Origin.of(record.facts)
        people = [self._known(one) if one.recipient else None for one in record.recipients]
        policies = [self._policy.side_of(origin, who, self._key) for who in people]
        counting = frozenset[str]().union(*(policy.counting for policy in policies))
        if why := _not_looked(counting, self._looking, record):
            return Replayed((), why)
        in_shadow = {call.plugin for call in record.calls if call.status == "shadow"}
        evidence = counted(EvidenceSet(record.calls, dict(record.facts)), in_shadow & counting)
        cases = cases_of(policies, record.facts, evidence)
        if "message.size_octets" not in record.facts:
            return self._refused(cases[0], people[0], record)
        missing = self._policy.reads - record.facts.keys() - _ALWAYS
        named = [who for who in people if who is not None]  # of whole messages all are
        refused = [refused_early(case, who) for case, who in zip(cases, named, strict=True)]
        rulings = judge_taken(cases, named, refused, each=record.takes_each)
        for policy, who, early, ruling in zip(policies, named, refused, rulings, strict=True):
            if early is None and missing and (fact := _open(policy.view(origin, who), ruling, missing)):
                return Replayed((), f"the record does not hold {fact}")
        return Replayed(tuple(ruling.decision() for ruling in rulings))

    def _known(self, decision: RecipientDecision) -> RecipientFacts:
        return replace(self._recipient(decision.recipient), found=decision.facts)

    def _refused(self, case: Case, who: RecipientFacts | None, record: DecisionRecord) -> Replayed:
        """Of mail that was refused at MAIL, where there is no recipient, or at RCPT."""
        (decision,) = record.recipients
        failed = [call.plugin for call in record.calls if call.error is not None]
        ruling = case.policy.floor_of(failed) or refused_early(case, who)
        if ruling is None:
            return Replayed((), NOT_REFUSED)
        return Replayed((replace(ruling, recipient=decision.recipient).decision(),))


_OF_RECIPIENT = ("address", "domain", "local_part", "tag", "mailboxes", "groups", "is_local")
_ALWAYS = frozenset({"score", "symbols"} | {f"recipient.{one}" for one in _OF_RECIPIENT})
"""Facts that are made when it is judged."""


def _may_find(one: PluginPolicy) -> bool:
    """It may say something of a message that a verdict could hang on."""
    declared = one.declaration
    return declared is not None and bool(declared.symbols or fields(declared.facts) or one.heed)


def _not_looked(counting: Collection[str], looking: Mapping[str, PluginPolicy], record: DecisionRecord) -> str:
    """Why it is not known what a plugin that counts would have found; "" when each has looked."""
    unheard = {thing.name: thing.unknown for thing in record.shadow if thing.kind == "plugin" and thing.unknown}
    for name in looking:
        if name not in counting:
            continue
        if f"{name}.status" not in record.facts:
            return f"plugin {name} did not look at it"
        if name in unheard:
            return f"plugin {name}: {unheard[name]}"
    return ""


def _open(view: View, ruling: Ruling, missing: frozenset[str]) -> str:
    """A fact that is missing and that could have led to another verdict, "" for none."""
    decided = ruling.source.name if ruling.source.kind == "rule" else None
    passed = False  # what stands behind the rule that decided could not have
    for rule in view.rules:
        if missing.isdisjoint(rule.when.names):
            passed = passed or rule.name == decided
        elif not rule.shadow and (rule.adds_points or (rule.then is not None and not passed)):
            return min(missing.intersection(rule.when.names))
    return ""
