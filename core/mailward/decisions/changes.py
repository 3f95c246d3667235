"""How would people's mail have been treated otherwise? A change of one recipient's, and many of them added up."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from mailward.model.decision import RecipientDecision, WithIt

Decided = RecipientDecision | WithIt
_Example = TypeVar("_Example")

_HARM = ("accept", "junk", "quarantine", "tempfail", "discard", "reject")
"""What a recipient gets, from the best to the worst: whoever discards tells nobody, but keeps a copy."""

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
    """What one thing would change. messages: those of which it is known. unknown: why it is not -> messages.

    changes, same: recipients.
    """

    messages: int = 0
    unknown: Counter[str] = field(default_factory=Counter)
    changes: Counter[Change] = field(default_factory=Counter)
    same: int = 0

    @property
    def worst_first(self) -> list[tuple[Change, int]]:
        return sorted(self.changes.items(), key=lambda item: item[0].order)

    def not_known(self, why: str) -> None:
        self.unknown[why if why in self.unknown or len(self.unknown) < _REASONS else _OTHER] += 1


class Worst(Generic[_Example]):
    """Examples of changes, told the newest first. limit: how many are shown at most."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._kept: dict[Change, list[_Example]] = {}

    def keep(self, change: Change, example: _Example) -> None:
        """Unless there are as many of the same change already as are shown."""
        kept = self._kept.setdefault(change, [])
        if len(kept) < self._limit:
            kept.append(example)

    @property
    def shown(self) -> list[_Example]:
        """The worst first, the newest first of these."""
        ordered = sorted(self._kept.items(), key=lambda item: item[0].order)
        return [example for _, kept in ordered for example in kept][: self._limit]


def differs(decision: RecipientDecision, other: Decided) -> bool:
    """The recipient would have noticed it: another score or another rule for the same verdict does not count."""
    return other.verdict != decision.verdict or _visible(other.actions) != _visible(decision.actions)


def _visible(actions: tuple[str, ...]) -> list[str]:
    """All but "NAME: score +2.5"."""
    return [action for action in actions if not action.partition(": ")[2].startswith("score ")]


def change_of(decision: RecipientDecision, other: Decided) -> Change:
    """From what was decided to the other one."""
    return Change(decision.verdict, other.verdict)
