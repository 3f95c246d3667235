"""A condition asked of decision records: the policy's own errors, a recipient's own facts, and what no record says."""

from pathlib import Path

import pytest

from mailward.model.decision import DecisionRecord, RecipientDecision
from mailward.model.errors import PolicyError
from mailward.model.evidence import FactValue, HookCall, StoredFinding
from mailward.model.ids import QueueId
from mailward.policy import Policy, RecipientFacts, load_policy
from mailward.policy.facts import MAX_TEXT
from mailward.policy.match import ConditionFailed
from mailward.policy.where import Where
from support.small_plugins import PLUGINS, STAGES

ANN, BOB = (
    RecipientDecision(f"{name}@example.org", "accept", score, "limit", "", "", facts=facts)
    for name, score, facts in (("ann", 1.5, {"acme_dlp.cards": 7}), ("bob", 4.0, {}))
)


@pytest.fixture
def policy(tmp_path: Path) -> Policy:
    (tmp_path / "bad.txt").write_text("phish.example\n")
    path = tmp_path / "inbound.yaml"
    path.write_text(
        "version: 1\nplugins: {acme_dlp: {mode: shadow}}\nlists: {bad: {type: domain, file: bad.txt}}\n", encoding="utf-8"
    )
    return load_policy(path, PLUGINS, stages=STAGES, shown_as="inbound.yaml")


def where(policy: Policy, source: str) -> Where:
    def facts(name: str) -> RecipientFacts:
        local_part, _, domain = name.partition("@")
        return RecipientFacts(name, domain, local_part, groups=("finance",) if local_part == "bob" else ())

    return Where(source, "--where", policy, facts)


def record(**facts: FactValue) -> DecisionRecord:
    call = HookCall(
        "acme_dlp",
        "1",
        "inspect_message",
        "message",
        1.0,
        "shadow",
        None,
        (StoredFinding("acme_dlp", "ACME_DLP_CARDS", "7 cards"),),
    )
    return DecisionRecord(
        id=QueueId("q1"),
        received_at="2026-03-01T12:00:00.000Z",
        direction="inbound",
        reverse_path="a@phish.example",
        size_octets=1,
        calls=(call,),
        facts={"author.domain": "phish.example", "acme_dlp.cards": 0, **{k.replace("__", "."): v for k, v in facts.items()}},
        recipients=(ANN, BOB),
    )


@pytest.mark.parametrize(
    ("source", "for_whom"),
    [
        ('author.domain == "phish.example"', "ann bob"),
        ('author.domain.listed("bad") && recipient.local_part == "bob"', "bob"),
        ('"finance" in recipient.groups', "bob"),
        ("score >= 4", "bob"),
        ("acme_dlp.cards > 5", "ann"),  # found of her alone
        ('"ACME_DLP_CARDS" in symbols', "ann bob"),  # in shadow, and a search finds it
        ("false", ""),
    ],
)
def test_it_holds_for_each_recipient_by_what_the_record_says_of_it(policy: Policy, source: str, for_whom: str) -> None:
    asked = where(policy, source)
    assert [d.recipient.partition("@")[0] for d in (ANN, BOB) if asked.holds(record(), d)] == for_whom.split()


def test_its_errors_are_those_of_a_rule(policy: Policy) -> None:
    with pytest.raises(PolicyError) as caught:
        where(policy, 'author.domian == "x" && author.domain.listed("worse")')
    assert [(one.where, one.text) for one in caught.value.problems] == [
        ("--where", "no list is called 'worse'"),
        ("--where", "no fact is called 'author.domian'"),
    ]
    assert "Did you mean 'author.domain'?" in str(caught.value)


def test_what_no_record_says_is_not_known_and_neither_yes_nor_no(policy: Policy) -> None:
    with pytest.raises(ConditionFailed, match=r"does not hold message\.subject"):
        where(policy, 'message.subject == "x"').holds(record(), ANN)
    assert where(policy, 'message.subject == "x"').holds(record(), ANN, lambda: {"message.subject": "x"})
    long = record(message__subject="x" * (MAX_TEXT + 1))
    with pytest.raises(ConditionFailed, match="longer than conditions read"):
        where(policy, 'message.subject.contains("y")').holds(long, ANN)
