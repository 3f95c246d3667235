"""When a rule is judged: as early as its facts allow, never before rcpt unless `at:` says so, never past a rule above it."""

from pathlib import Path

import pytest

from mailward.model.verdict import Verdict
from mailward.policy import Policy, RecipientFacts, Stage, load_policy
from support.small_plugins import PLUGINS, STAGES, evidence

BOB = RecipientFacts("bob@example.org", "example.org", "bob")


def loaded(folder: Path, rules: str, rest: str = "") -> Policy:
    path = folder / "inbound.yaml"
    path.write_text(f"version: 1\nplugins: {{spf: , dmarc: , antivirus: {{heed: true}}}}\nrules:\n{rules}{rest}")
    return load_policy(path, PLUGINS, stages=STAGES)


def decided_at(policy: Policy, helo: str = "bad", **facts: str) -> tuple[Stage, str, Verdict] | None:
    """The first stage with a ruling, what decided, and the verdict."""
    for stage in ("mail", "rcpt", "message"):
        ruling = policy.judge({"helo.name": helo}, evidence(**facts), None if stage == "mail" else BOB, stage=stage)
        if ruling is not None:
            return stage, ruling.source.name, ruling.verdict
    return None


HELO = "  - {name: helo, when: 'helo.name == \"bad\"', then: reject"
SCORE = "  - {name: score, when: score > 100, then: accept}\n"


@pytest.mark.parametrize(
    ("rules", "stage", "name", "verdict"),
    [
        (HELO + "}\n", "rcpt", "helo", Verdict.REJECT),
        (HELO + ", at: mail}\n", "mail", "helo", Verdict.REJECT),
        (HELO + ", at: message}\n", "message", "helo", Verdict.REJECT),
        (SCORE + HELO + "}\n", "message", "helo", Verdict.REJECT),
        (SCORE + HELO + ", at: rcpt}\n", "rcpt", "helo", Verdict.REJECT),
        ("  - {name: shadow, when: score > 100, then: accept, mode: shadow}\n" + HELO + "}\n", "rcpt", "helo", Verdict.REJECT),
        ("  - {name: mark, when: score > 100, do: [{flag: $A}]}\n" + HELO + "}\n", "rcpt", "helo", Verdict.REJECT),
        (HELO.replace("reject", "junk") + "}\n", "message", "helo", Verdict.JUNK),
        (
            HELO.replace("reject", "accept") + "}\n" + HELO.replace("name: helo", "name: two") + "}\n",
            "message",
            "helo",
            Verdict.ACCEPT,
        ),
        (HELO.replace("reject", "tempfail") + "}\n", "rcpt", "helo", Verdict.TEMPFAIL),
        (HELO + ', reply: "550 5.7.1 {message.subject}"}\n', "message", "helo", Verdict.REJECT),
        ("  - {name: spf, when: 'spf.result == \"fail\"', then: reject}\n", "rcpt", "spf", Verdict.REJECT),
        ("  - {name: dmarc, when: 'dmarc.result != \"pass\"', then: reject}\n", "message", "dmarc", Verdict.REJECT),
        ("  - {name: broken, when: 'helo.name.size() / helo.name.size() > 0', then: reject}\n", "rcpt", "broken", Verdict.REJECT),
    ],
)
def test_stage_of_a_rule(tmp_path: Path, rules: str, stage: str, name: str, verdict: Verdict) -> None:
    assert decided_at(loaded(tmp_path, rules), spf__result="fail") == (stage, name, verdict)


def test_an_early_condition_that_fails_is_tempfail(tmp_path: Path) -> None:
    policy = loaded(tmp_path, "  - {name: broken, when: '1 / helo.name.size() > 3', then: reject}\n")
    ruling = policy.judge({"helo.name": ""}, evidence(), BOB, stage="rcpt")
    assert ruling is not None
    assert (ruling.verdict, str(ruling.reply)[:9]) == (Verdict.TEMPFAIL, "451 4.3.0")
    assert ruling.alarms


def test_overrides_hold_at_rcpt_for_their_recipients_only(tmp_path: Path) -> None:
    rest = "overrides: [{name: o, for: {recipient: example.org}, rules: [{name: shut, then: reject, reply: '550 5.7.1 Shut'}]}]\n"
    policy = loaded(tmp_path, HELO + "}\n", rest)
    ruling = policy.judge({}, evidence(), BOB, stage="rcpt")
    assert ruling is not None
    assert str(ruling.reply) == "550 5.7.1 Shut"
    assert policy.judge({}, evidence(), RecipientFacts("a@example.com", "example.com", "a"), stage="rcpt") is None
    assert policy.judge({}, evidence(), None, stage="mail") is None
