"""What can a policy of each direction say? The stages at which it is asked, the verdicts it can come to, the keys it may use.

`inbound` and `submission` judge messages, `access` judges logins. `outbound` chooses and sets plugins; nothing is judged there.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

from mailward.model.verdict import Verdict
from mailward.policy.stages import Stage

Direction = Literal["inbound", "submission", "outbound", "access"]
DIRECTIONS: tuple[Direction, ...] = get_args(Direction)


@dataclass(frozen=True, slots=True)
class DirectionRules:
    """stages: in order, none where nothing is judged. verdicts: of rules, limits and `on_error`.

    missing: the keys of a file that mean nothing here yet -> what to do instead. modes: of plugins.
    unscoped: the keys of `for:` that can never hold here -> why, and what to do instead.
    """

    stages: tuple[Stage, ...]
    verdicts: frozenset[Verdict]
    missing: Mapping[str, str]
    modes: frozenset[str]
    unscoped: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    @property
    def last(self) -> Stage | None:
        """The stage at which the verdict is certain."""
        return self.stages[-1] if self.stages else None


_MESSAGES = DirectionRules(("mail", "rcpt", "message"), frozenset(Verdict), {}, frozenset({"enforce", "shadow", "canary", "off"}))
_ONLY_PLUGINS = "An outbound policy only has `plugins:`. Judge mail in submission.yaml, before it is taken."
_SOME_LOGINS = "Write network: or listener:."
_NOT_SAID = "Word the replies of a login in submission.yaml."

RULES: Mapping[Direction, DirectionRules] = {
    "inbound": replace(_MESSAGES, unscoped={"identity": ("whoever sends here has not logged in", "It is known in submission.")}),
    "submission": _MESSAGES,
    "outbound": DirectionRules(
        (),
        frozenset({Verdict.TEMPFAIL, Verdict.ACCEPT}),
        dict.fromkeys(("scores", "limits", "rules", "overrides", "tests", "lists", "replies"), _ONLY_PLUGINS),
        frozenset({"enforce", "off"}),
    ),
    "access": DirectionRules(
        ("auth",),
        frozenset({Verdict.REJECT, Verdict.TEMPFAIL, Verdict.ACCEPT}),
        {"replies": _NOT_SAID},
        frozenset({"enforce", "off"}),
        {
            "recipient": ("a login has no recipient", _SOME_LOGINS),
            "sender": ("a login has no sender", _SOME_LOGINS),
            "identity": ("a login is judged before anybody has proved who he is", _SOME_LOGINS),
        },
    ),
}
