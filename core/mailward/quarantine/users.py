"""May this user let go what is kept for him? By all that the decision rests on, as far as an admin allows it in mailward.yaml."""

from dataclasses import dataclass

from mailward.model.grounds import in_words, is_cause
from mailward.model.ids import AccountId
from mailward.model.verdict import Verdict
from mailward.quarantine.held import Held


@dataclass(frozen=True, slots=True)
class UsersRelease:
    """What users may release of what is kept for them. causes: words of `model.grounds` that an admin allows."""

    causes: frozenset[str] = frozenset()

    @staticmethod
    def can_allow(word: str) -> bool:
        """May an admin allow it? Never what a plugin could not look at."""
        return is_cause(word) and not word.startswith("failed:")

    def why_not(self, held: Held, account: AccountId) -> str:
        """Why this account's user may not release the entry, in plain words; "" when he may.

        Never malware, never what an admin discards, never what would have been refused: those are for admins, and so is what
        no decision is known of. Everything that would have kept it must be allowed, not only what came first. Nobody hears
        anything about what is kept for others.
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
        if not held.grounds:
            return "nobody knows all that it was kept by"
        refused = next((word for word in held.grounds.split("\n") if word not in self.causes), None)
        return f"mail that is kept by {in_words(refused)} is for administrators" if refused is not None else ""
