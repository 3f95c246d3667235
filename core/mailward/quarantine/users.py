"""May this user let go what is kept for him? By what decided it, as far as an admin allows it in mailward.yaml.

What decided is one word, the same in mailward.yaml, in the index and on the command line: "limits" (the score was too high),
"rule:NAME", or "plugin:NAME" (a plugin whose objection is heeded whatever the score).
"""

from dataclasses import dataclass

from mailward.model.decision import RecipientDecision
from mailward.model.ids import AccountId
from mailward.model.verdict import Verdict
from mailward.quarantine.held import Held

LIMITS = "limits"
_NAMED = {"rule": "rule", "floor": "plugin"}
"""The kind of a decision's source, and what it is called here."""


def cause_of(decision: RecipientDecision) -> str:
    """The word for what decided; "" for what is none of these, such as the core itself."""
    if decision.source_kind == "limit":
        return LIMITS
    kind = _NAMED.get(decision.source_kind)
    return f"{kind}:{decision.source_name}" if kind else ""


def is_cause(word: str) -> bool:
    """Is it such a word, whether or not there is a rule or a plugin of that name?"""
    kind, _, name = word.partition(":")
    return word == LIMITS or (kind in _NAMED.values() and bool(name))


@dataclass(frozen=True, slots=True)
class UsersRelease:
    """What users may release of what is kept for them. causes: what it was decided by."""

    causes: frozenset[str] = frozenset()

    def why_not(self, held: Held, account: AccountId) -> str:
        """Why this account's user may not release the entry, in plain words; "" when he may.

        Never malware, never what an admin discards, never what would have been refused: those are for admins, and so is what
        no decision is known of. Nobody hears anything about what is kept for others.
        """
        if held.account != account:
            return "it is not kept for this user"
        if held.infected:
            return "it carries malware"
        if held.verdict == Verdict.DISCARD.value:
            return "a rule discards it"
        if held.verdict == Verdict.REJECT.value:
            return "it would have been refused, had it been for this user alone"
        if held.route != "mailbox":
            return "it leads to no mailbox here"
        if not held.cause:
            return "nobody knows which rule decided about it"
        if held.cause not in self.causes:
            return f"mail that is kept by {caused(held.cause)} is for administrators"
        return ""


def caused(cause: str) -> str:
    """In words: "rule odd" ..."""
    return "its score" if cause == LIMITS else cause.replace(":", " ", 1)
