"""Is it easier for whoever writes a certain sender? Anybody can, so an admin is warned."""

import math
from collections.abc import Collection, Sequence

from mailward.model.errors import Problem
from mailward.model.verdict import Verdict
from mailward.policy.directions import Direction
from mailward.policy.values import Limit, Override, Rule, ScoreAction


def forgeable(
    direction: Direction, overrides: Sequence[Override], limits: Sequence[Limit], plugins: Collection[str], below: Sequence[Rule]
) -> list[Problem]:
    """Overrides that make it easier for a sender whom anybody can name as his, wherever he is and whatever plugins have found.

    below: the rules that come after those of overrides. A rule makes it easier that takes points, accepts, or keeps one with a
    stronger verdict from being asked. That a plugin has looked proves nothing.
    """
    usual = {limit.verdict: limit.points for limit in limits}
    found = []
    for one in overrides if direction == "inbound" else ():
        milder = any(limit.points > usual.get(limit.verdict, math.inf) for limit in one.limits)
        easing = (
            rule for place, rule in enumerate(one.rules, 1) if _eases(rule, [*one.rules[place:], *below]) or _takes_points(rule)
        )
        unproven = any(not any(_is_found(name, plugins) for name in rule.when.names) for rule in easing)
        if one.scope.sender is not None and one.scope.network is None and (milder or one.removed or unproven):
            text = "anybody may write this sender, and it is easier for him"
            hint = 'Add network: to `for:`, or ease by a rule that asks for proof: dmarc.result == "pass".'
            found.append(Problem(one.where, f"overrides.{one.name}.for.sender", text, hint))
    return found


def _eases(rule: Rule, below: Sequence[Rule]) -> bool:
    """Does it keep a stronger verdict from being asked for?"""
    if rule.then is None or rule.then is Verdict.DISCARD:
        return False
    return rule.then is Verdict.ACCEPT or any(one.then is not None and one.then.strength > rule.then.strength for one in below)


def _is_found(fact: str, plugins: Collection[str]) -> bool:
    """By a plugin, of the mail."""
    plugin, _, name = fact.partition(".")
    return plugin in plugins and name != "status"


def _takes_points(rule: Rule) -> bool:
    return any(isinstance(action, ScoreAction) and action.points < 0 for action in rule.actions)
