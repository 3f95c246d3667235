"""What would another policy have changed, over many messages? Each is judged anew elsewhere; here it is counted."""

from collections import Counter
from dataclasses import dataclass

from mailward.decisions.changes import Change, Tally, change_of, differs
from mailward.model.decision import DecisionRecord, RecipientDecision
from mailward.policy.replay import Replayed


@dataclass(frozen=True, slots=True)
class Example:
    """One recipient of one message: what it got, and what it would have got."""

    record: DecisionRecord
    was: RecipientDecision
    now: RecipientDecision

    @property
    def change(self) -> Change:
        return change_of(self.was, self.now)


class ReplayReport:
    """Takes records, the newest first, and keeps numbers and some of the worst messages.

    judged_by: policy hash -> messages. tally.messages: those of which the outcome is known.
    """

    def __init__(self, limit: int) -> None:
        """limit: how many recipients are kept to be shown, of each kind of change."""
        self._limit = limit
        self._examples: dict[Change, list[Example]] = {}
        self.tally = Tally()
        self.judged_by: Counter[str] = Counter()

    @property
    def messages(self) -> int:
        return self.judged_by.total()

    @property
    def changed(self) -> int:
        """Recipients."""
        return self.tally.changes.total()

    @property
    def examples(self) -> list[Example]:
        """The worst first, the newest first of these."""
        ordered = sorted(self._examples.items(), key=lambda item: item[0].order)
        return [example for _, examples in ordered for example in examples][: self._limit]

    def add(self, record: DecisionRecord, replayed: Replayed) -> None:
        """Count one message that a policy has judged."""
        self.judged_by[record.policy_hash] += 1
        if replayed.unknown:
            self.tally.not_known(replayed.unknown)
            return
        self.tally.messages += 1
        for was, now in zip(record.recipients, replayed.decisions, strict=True):
            if not differs(was, now):
                self.tally.same += 1
                continue
            change = change_of(was, now)
            self.tally.changes[change] += 1
            kept = self._examples.setdefault(change, [])
            if len(kept) < self._limit:
                kept.append(Example(record, was, now))
