"""What would everything in shadow have changed, over many messages? The records say it of each; here they are added up.

Nothing is judged here: who looked in shadow, and what would have been with it, was found out when the message was judged.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from mailward.model.decision import DecisionRecord, RecipientDecision, WithIt

ALL = ("all", "")
"""Kind and name of everything in shadow together."""

_HARM = ("accept", "junk", "quarantine", "tempfail", "discard", "reject")
"""What a recipient gets, from the best to the worst: whoever discards tells nobody, but keeps a copy."""

Together = Literal["changed", "unchanged", "not known"]

_REASONS = 20
"""So many different reasons are told apart."""

_OTHER = "other reasons"


@dataclass(frozen=True, slots=True)
class Change:
    """What a recipient got and what it would have been. The same verdict twice: other header fields, folder or flags."""

    was: str
    now: str

    @property
    def order(self) -> tuple[int, int, int]:
        """Sorts the worst first: what is taken from people, then what would have come through, then what keeps its verdict."""
        was, now = _HARM.index(self.was), _HARM.index(self.now)
        if now > was:
            return (0, -now, was)
        return (1, -was, now) if now < was else (2, 0, 0)


@dataclass(slots=True)
class Tally:
    """One thing in shadow. messages: those of which it is known. unknown: why it is not -> messages. changes, same: recipients.

    where: of its newest message.
    """

    kind: str
    name: str
    where: str = ""
    messages: int = 0
    unknown: Counter[str] = field(default_factory=Counter)
    changes: Counter[Change] = field(default_factory=Counter)
    same: int = 0

    @property
    def worst_first(self) -> list[tuple[Change, int]]:
        return sorted(self.changes.items(), key=lambda item: item[0].order)

    def not_known(self, why: str) -> None:
        self.unknown[why if why in self.unknown or len(self.unknown) < _REASONS else _OTHER] += 1


@dataclass(frozen=True, slots=True)
class Example:
    """One recipient of one message. by: the things that do this by themselves; none: only several together do.

    together: what everything in shadow would have done; unless it is "changed", `with_it` is the worst that one thing would do.
    """

    record: DecisionRecord
    decision: RecipientDecision
    with_it: WithIt
    by: tuple[WithIt, ...]
    together: Together


class ShadowReport:
    """Takes records, the newest first, and keeps numbers and a few of the worst messages."""

    def __init__(self, limit: int) -> None:
        """limit: how many messages are kept to be shown."""
        self._limit = limit
        self.judged = 0
        self.in_shadow = 0
        self.policies: Counter[str] = Counter()
        self.together = Tally(*ALL)
        self._things: dict[tuple[str, str], Tally] = {}
        self._examples: dict[Change, list[Example]] = {}
        self.changed = 0  # recipients for whom one thing, or all of it, would have changed something

    @property
    def things(self) -> list[Tally]:
        """Each by itself, the worst first."""
        return sorted(
            self._things.values(),
            key=lambda tally: [(change.order, -count) for change, count in tally.worst_first] or [((3, 0, 0), 0)],
        )

    @property
    def unknown(self) -> int:
        """Messages of which something is not known."""
        return self.together.unknown.total()

    @property
    def examples(self) -> list[Example]:
        """The worst first, the newest first of these."""
        ordered = sorted(self._examples.items(), key=lambda item: item[0].order)
        return [example for _, examples in ordered for example in examples][: self._limit]

    def add(self, record: DecisionRecord) -> None:
        """Count one record. One that no policy made is passed over."""
        if not record.policy_hash:
            return
        self.judged += 1
        if not record.shadow:
            return
        self.in_shadow += 1
        self.policies[record.policy_hash] += 1
        unknown = [thing for thing in record.shadow if thing.unknown]
        for thing in record.shadow:
            tally = self._things.setdefault((thing.kind, thing.name), Tally(thing.kind, thing.name, thing.where))
            if thing.unknown:
                tally.not_known(thing.unknown)
            else:
                _count(tally, record, (thing.kind, thing.name))
        if unknown:
            self.together.not_known(f"{unknown[0].kind} {unknown[0].name}: {unknown[0].unknown}")
        else:
            _count(self.together, record, _together(record))
        self._keep(record, bool(unknown))

    def _keep(self, record: DecisionRecord, is_partly_known: bool) -> None:
        for decision in record.recipients:
            changes = {(one.kind, one.name): one for one in decision.shadow if _changed(decision, one)}
            alone = [one for key, one in changes.items() if key != ALL]
            together: Together = "not known" if is_partly_known else "changed" if _together(record) in changes else "unchanged"
            if together == "changed":
                with_it = changes[_together(record)]
            elif alone:
                with_it = min(alone, key=lambda one: _change(decision, one).order)
            else:
                continue
            self.changed += 1
            change = _change(decision, with_it)
            kept = self._examples.setdefault(change, [])
            if len(kept) < self._limit:
                by = tuple(one for one in alone if _change(decision, one) == change)
                kept.append(Example(record, decision, with_it, by, together))


def _together(record: DecisionRecord) -> tuple[str, str]:
    """Under which key a record says what everything together would have done: one thing is everything."""
    return ALL if len(record.shadow) > 1 else (record.shadow[0].kind, record.shadow[0].name)


def _count(tally: Tally, record: DecisionRecord, key: tuple[str, str]) -> None:
    tally.messages += 1
    for decision in record.recipients:
        found = next(_of(decision, key), None)
        if found is not None and _changed(decision, found):
            tally.changes[_change(decision, found)] += 1
        else:
            tally.same += 1


def _of(decision: RecipientDecision, key: tuple[str, str]) -> Iterator[WithIt]:
    return (one for one in decision.shadow if (one.kind, one.name) == key)


def _changed(decision: RecipientDecision, other: WithIt) -> bool:
    """The recipient would have noticed it: another score or another rule for the same verdict does not count."""
    return other.verdict != decision.verdict or _visible(other.actions) != _visible(decision.actions)


def _visible(actions: tuple[str, ...]) -> list[str]:
    """All but "NAME: score +2.5"."""
    return [action for action in actions if not action.partition(": ")[2].startswith("score ")]


def _change(decision: RecipientDecision, other: WithIt) -> Change:
    return Change(decision.verdict, other.verdict)
