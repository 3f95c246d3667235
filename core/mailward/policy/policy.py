"""A loaded policy: asked once a stage and recipient, or a login, it answers with a Ruling.

It does no I/O but one stat call a list file.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from hashlib import sha256

from mailward.model.errors import Problem
from mailward.model.evidence import EvidenceSet, FactValue
from mailward.model.replies import LOCAL_ERROR, REJECTED
from mailward.model.verdict import Source, Verdict
from mailward.policy.canary import Canary
from mailward.policy.decide import Grounds, decide, decide_early, weigh, with_points
from mailward.policy.directions import RULES, Direction
from mailward.policy.facts import Vocabulary, comparable, cut_among
from mailward.policy.lists import Lists
from mailward.policy.named import Named
from mailward.policy.ruling import RecipientFacts, Ruling
from mailward.policy.scope import NOWHERE, Origin, Scopes
from mailward.policy.stages import STAGES, Stage
from mailward.policy.tests import PolicyTest, TestResult, run_test
from mailward.policy.values import Limit, Override, PluginPolicy, Rule, View
from mailward.policy.variables import Group, Variables

MOST_KEPT = 64
"""Of the same policy with other things counting; of more the oldest is made again when it comes."""

MOST_VIEWS = 1000
"""Of the rules of a policy with some of its overrides; a view of 200 rules has some 10 KiB."""

_RECIPIENT_ROOT = "recipient"


@dataclass(frozen=True)
class Policy:
    """One direction's policy, checked.

    plugins: every plugin it names, by name, in the order of the files. rules: of this file; preset_rules: of what it extends;
    removed: names of preset rules that this file turns off. weights: points of every known symbol at strength 1.
    replies: the admin's words for replies, by the names of `model.replies`.
    warnings: what does not hinder but should be known. tests: all of them, the live ones too. files_digest: of the YAML read.
    file: the octets of this file, b"" where the preset alone holds.
    """

    direction: Direction
    plugins: Mapping[str, PluginPolicy]
    rules: tuple[Rule, ...]
    preset_rules: tuple[Rule, ...]
    removed: frozenset[str]
    limits: tuple[Limit, ...]
    overrides: tuple[Override, ...]
    weights: Mapping[str, float]
    lists: Lists
    vocabulary: Vocabulary
    needed: Group
    replies: Mapping[str, str]
    tests: tuple[PolicyTest, ...]
    warnings: tuple[Problem, ...]
    files_digest: bytes
    file: bytes
    _enforcing: "dict[Named, Policy]" = field(default_factory=dict, repr=False, compare=False)

    @property
    def hash(self) -> str:
        """Seven hex digits of all files read, lists as they are now."""
        return _hash(self.files_digest + self.lists.digest)

    def view(self, origin: Origin, recipient: RecipientFacts | None) -> View:
        """Rules and limits as they hold for mail of this origin to this recipient; None: while nobody is named, or of a login."""
        return self._view_of(self.override_scopes.holding(origin, recipient))

    @cached_property
    def override_scopes(self) -> Scopes:
        """Of the overrides, in their order."""
        return Scopes([one.scope for one in self.overrides])

    @cached_property
    def _view_of(self) -> Callable[[tuple[int, ...]], View]:
        """Places of overrides -> the view in which they hold. Strangers choose which, so not all of them are kept."""
        return lru_cache(maxsize=MOST_VIEWS)(lambda places: self._make_view([self.overrides[place] for place in places]))

    def enforcing(self, named: Named) -> "Policy":
        """The same policy, in which these plugins and rules count though they are in shadow."""
        if not named:
            return self
        made = self._enforcing.get(named)
        if made is None:
            if len(self._enforcing) >= MOST_KEPT:
                del self._enforcing[next(iter(self._enforcing))]

            def counting(written: tuple[Rule, ...]) -> tuple[Rule, ...]:
                return tuple(replace(rule, shadow=False) if rule.name in named.rules else rule for rule in written)

            made = self._enforcing[named] = replace(
                self,
                plugins={n: replace(one, mode="enforce") if n in named.plugins else one for n, one in self.plugins.items()},
                rules=counting(self.rules),
                preset_rules=counting(self.preset_rules),
                overrides=tuple(replace(one, rules=counting(one.rules)) for one in self.overrides),
                _enforcing={},
            )
        return made

    @cached_property
    def canaries(self) -> tuple[Canary, ...]:
        """What counts for some mail, plugins first; one rule for all of the same name."""
        plugins = [one.canary for one in self.plugins.values() if one.canary is not None]
        rules = {one.name: one.canary for one in self.all_rules if one.canary is not None}
        return (*plugins, *rules.values())

    def canaries_for(self, origin: Origin, recipient: RecipientFacts | None, key: bytes | None) -> frozenset[Canary]:
        """Those that count for this mail. recipient: None while nobody is named, so that one for some counts for nobody yet.

        key: of this installation. None: nobody knows who is of a share, so nobody is.
        """
        asked = (self.canaries[place] for place in self._canary_scopes.holding(origin, recipient))
        return frozenset(one for one in asked if one.draws(origin.reverse_path, key))

    @cached_property
    def _canary_scopes(self) -> Scopes:
        return Scopes([one.scope for one in self.canaries])

    def side_of(self, origin: Origin, recipient: RecipientFacts | None, key: bytes | None) -> "Policy":
        """The same policy as it holds for this mail, with the canaries that count for it. As for `canaries_for`."""
        return self.enforcing(Named.of(self.canaries_for(origin, recipient, key)))

    @cached_property
    def counting(self) -> frozenset[str]:
        """Names of the plugins that have a say."""
        return frozenset(name for name, plugin in self.plugins.items() if plugin.counts)

    def floor_of(self, failed: Iterable[str]) -> Ruling | None:
        """Before the message came: some plugins have failed whose `on_error` defers or rejects, so it need not come."""
        entries = [one for one in (self.plugins.get(name) for name in failed) if one is not None and one.counts]
        worst = max(entries, key=lambda entry: entry.on_error.strength, default=None)
        answers = {Verdict.TEMPFAIL: LOCAL_ERROR, Verdict.REJECT: REJECTED}
        if worst is None or worst.on_error not in answers:
            return None
        source = Source("floor", f"{worst.name} failed", worst.where)
        return Ruling("", worst.on_error, 0.0, source, floor=worst.on_error, reply=answers[worst.on_error])

    @cached_property
    def shadowed(self) -> Named:
        """What is in shadow, canaries among it, and rules of anybody."""
        return Named(
            frozenset(name for name, plugin in self.plugins.items() if plugin.mode in ("shadow", "canary")),
            frozenset(rule.name for rule in self.all_rules if rule.shadow),
        )

    @property
    def in_shadow(self) -> list[str]:
        """All of them in words: "plugin acme_dlp (canary 5%)", "rule zip-files"."""
        names = [("plugin", name) for name in sorted(self.shadowed.plugins)]
        names += [("rule", name) for name in sorted(self.shadowed.rules)]
        canaries = {(one.kind, one.name): f" ({one})" for one in self.canaries}
        return [f"{kind} {name}{canaries.get((kind, name), '')}" for kind, name in names]

    def may_end_at(self, stage: Stage) -> bool:
        """Could a rule of anybody's end a transaction at this stage, before the last one? Cheaper than to judge."""
        return stage in self._early_stages

    @cached_property
    def reads(self) -> frozenset[str]:
        """The facts that any of its rules reads."""
        return frozenset().union(*(rule.reads for rule in self.all_rules))

    @cached_property
    def compared(self) -> frozenset[str]:
        """The facts of the `needs` of all conditions."""
        return frozenset(name for rule in self.all_rules for name, _ in rule.when.needs)

    @property
    def all_rules(self) -> tuple[Rule, ...]:
        """Of everybody."""
        return (*self.rules, *self.preset_rules, *(rule for override in self.overrides for rule in override.rules))

    @cached_property
    def _early_stages(self) -> frozenset[Stage]:
        deciding = [rule for rule in self.all_rules if rule.then is not None and not rule.shadow]
        first = min((STAGES.index(rule.stage) for rule in deciding), default=len(STAGES))
        return frozenset(STAGES[first:])

    def case(self, facts: Mapping[str, FactValue], evidence: EvidenceSet) -> "Case":
        """One message, to be judged for several recipients: what they share is prepared once."""
        self.lists.refresh()
        return Case(self, facts, evidence)

    def judge(
        self, facts: Mapping[str, FactValue], evidence: EvidenceSet, recipient: RecipientFacts | None, *, stage: Stage
    ) -> Ruling | None:
        """The ruling for one recipient (None at the mail stage, and of a login); None before the last stage: go on.

        facts: session, envelope and message facts by name; those of plugins come from `evidence`. What is missing has a default.
        """
        return self.case(facts, evidence).judge(recipient, stage=stage)

    def weigh(self, evidence: EvidenceSet) -> EvidenceSet:
        """The evidence with the points of every finding filled in, for the decision record."""
        return with_points(evidence, self.weights)

    def run_tests(self) -> list[TestResult]:
        """All tests but the live ones."""
        last = RULES[self.direction].last
        return [self._tested(test, last) for test in self.tests if not test.live and last is not None]

    def _tested(self, test: PolicyTest, last: Stage) -> TestResult:
        """One that fails only because of what is in shadow says so: nothing else in the policy would tell why."""

        def judge(
            facts: Mapping[str, FactValue], evidence: EvidenceSet, recipient: RecipientFacts | None, *, stage: Stage
        ) -> Ruling | None:
            return self.side_of(Origin.of(facts), recipient, None).judge(facts, evidence, recipient, stage=stage)

        if not self.shadowed:
            return run_test(test, judge, self.plugins, last)
        if_it_counted = self.enforcing(self.shadowed).judge
        result = run_test(test, if_it_counted if test.shadow else judge, self.plugins, last)
        if result.passed or test.shadow or not run_test(test, if_it_counted, self.plugins, last).passed:
            return result
        hint = f"it would pass if what is in shadow counted: {', '.join(self.in_shadow)}; shadow: true in the test says so"
        return replace(result, differences=(*result.differences, hint))

    def _make_view(self, overrides: list[Override]) -> View:
        rules: dict[str, Rule] = {}
        hidden: set[str] = set()
        limits = {limit.verdict: limit for limit in self.limits}
        for override in overrides:
            _add(rules, override.rules, hidden)
            hidden |= override.removed
        _add(rules, self.rules, hidden)
        _add(rules, self.preset_rules, hidden | self.removed)
        for override in reversed(overrides):
            limits.update((limit.verdict, limit) for limit in override.limits)
        in_force = [limit for limit in limits.values() if limit.points < math.inf]
        ordered = sorted(in_force, key=lambda limit: -limit.verdict.strength)
        return View.of(tuple(rules.values()), tuple(ordered), tuple(override.name for override in overrides))


