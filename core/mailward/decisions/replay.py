"""What would another policy have changed, over many messages? Each is judged anew elsewhere; here it is counted."""

from collections import Counter
from dataclasses import dataclass

from mailward.decisions.changes import Tally, Worst, change_of, differs
from mailward.model.decision import DecisionRecord, RecipientDecision
from mailward.policy.replay import Replayed


@dataclass(frozen=True, slots=True)
class Example:
    """One recipient of one message: what it got, and what it would have got."""

    record: DecisionRecord
    was: RecipientDecision
    now: RecipientDecision


class ReplayReport:
    """Takes records, the newest first, and keeps numbers and some of the worst messages.

    judged_by: policy hash -> messages. tally.messages: those of which the outcome is known.
    """

    def __init__(self, limit: int) -> None:
        """limit: how many recipients are shown at most."""
        self.worst = Worst[Example](limit)
        self.tally = Tally()
        self.judged_by: Counter[str] = Counter()

    @property
    def messages(self) -> int:
        return self.judged_by.total()

    @property
    def changed(self) -> int:
        """Recipients."""
        return self.tally.changes.total()

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
            self.worst.keep(change, Example(record, was, now))
