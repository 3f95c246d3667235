"""The checked, typed parts of a policy: what `load` makes and `decide` reads. All frozen, all text compiled."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from mailward.api.plugin import Plugin, Settings
from mailward.model.evidence import FactValue
from mailward.model.verdict import Verdict
from mailward.policy.canary import Canary
from mailward.policy.match import Condition
from mailward.policy.scope import Scope
from mailward.policy.stages import STAGES, Stage
from mailward.policy.texts import ReplyText, Template

Mode = Literal["enforce", "shadow", "canary", "off"]


@dataclass(frozen=True, slots=True)
class PluginPolicy:
    """How this policy uses one plugin.

    timeout_s: limit of one hook call. on_error: what a failed call counts as. heed: what its findings ask for counts.
    optional: it may be missing. order: place among the plugins that edit, lowest first. declaration: None when it is missing.
    where: "file:line:column" of its entry. isolated: it runs in a process of its own.
    canary: for which mail it counts; None: it is none.
    """

    name: str
    mode: Mode
    timeout_s: float
    on_error: Verdict
    heed: bool
    optional: bool
    order: int
    settings: Settings
    declaration: Plugin | None
    where: str
    isolated: bool = False
    canary: Canary | None = None

    @property
    def counts(self) -> bool:
        """Its findings and failures have a say."""
        return self.mode == "enforce"


@dataclass(frozen=True, slots=True)
class AddHeaderAction:
    """`add_header: {name: X-Note, value: text}`."""

    name: str
    value: Template


@dataclass(frozen=True, slots=True)
class RemoveHeaderAction:
    """`remove_header: X-Note`."""

    name: str


@dataclass(frozen=True, slots=True)
class SubjectPrefixAction:
    """`subject_prefix: "[external] "`."""

    prefix: Template


@dataclass(frozen=True, slots=True)
class FolderAction:
    """`folder: Lists/debian`: the mailbox of an accepted message; the first one that matches wins."""

    folder: str


@dataclass(frozen=True, slots=True)
class FlagAction:
    """`flag: \\Flagged`."""

    flag: str


@dataclass(frozen=True, slots=True)
class ScoreAction:
    """`score: 2.5`: points beside those of the findings."""

    points: float


Action = AddHeaderAction | RemoveHeaderAction | SubjectPrefixAction | FolderAction | FlagAction | ScoreAction


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. stage: the earliest at which all its facts are known, or where `at:` pins it (pinned).

    then: None when it only adds actions. override: plugins whose floor this rule may go below.
    canary: for which mail it counts; None: it is none. Until it is known that it counts it is in shadow.
    """

    name: str
    where: str
    when: Condition
    then: Verdict | None
    actions: tuple[Action, ...]
    reply: ReplyText | None
    stage: Stage
    pinned: bool
    shadow: bool
    override: frozenset[str]
    canary: Canary | None = None

    @property
    def reads(self) -> frozenset[str]:
        """The facts that its condition and its texts name."""
        texts = [] if self.reply is None else [self.reply.template]
        for action in self.actions:
            match action:
                case AddHeaderAction(value=text) | SubjectPrefixAction(prefix=text):
                    texts.append(text)
        return frozenset(self.when.names).union(*(text.names for text in texts))

    @property
    def adds_points(self) -> bool:
        return any(isinstance(action, ScoreAction) for action in self.actions)


@dataclass(frozen=True, slots=True)
class Limit:
    """From `points` on, the verdict. name: "limits.junk 5"."""

    verdict: Verdict
    points: float
    name: str
    where: str


@dataclass(frozen=True, slots=True)
class View:
    """The policy as it holds for one recipient, or for all at MAIL. rules: as they are judged. limits: strongest verdict first.

    judged: those rules that are not in shadow. scoring: those of them that add points.
    by_need: fact -> value -> places of judged rules that need it first; anyway: places of those that need nothing.
    early: stage -> the rules that can decide there, were it not the last.
    """

    rules: tuple[Rule, ...]
    limits: tuple[Limit, ...]
    overrides: tuple[str, ...]
    judged: tuple[Rule, ...]
    scoring: tuple[Rule, ...]
    by_need: Mapping[str, Mapping[FactValue, Sequence[int]]]
    anyway: Sequence[int]
    early: Mapping[Stage, Sequence[Rule]]

    @classmethod
    def of(cls, rules: tuple[Rule, ...], limits: tuple[Limit, ...], overrides: tuple[str, ...]) -> "View":
        """With what follows from the rules."""
        judged = tuple(rule for rule in rules if not rule.shadow)
        by_need: dict[str, dict[FactValue, list[int]]] = {}
        anyway: list[int] = []
        for place, rule in enumerate(judged):
            if rule.when.needs:
                name, value = rule.when.needs[0]
                by_need.setdefault(name, {}).setdefault(value, []).append(place)
            else:
                anyway.append(place)
        scoring = tuple(rule for rule in judged if rule.adds_points)
        early = {stage: _deciding_at(stage, judged) for stage in STAGES}
        return cls(rules, limits, overrides, judged, scoring, by_need, anyway, early)

    def likely(self, known: Mapping[str, FactValue]) -> list[Rule]:
        """The judged rules but those that need what is not so, in order: with many rules hardly any is left to evaluate."""
        places = [*self.anyway]
        for name, by_value in self.by_need.items():
            places += by_value.get(known[name], ())
        places.sort()
        return [self.judged[place] for place in places]


def _deciding_at(stage: Stage, judged: Sequence[Rule]) -> Sequence[Rule]:
    """Those whose facts are complete while no rule above them can still match first; `at:` pins one to its stage."""
    now, waiting, found = STAGES.index(stage), False, []
    for rule in judged:
        if rule.then is None:
            continue
        if STAGES.index(rule.stage) > now:
            waiting = True
        elif rule.stage == stage if rule.pinned else not waiting:
            found.append(rule)
    return found


@dataclass(frozen=True, slots=True)
class Override:
    """Rules and limits for some mail, or for some logins. where: "file:line:column"."""

    name: str
    where: str
    scope: Scope
    rules: tuple[Rule, ...]
    removed: frozenset[str]
    limits: tuple[Limit, ...]
