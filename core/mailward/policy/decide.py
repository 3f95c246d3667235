"""How one verdict comes about: floor, rules, limits. Pure: the same policy and evidence always give the same ruling.

1. floor: the strongest of failed plugins' `on_error` and of what findings of `heed: true` plugins ask;
2. the first enforced rule with `then` that matches; 3. if none, the limits on the score; 4. else accept.
The result is the stronger of the floor and 2 to 4. A rule goes below the floor only for the plugins it overrides.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from msgspec import structs

from mailward.model import grounds as ground_words
from mailward.model.edits import AddHeader, Edit, PrefixSubject, RemoveHeader
from mailward.model.evidence import EvidenceSet, FactValue, HookCall, StoredFinding
from mailward.model.replies import DEFERRED, LOCAL_ERROR, REJECTED
from mailward.model.reply import Reply
from mailward.model.verdict import Source, Verdict
from mailward.policy.match import ConditionFailed
from mailward.policy.ruling import Ruling
from mailward.policy.stages import Stage
from mailward.policy.values import (
    AddHeaderAction,
    FlagAction,
    FolderAction,
    Limit,
    PluginPolicy,
    RemoveHeaderAction,
    Rule,
    ScoreAction,
    SubjectPrefixAction,
    View,
)
from mailward.policy.variables import Variables

Lookup = Callable[[str], FactValue]


@dataclass(frozen=True, slots=True)
class Grounds:
    """What the rules are judged on, for one recipient. variables: all facts, for conditions. known: those of their `needs`.

    cut: the facts that are longer than the variables have them. lookup: for texts. scored: told the score as conditions read it.
    """

    variables: Variables
    known: Mapping[str, FactValue]
    cut: frozenset[str]
    lookup: Lookup
    scored: Callable[[float], None]

    def meet(self, rule: Rule) -> bool:
        """Its condition holds. Raises ConditionFailed."""
        return rule.when.holds(self.variables, self.known, self.cut)


@dataclass(frozen=True, slots=True)
class FloorPart:
    """One reason for a floor. name: "antivirus failed" or "antivirus asks reject"."""

    plugin: str
    verdict: Verdict
    name: str
    where: str
    heeded: bool

    @property
    def ground(self) -> str:
        return ground_words.of_plugin(self.plugin) if self.heeded else ground_words.of_failed(self.plugin)


@dataclass(frozen=True, slots=True)
class Weighed:
    """What the evidence of one message comes to, the same for every recipient."""

    floor: tuple[FloorPart, ...]
    score: float
    symbols: tuple[str, ...]


def points_of(finding: StoredFinding, weights: Mapping[str, float]) -> float:
    """Points of its symbol times strength; 0 without a symbol."""
    if finding.symbol is None:
        return 0.0
    return weights.get(finding.symbol, 0.0) * min(1.0, max(0.0, finding.strength))


def weigh(evidence: EvidenceSet, plugins: Mapping[str, PluginPolicy], weights: Mapping[str, float]) -> Weighed:
    """Score, symbols and floor. What plugins in shadow have found, or such as are off, is passed over."""
    floor: dict[str, FloorPart] = {}
    symbols: dict[str, None] = {}
    score = 0.0
    failed = {
        name.removesuffix(".status") for name, value in evidence.facts.items() if value == "failed" and name.endswith(".status")
    }
    failed.update(call.plugin for call in evidence.calls if call.status == "failed")
    for name in sorted(failed):
        plugin = plugins.get(name)
        if plugin is not None and plugin.counts:
            floor[f"{name} failed"] = FloorPart(name, plugin.on_error, f"{name} failed", plugin.where, heeded=False)
    for call in evidence.calls:
        plugin = plugins.get(call.plugin)
        if plugin is None or not plugin.counts:
            continue
        for finding in call.findings:
            score += points_of(finding, weights)
            if finding.symbol is not None:
                symbols[finding.symbol] = None
            if plugin.heed and finding.asks is not None:
                label = f"{call.plugin} asks {finding.asks}"
                floor[label] = FloorPart(call.plugin, Verdict(finding.asks), label, plugin.where, heeded=True)
    return Weighed(tuple(floor.values()), _rounded(score), tuple(symbols))


def _rounded(score: float) -> float:
    """Without the dust of binary fractions, so that 0.1 + 0.2 reaches a limit of 0.3."""
    return round(score, 3) + 0.0


@dataclass(slots=True)
class _Gathered:
    """What rules have added on the way."""

    edits: list[Edit] = field(default_factory=list)
    folder: str | None = None
    flags: dict[str, None] = field(default_factory=dict)
    actions: list[str] = field(default_factory=list)
    alarms: list[str] = field(default_factory=list)


def decide_early(view: View, grounds: Grounds, recipient: str, stage: Stage) -> Ruling | None:
    """A rejection or deferral that is already certain at the mail or rcpt stage; None: go on."""
    for rule in view.early[stage]:
        try:
            if not grounds.meet(rule):
                continue
        except ConditionFailed as error:
            return _failed(rule, error, recipient)
        if rule.then not in (Verdict.REJECT, Verdict.TEMPFAIL):
            return None
        return Ruling(recipient, rule.then, 0.0, _source(rule), reply=_rule_reply(rule, grounds.lookup))
    return None


def decide(view: View, weighed: Weighed, grounds: Grounds, recipient: str) -> Ruling:
    """The verdict for one recipient at the message stage."""
    got = _Gathered()
    grounds.scored(weighed.score)
    scoring, score, failure = _added_points(view.scoring, grounds, weighed.score, got)
    grounds.scored(score)
    deciding: list[Rule] = []
    likely = view.likely(grounds.known)
    for place, rule in enumerate(likely, 1):
        if rule.then is not None and (deciding or failure is not None):
            continue
        try:
            matches = scoring[rule.name] if rule.name in scoring else grounds.meet(rule)
        except ConditionFailed as error:
            got.alarms.append(f"{rule.name} ({rule.where}): {error}")
            failure = failure or rule
            continue
        if not matches:
            continue
        _act(rule, grounds.lookup, got)
        if rule.then is not None:
            deciding = [rule, *_keeping_too(grounds, likely[place:])] if _keeps(rule) else [rule]
    return _ruling(view, weighed, grounds.lookup, recipient, score, deciding, failure, got)


def _added_points(
    rules: Sequence[Rule], grounds: Grounds, score: float, got: _Gathered
) -> tuple[dict[str, bool], float, Rule | None]:
    """Rules with `do: score` come first, so that every other rule sees the same score; they cannot read it themselves."""
    results: dict[str, bool] = {}
    failure: Rule | None = None
    for rule in rules:
        try:
            results[rule.name] = grounds.meet(rule)
        except ConditionFailed as error:
            results[rule.name] = False
            got.alarms.append(f"{rule.name} ({rule.where}): {error}")
            failure = failure or rule
        if results[rule.name]:
            score += sum(action.points for action in rule.actions if isinstance(action, ScoreAction))
    return results, _rounded(score), failure


def _ruling(
    view: View,
    weighed: Weighed,
    lookup: Lookup,
    recipient: str,
    score: float,
    deciding: Sequence[Rule],
    failure: Rule | None,
    got: _Gathered,
) -> Ruling:
    """deciding: the rule that decided, then those that would have kept the message without it; empty when none did."""
    decided = deciding[0] if deciding else None
    overridden = decided.override if decided is not None else frozenset()
    parts = [part for part in weighed.floor if part.plugin not in overridden]
    top = max(parts, key=lambda part: (part.verdict.strength, part.heeded), default=None)
    floor = Verdict.ACCEPT if top is None else top.verdict
    limit = next((one for one in view.limits if score >= one.points), None)
    answer: Reply | None
    if decided is not None and decided.then is not None:
        verdict, source, answer = decided.then, _source(decided), _rule_reply(decided, lookup)
    else:
        verdict, source = _by_limit(limit)
        answer = REJECTED if verdict is Verdict.REJECT else None
    if failure is not None and verdict.strength < Verdict.TEMPFAIL.strength:
        verdict, source, answer = Verdict.TEMPFAIL, _source(failure), LOCAL_ERROR
    if top is not None and floor.strength > verdict.strength:
        verdict, source = floor, Source("floor", top.name, top.where)
        answer = {Verdict.REJECT: REJECTED, Verdict.TEMPFAIL: LOCAL_ERROR}.get(floor)
    return Ruling(
        recipient=recipient,
        verdict=verdict,
        score=score,
        source=source,
        floor=floor,
        reply=answer,
        heeded=frozenset(part.plugin for part in parts if part.heeded and part.verdict is verdict is Verdict.REJECT),
        edits=tuple(got.edits),
        folder=got.folder,
        flags=tuple(got.flags),
        actions=tuple(got.actions),
        alarms=tuple(got.alarms),
        grounds=() if verdict not in _RESTING else _grounds(source, top, parts, deciding, limit),
    )


_RESTING = frozenset({Verdict.REJECT, Verdict.QUARANTINE, Verdict.DISCARD})
"""Verdicts whose grounds are of use: after them mail may be kept."""


def _grounds(
    source: Source, top: FloorPart | None, parts: Sequence[FloorPart], rules: Sequence[Rule], limit: Limit | None
) -> tuple[str, ...]:
    """What decided first, then all else that would have kept the message at least, though a rule has decided before it."""
    found = [(ground_words.of_rule(rule.name), rule.then) for rule in rules]
    found += [(part.ground, part.verdict) for part in parts]
    if limit is not None:
        found.append((ground_words.LIMITS, limit.verdict))
        if limit.verdict is Verdict.REJECT:
            found.append((ground_words.REFUSED_SCORE, limit.verdict))
    if source.kind == "floor" and top is not None:
        first = top.ground
    else:
        first = ground_words.LIMITS if source.kind == "limit" else ground_words.of_rule(source.name)
    keeping = (word for word, verdict in found if verdict is not None and verdict.strength >= Verdict.QUARANTINE.strength)
    return tuple(dict.fromkeys((first, *keeping)))


def _keeps(rule: Rule) -> bool:
    """Its verdict keeps a message from its mailbox."""
    return rule.then is not None and rule.then.strength >= Verdict.QUARANTINE.strength


def _keeping_too(grounds: Grounds, below: Sequence[Rule]) -> list[Rule]:
    """Those below the rule that decided that would have kept the message without it."""
    found = []
    for rule in below:
        if rule.then is None or not _may_meet(grounds, rule):
            continue
        if not _keeps(rule):
            break
        found.append(rule)
    return found


def _may_meet(grounds: Grounds, rule: Rule) -> bool:
    """Its condition holds, or nobody knows."""
    try:
        return grounds.meet(rule)
    except ConditionFailed:
        return True


def _by_limit(limit: Limit | None) -> tuple[Verdict, Source]:
    return (Verdict.ACCEPT, Source("default")) if limit is None else (limit.verdict, Source("limit", limit.name, limit.where))


def _rule_reply(rule: Rule, lookup: Lookup) -> Reply | None:
    if rule.reply is not None:
        return rule.reply.reply(lookup)
    return {Verdict.REJECT: REJECTED, Verdict.TEMPFAIL: DEFERRED}.get(rule.then) if rule.then is not None else None


def _source(rule: Rule) -> Source:
    return Source("rule", rule.name, rule.where)


def _failed(rule: Rule, error: ConditionFailed, recipient: str) -> Ruling:
    alarm = f"{rule.name} ({rule.where}): {error}"
    return Ruling(recipient, Verdict.TEMPFAIL, 0.0, _source(rule), reply=LOCAL_ERROR, alarms=(alarm,))


def _act(rule: Rule, lookup: Lookup, got: _Gathered) -> None:
    for action in rule.actions:
        match action:
            case AddHeaderAction(name, value):
                got.edits.append(AddHeader(name, value.fill(lookup)))
            case RemoveHeaderAction(name):
                got.edits.append(RemoveHeader(name))
            case SubjectPrefixAction(prefix):
                got.edits.append(PrefixSubject(prefix.fill(lookup)))
            case FolderAction(folder):
                got.folder = got.folder or folder
            case FlagAction(flag):
                got.flags[flag] = None
            case ScoreAction():
                pass
        got.actions.append(f"{rule.name}: {action_words(action)}")


def action_words(action: object) -> str:
    """What it adds, for people: "folder Lists/debian"."""
    match action:
        case AddHeaderAction(name, _):
            return f"add_header {name}"
        case RemoveHeaderAction(name):
            return f"remove_header {name}"
        case SubjectPrefixAction(prefix):
            return f"subject_prefix '{''.join(prefix.parts)}'"
        case FolderAction(folder):
            return f"folder {folder}"
        case FlagAction(flag):
            return f"flag {flag}"
        case ScoreAction(points):
            return f"score {points:+g}"
    raise TypeError(action)


def with_points(evidence: EvidenceSet, weights: Mapping[str, float]) -> EvidenceSet:
    """The same evidence with every finding's points filled in, for the decision record."""
    if not evidence.calls:
        return evidence
    return replace(evidence, calls=tuple(_with_points(call, weights) for call in evidence.calls))


def _with_points(call: HookCall, weights: Mapping[str, float]) -> HookCall:
    if not call.findings:
        return call
    findings = tuple(replace(finding, points=_rounded(points_of(finding, weights))) for finding in call.findings)
    return structs.replace(call, findings=findings)
