"""What would everything in shadow have changed, over many messages? The records say it of each; here they are added up.

Nothing is judged here: who looked in shadow, and what would have been with it, was found out when the message was judged.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from mailward.decisions.changes import Tally, Worst, change_of, differs
from mailward.model.decision import DecisionRecord, RecipientDecision, WithIt

ALL = ("all", "")
"""Kind and name of everything in shadow together."""

Together = Literal["changed", "unchanged", "not known"]


@dataclass(slots=True)
class ThingTally(Tally):
    """Of one thing in shadow. where: of its newest message."""

    kind: str = ""
    name: str = ""
    where: str = ""


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
        """limit: how many recipients are shown at most."""
        self.judged = 0
        self.in_shadow = 0
        self.policies: Counter[str] = Counter()
        self.together = Tally()
        self._things: dict[tuple[str, str], ThingTally] = {}
        self.worst = Worst[Example](limit)
        self.changed = 0  # recipients for whom one thing, or all of it, would have changed something

    @property
    def things(self) -> list[ThingTally]:
        """Each by itself, the worst first."""
        return sorted(
            self._things.values(),
            key=lambda tally: [(change.order, -count) for change, count in tally.worst_first] or [((3, 0, 0), 0)],
        )

    @property
    def unknown(self) -> int:
        """Messages of which something is not known."""
        return self.together.unknown.total()

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
            tally = self._things.setdefault(
                (thing.kind, thing.name), ThingTally(kind=thing.kind, name=thing.name, where=thing.where)
            )
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
            changes = {(one.kind, one.name): one for one in decision.shadow if differs(decision, one)}
            alone = [one for key, one in changes.items() if key != ALL]
            together: Together = "not known" if is_partly_known else "changed" if _together(record) in changes else "unchanged"
            if together == "changed":
                with_it = changes[_together(record)]
            elif alone:
                with_it = min(alone, key=lambda one: change_of(decision, one).order)
            else:
                continue
            self.changed += 1
            change = change_of(decision, with_it)
            by = tuple(one for one in alone if change_of(decision, one) == change)
            self.worst.keep(change, Example(record, decision, with_it, by, together))


def _together(record: DecisionRecord) -> tuple[str, str]:
    """Under which key a record says what everything together would have done: one thing is everything."""
    return ALL if len(record.shadow) > 1 else (record.shadow[0].kind, record.shadow[0].name)


def _count(tally: Tally, record: DecisionRecord, key: tuple[str, str]) -> None:
    tally.messages += 1
    for decision in record.recipients:
        found = next(_of(decision, key), None)
        if found is not None and differs(decision, found):
            tally.changes[change_of(decision, found)] += 1
        elif not _has_it(record, decision.recipient, key):
            tally.same += 1


def _has_it(record: DecisionRecord, recipient: str, key: tuple[str, str]) -> bool:
    """It did count for this recipient: a canary that is for some, or nothing but such."""
    keys = {(thing.kind, thing.name) for thing in record.shadow} if key == ALL else {key}
    return keys <= {(one.kind, one.name) for one in record.canaries if one.counted_for(recipient)}


def _of(decision: RecipientDecision, key: tuple[str, str]) -> Iterator[WithIt]:
    return (one for one in decision.shadow if (one.kind, one.name) == key)