@lru_cache(maxsize=64)
def _hash(digests: bytes) -> str:
    return sha256(digests).hexdigest()[:7]


def _add(rules: dict[str, Rule], more: tuple[Rule, ...], hidden: set[str] | frozenset[str]) -> None:
    for rule in more:
        if rule.name not in hidden:
            rules.setdefault(rule.name, rule)


class Case:
    """The facts and evidence of one message under one policy. Not for several threads at once."""

    def __init__(self, policy: Policy, facts: Mapping[str, FactValue], evidence: EvidenceSet) -> None:
        self.policy = policy
        self._weighed = weigh(evidence, policy.plugins, policy.weights)
        self._known: dict[str, FactValue] = {
            **facts,
            **evidence.facts,
            "symbols": self._weighed.symbols,
            "score": self._weighed.score,
        }
        for name, plugin in policy.plugins.items():
            if not plugin.counts:
                self._mute(name, "off" if plugin.mode == "off" else "shadow")
        self._cut = cut_among(self._known)
        self._origin = Origin.of(facts) if policy.overrides else NOWHERE
        self._displaced: dict[str, FactValue] = {}  # by what was found of the recipient judged last
        self._variables = Variables(policy.needed, self._known, policy.lists.listed)

    def judge(self, recipient: RecipientFacts | None, *, stage: Stage) -> Ruling | None:
        """As `Policy.judge`."""
        view = self.policy.view(self._origin, recipient)
        name, cut = "", self._cut
        if recipient is not None:
            name = recipient.address
            self._known.update(own := recipient_facts(recipient))
            self._variables.changed(_RECIPIENT_ROOT)
            self._tell_own(recipient.found)
            his = {fact: self._known[fact] for fact in (*own, *self._displaced)}
            cut = cut.difference(his) | cut_among(his)
        else:
            self._tell_own({})
        known = {fact: comparable(self._lookup(fact)) for fact in self.policy.compared}
        grounds = Grounds(self._variables, known, cut, self._lookup, self._scored)
        if stage != RULES[self.policy.direction].last:
            return decide_early(view, grounds, name, stage)
        return decide(view, self._weighed, grounds, name)

    def _tell_own(self, found: Mapping[str, FactValue]) -> None:
        """What was found of one recipient stands before what holds for all, until the next is judged."""
        if not found and not self._displaced:
            return
        own = {name: value for name, value in found.items() if name.partition(".")[0] in self.policy.counting}
        changed = {**self._displaced, **own}
        self._displaced = {name: self._displaced[name] if name in self._displaced else self._lookup(name) for name in own}
        self._known.update(changed)
        for root in {name.partition(".")[0] for name in changed}:
            self._variables.changed(root)

    def _scored(self, score: float) -> None:
        self._known["score"] = score
        self._variables.changed("score")

    def _lookup(self, name: str) -> FactValue:
        spec = self.policy.vocabulary.facts.get(name)
        return self._known.get(name, "" if spec is None else spec.default)

    def _mute(self, plugin: str, status: str) -> None:
        """A plugin in shadow or off is recorded and never counted: its facts keep their defaults."""
        prefix = plugin + "."
        for name in [name for name in self._known if name.startswith(prefix)]:
            del self._known[name]
        self._known[prefix + "status"] = status


def recipient_facts(recipient: RecipientFacts) -> dict[str, FactValue]:
    """The `recipient.*` facts."""
    return {
        "recipient.address": recipient.address,
        "recipient.domain": recipient.domain,
        "recipient.local_part": recipient.local_part,
        "recipient.tag": recipient.tag,
        "recipient.mailboxes": recipient.mailboxes,
        "recipient.groups": recipient.groups,
        "recipient.is_local": recipient.is_local,
    }
