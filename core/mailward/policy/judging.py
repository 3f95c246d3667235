"""What does a message come to that is judged once more, where some of its recipients would have been refused before it came?"""

from collections.abc import Sequence
from dataclasses import replace

from mailward.policy.policy import Case, judge_all
from mailward.policy.ruling import RecipientFacts, Ruling, combine, separate

BY_THE_SERVER = "the server itself decided, not the policy"
"""Why it is not known what a policy would have made of it."""


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
