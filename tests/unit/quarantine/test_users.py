"""What users may release: what an admin allows, and never malware, discards, refusals, or what is kept for others."""

from dataclasses import replace

import pytest

from mailward.model.decision import RecipientDecision
from mailward.model.ids import AccountId, QueueId
from mailward.quarantine import Held, UsersRelease, cause_of, is_cause

BOB = AccountId("b0b")
KEPT = Held(
    "a1:0",
    QueueId("a1"),
    0,
    "bob@example.org",
    "quarantine by limit quarantine, score 11",
    "2026-11-02T10:00:00.000Z",
    3,
    account=BOB,
    verdict="quarantine",
    cause="limits",
)
ALL = UsersRelease(frozenset({"limits", "rule:odd", "plugin:dmarc"}))


@pytest.mark.parametrize("cause", ["limits", "rule:odd", "plugin:dmarc"])
def test_a_user_releases_what_an_admin_allows_and_nothing_without(cause: str) -> None:
    held = replace(KEPT, cause=cause)
    assert ALL.why_not(held, BOB) == ""
    assert UsersRelease(frozenset({cause})).why_not(held, BOB) == ""
    assert UsersRelease(ALL.causes - {cause}).why_not(held, BOB).endswith("is for administrators")
    assert UsersRelease().why_not(held, BOB)


NEVER = {
    "T-AV-01: malware": ({"infected": True}, "malware"),
    "what an admin discards": ({"verdict": "discard", "cause": "rule:odd"}, "discards"),
    "what would have been refused": ({"verdict": "reject"}, "refused"),
    "what is kept for others": ({"account": "a11"}, "not kept for this user"),
    "what an earlier release kept": ({"account": "", "cause": ""}, "not kept for this user"),
    "what no decision kept": ({"cause": ""}, "nobody knows"),
    "mail for another server": ({"route": "relay"}, "no mailbox here"),
    "what a plugin could not look at": ({"cause": "plugin:dmarc failed"}, "for administrators"),
}


@pytest.mark.parametrize("changed, words", NEVER.values(), ids=NEVER)
def test_t_web_19_never(changed: dict[str, object], words: str) -> None:
    assert words in ALL.why_not(replace(KEPT, **changed), BOB)  # type: ignore[arg-type]


CAUSES = {("limit", "quarantine"): "limits", ("rule", "odd"): "rule:odd", ("floor", "dmarc"): "plugin:dmarc", ("core", "x"): ""}


@pytest.mark.parametrize("source", CAUSES)
def test_what_decided_is_one_word(source: tuple[str, str]) -> None:
    decision = RecipientDecision("bob@example.org", "quarantine", 1.0, *source, "inbound.yaml:1:1")
    assert cause_of(decision) == CAUSES[source]


def test_words_that_mean_something() -> None:
    assert all(is_cause(word) for word in ("limits", "rule:odd", "plugin:dmarc", "rule:a:b"))
    assert not any(is_cause(word) for word in ("", "limit", "limits:x", "rule:", "rules", "plugin", "floor:dmarc", "malware"))
