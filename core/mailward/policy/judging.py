"""What does one message come to for several recipients, each under its own side of a policy? Judged now, or once more."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from mailward.model.errors import LocalError
from mailward.model.evidence import EvidenceSet, FactValue
from mailward.policy.policy import Case, Policy
from mailward.policy.ruling import RecipientFacts, Ruling, combine, separate

BY_THE_SERVER = "the server itself decided, not the policy"
"""Why it is not known what a policy would have made of it."""


def cases_of(policies: Sequence[Policy], facts: Mapping[str, FactValue], evidence: EvidenceSet) -> list[Case]:
    """One message, by the policy that holds for each of its recipients; what several share is prepared once."""
    made: dict[int, Case] = {}
    for policy in policies:
        if id(policy) not in made:
            made[id(policy)] = Case(policy, facts, evidence)
    return [made[id(policy)] for policy in policies]


def judge_all(cases: Sequence[Case], recipients: Sequence[RecipientFacts]) -> list[Ruling]:
    """What each recipient's own case comes to at the last stage, in order.

    A rejection that a plugin asked for is one for all only where the plugin counts for all of them.
    """
    rulings = []
    for case, recipient in zip(cases, recipients, strict=True):
        ruling = case.judge(recipient, stage="message")
        if ruling is None:
            raise LocalError("the policy gave no ruling at the message stage")
        rulings.append(ruling)
    if any(case is not cases[0] for case in cases):
        for_all = frozenset.intersection(*(case.policy.counting for case in cases))
        rulings = [replace(ruling, heeded=ruling.heeded & for_all) for ruling in rulings]
    return rulings


def refused_early(case: Case, recipient: RecipientFacts | None) -> Ruling | None:
    """What MAIL or RCPT would have been answered when that is a refusal. recipient: None where there was none yet."""
    policy = case.policy
    ruling = case.judge(None, stage="mail") if policy.may_end_at("mail") else None
    if ruling is None and recipient is not None and policy.may_end_at("rcpt"):
        ruling = case.judge(recipient, stage="rcpt")
    return ruling


def judge_taken(
    cases: Sequence[Case], recipients: Sequence[RecipientFacts], refused: Sequence[Ruling | None], *, each: bool
) -> list[Ruling]:
    """What each recipient would have got, in order. Those who are refused have no part in the reply of the others.

    cases, refused: of each recipient, the latter None where the message is taken. each: every recipient has a reply of its own.
    """
    taken = [index for index, early in enumerate(refused) if early is None]
    found = judge_all([cases[index] for index in taken], [recipients[index] for index in taken])
    answered = iter((separate if each else combine)(found).rulings if found else ())
    return [
        next(answered) if early is None else replace(early, recipient=who.address)
        for early, who in zip(refused, recipients, strict=True)
    ]
