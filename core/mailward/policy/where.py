"""For which recipients of a message does a condition hold? Asked of its record, for searches: nothing is judged again.

What plugins in shadow have found counts here as all else does: a person looks for mail, and no policy decides about it.
"""

from collections.abc import Callable, Mapping

from mailward.model.decision import DecisionRecord, RecipientDecision
from mailward.model.errors import PolicyError, Problem
from mailward.model.evidence import FactValue
from mailward.policy.facts import comparable, is_cut
from mailward.policy.match import ConditionFailed, compile_condition
from mailward.policy.policy import Policy, recipient_facts
from mailward.policy.ruling import RecipientFacts
from mailward.policy.tokens import ConditionProblem
from mailward.policy.variables import Variables, group

_MISSING = ConditionProblem("it reads facts of a plugin that is not there")


class Where:
    """One condition, asked of many records that a policy of the same direction made."""

    def __init__(self, source: str, shown_as: str, policy: Policy, recipient: Callable[[str], RecipientFacts]) -> None:
        """shown_as: how problems call it. policy: whose facts and lists it may name. recipient: as for `Replay`.

        Raises PolicyError with every problem, in the words in which the policy would have them.
        """
        policy.lists.refresh()
        self._listed = policy.lists.listed
        condition, problems = compile_condition(source, policy.vocabulary, policy.lists.names, self._listed)
        if condition is None:
            raise PolicyError([Problem(shown_as, "", one.text, one.hint) for one in problems or [_MISSING]])
        self._condition = condition
        self._needed = group({name: policy.vocabulary.facts[name].default for name in condition.names})
        self._recipient = recipient

    def holds(
        self, record: DecisionRecord, decision: RecipientDecision, content: Callable[[], Mapping[str, FactValue]] = dict
    ) -> bool:
        """For this one of the record's recipients. content: facts that no record holds, asked for where they are needed.

        Raises ConditionFailed where neither says; the text says why.
        """
        facts = {
            **record.facts,
            **recipient_facts(self._recipient(decision.recipient)),
            **decision.facts,
            "score": decision.score,
            "symbols": tuple(dict.fromkeys(one.symbol for call in record.calls for one in call.findings if one.symbol)),
        }
        names = self._condition.names
        if names - facts.keys():
            facts |= content()
        if lacking := sorted(names - facts.keys()):
            raise ConditionFailed(f"the record does not hold {lacking[0]}")
        known = {name: comparable(facts[name]) for name, _ in self._condition.needs}
        cut = frozenset(name for name in names if is_cut(facts[name]))
        return self._condition.holds(Variables(self._needed, facts, self._listed), known, cut)
