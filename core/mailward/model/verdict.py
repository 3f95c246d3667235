"""Verdicts and their strength (design: reject, tempfail, quarantine, junk, accept)."""

import enum
from dataclasses import dataclass


class Verdict(enum.Enum):
    """What becomes of one message for one recipient."""

    REJECT = "reject"
    TEMPFAIL = "tempfail"
    QUARANTINE = "quarantine"
    JUNK = "junk"
    ACCEPT = "accept"
    DISCARD = "discard"
    """Only from an admin's own rule; a copy is kept in the quarantine."""

    @property
    def strength(self) -> int:
        """0 is the weakest (accept); the stronger of two verdicts wins."""
        return _STRENGTH[self]


_STRENGTH = {
    Verdict.ACCEPT: 0,
    Verdict.DISCARD: 0,
    Verdict.JUNK: 1,
    Verdict.QUARANTINE: 2,
    Verdict.TEMPFAIL: 3,
    Verdict.REJECT: 4,
}


def strongest(*verdicts: Verdict) -> Verdict:
    """The strongest of at least one verdict."""
    return max(verdicts, key=lambda v: v.strength)


@dataclass(frozen=True, slots=True)
class Source:
    """What decided: kind is rule, limit, floor or default; name the rule's, limit's or plugin's; where "file:line:column"."""

    kind: str
    name: str = ""
    where: str = ""
