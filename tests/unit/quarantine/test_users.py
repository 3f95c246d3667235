"""What users may release: what an admin allows, and never malware, discards, refusals, or what is kept for others."""

from dataclasses import replace

import pytest

from mailward.model.grounds import is_cause
from mailward.model.ids import AccountId, QueueId
from mailward.quarantine import Held, UsersRelease

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
    grounds="limits",
)
ALL = UsersRelease(frozenset({"limits", "rule:odd", "plugin:dmarc"}))


@pytest.mark.parametrize("cause", ["limits", "rule:odd", "plugin:dmarc"])
def test_a_user_releases_what_an_admin_allows_and_nothing_without(cause: str) -> None:
    held = replace(KEPT, cause=cause, grounds=cause)
    assert ALL.why_not(held, BOB) == ""
    assert UsersRelease(frozenset({cause})).why_not(held, BOB) == ""
    assert UsersRelease(ALL.causes - {cause}).why_not(held, BOB).endswith("is for administrators")
    assert UsersRelease().why_not(held, BOB)


NEVER = {
    "T-AV-01: malware": ({"infected": True}, "malware"),
    "what an admin discards": ({"verdict": "discard", "cause": "rule:odd"}, "discards"),
    "what would have been refused": ({"verdict": "reject"}, "refused"),
    "what is kept for others": ({"account": "a11"}, "not kept for this user"),
    "what an earlier release kept": ({"account": "", "cause": "", "grounds": ""}, "not kept for this user"),
    "what no decision kept": ({"cause": "", "grounds": ""}, "nobody knows"),
    "what was kept before grounds were": ({"grounds": ""}, "nobody knows"),
    "mail for another server": ({"route": "relay"}, "no mailbox here"),
    "what a plugin could not look at": ({"grounds": "failed:dmarc"}, "for administrators"),
    "what a rule kept before a plugin that objects": ({"grounds": "rule:odd\nplugin:other"}, "kept by plugin other is"),
    "what a rule kept, and a plugin failed": ({"grounds": "rule:odd\nfailed:antivirus"}, "plugin antivirus, which failed"),
    "what a rule kept, and its score is refused": ({"grounds": "rule:odd\nlimits\nlimits.reject"}, "at which mail is refused"),
}


@pytest.mark.parametrize("changed, words", NEVER.values(), ids=NEVER)
def test_t_web_19_never(changed: dict[str, object], words: str) -> None:
    assert words in ALL.why_not(replace(KEPT, **changed), BOB)  # type: ignore[arg-type]


def test_all_that_it_was_kept_by_must_be_allowed() -> None:
    held = replace(KEPT, cause="rule:odd", grounds="rule:odd\nplugin:dmarc\nlimits")
    assert ALL.why_not(held, BOB) == ""
    for word in ALL.causes:
        assert UsersRelease(ALL.causes - {word}).why_not(held, BOB).endswith("is for administrators")


def test_words_that_mean_something() -> None:
    assert all(is_cause(word) for word in ("limits", "rule:odd", "plugin:dmarc", "rule:a:b", "failed:antivirus"))
    assert not any(
        is_cause(word)
        for word in ("", "limit", "limits:x", "rule:", "rules", "plugin", "floor:dmarc", "malware", "limits.reject")
    )
    assert [UsersRelease.can_allow(word) for word in ("limits", "rule:odd", "plugin:dmarc", "failed:antivirus", "limits.reject")] == [
        True, True, True, False, False,
    ]  # fmt: skip
