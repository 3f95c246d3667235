"""`mailward policy shadow` on 2,000 messages says what the policy that enforces it all does with the same messages."""

import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import pytest

from mailward.decisions.shadow import ShadowReport
from support.judged_mail import Got, Mail, corpus, keep_records, records_of, results
from support.server import Server, server

FOR_EACH = 150
"""So many are judged with each thing by itself, too; all of them with everything."""
IN_SHADOW = {
    ("plugin", "cards"),
    ("plugin", "sender"),
    ("rule", "lower"),
    ("rule", "friends"),
    ("rule", "dubious"),
    ("rule", "urgent"),
}


def keys(enforced: Collection[tuple[str, str]]) -> dict[str, Any]:
    def rule(name: str, **written: object) -> dict[str, object]:
        # A canary that does not count for a sender is in shadow for him; where it does it is no part of the report.
        modes = {"mode": "canary", "share": "50%"} if name == "lower" else {"mode": "shadow"}
        return {"name": name, **({"mode": "enforce"} if ("rule", name) in enforced else modes), **written}

    return {
        "scores": {"SEEN": 8, "CARDS": 3, "LISTED": 2.5},
        "limits": {"junk": 5, "quarantine": 8, "reject": 12},
        "rules": [
            rule("friends", when='helo.name == "friend.example" && mail_from.is_null', then="accept"),
            rule("dubious", when='helo.name == "dubious.example" && recipient.local_part == "eve"', then="reject"),
            {"name": "no-bounces", "when": 'mail_from.is_null && recipient.local_part == "ann"', "then": "tempfail"},
            {"name": "listed-to-bob", "when": 'sender.word == "listed" && recipient.local_part == "bob"', "then": "quarantine"},
            {"name": "partners", "when": 'mail_from.domain == "partner.example"', "then": "accept"},
            rule("lower", when="score >= 3", then="junk"),
            rule("urgent", when='message.subject.contains("urgent")', do=[{"score": 2}, {"subject_prefix": "[urgent] "}]),
            {"name": "many", "when": "cards.count > 2", "then": "quarantine"},
        ],
        "overrides": [
            {
                "name": "finance",
                "for": {"recipient": ["finance.example.org"]},
                "limits": {"junk": 2, "quarantine": 4, "reject": 6},
            }
        ],
    }


@pytest.fixture(scope="module")
def made() -> Iterator[Server]:
    with server(start=False, domain="example.org") as target:
        yield target


def by_policy(mails: Sequence[Mail], enforced: Collection[tuple[str, str]]) -> list[dict[str, Got]]:
    modes = {name: "enforce" if ("plugin", name) in enforced else "shadow" for name in ("cards", "sender")}
    settings: dict[str, dict[str, object]] = {
        "counts": {"heed": True},
        **{name: {"mode": mode, "heed": True} for name, mode in modes.items()},
    }
    return results(mails, settings, keys(enforced))


def tally(
    mails: Sequence[Mail], was: Sequence[dict[str, Got]], now: Sequence[dict[str, Got]], thing: tuple[str, str] | None
) -> tuple[Counter[tuple[str, str]], int]:
    """Changes and recipients who keep what they got, of the messages at which the thing (None: everything) looked."""
    changes: Counter[tuple[str, str]] = Counter()
    same = 0
    for mail, before, after in zip(mails, was, now, strict=True):
        for who, got in before.items():
            looked = {(one.kind, one.name) for one in got.record.shadow}
            at_rcpt = not got.record.size_octets
            is_unknown = ("boom" in mail.text and not at_rcpt and thing in (None, ("plugin", "cards"))) or (
                at_rcpt and (thing in (None, ("rule", "friends")) and after[who].record.size_octets > 0)
            )
            if not looked or (thing is not None and thing not in looked) or is_unknown:
                continue
            other = after[who]
            if (other.verdict, other.visible) == (got.verdict, got.visible):
                same += 1
            else:
                changes[got.verdict, other.verdict] += 1
    return changes, same


def said(tallied: Mapping[str, Any]) -> tuple[Counter[tuple[str, str]], int]:
    found = Counter({(one["was"], one["would_be"]): one["recipients"] for one in tallied["changes"]})
    return found, tallied["recipients_unchanged"]


@pytest.mark.timeout(400)  # some thirty thousand judgements
def test_2000_messages_agree_with_the_policy_that_enforces_it(made: Server) -> None:
    empty = made.run("policy", "shadow", check=False)
    assert (empty.returncode, empty.stdout) == (2, "nothing was in shadow (inbound, the last 7d: 0 messages judged)\n")
    mails = corpus()
    was = by_policy(mails, ())
    records = records_of(was)
    keep_records(made, records)

    done = made.run("policy", "shadow", "--since", "36500d", "--limit", "5", "--json", check=False)
    assert done.returncode == 1, done.stderr
    report = json.loads(done.stdout)
    read = made.run("policy", "shadow", "--since", "36500d", "--limit", "5", check=False)
    assert read.returncode == 1
    assert read.stdout.count("\n    ") == 5  # one line of what would have been for each message that is shown
    assert made.run("policy", "shadow", "--direction", "access", check=False).returncode == 64
    assert report["messages"] == len(records)
    assert {(one["kind"], one["name"]) for one in report["things"]} == IN_SHADOW
    together = tally(mails, was, by_policy(mails, IN_SHADOW), None)
    assert said(report["all"]) == together
    assert len(together[0]) > 6  # the corpus is varied enough to be worth it

    some = mails[:FOR_EACH]
    of_some = ShadowReport(0)
    for record in records_of(was[:FOR_EACH]):
        of_some.add(record)
    for one in of_some.things:
        changes = Counter({(change.was, change.now): count for change, count in one.changes.items()})
        thing = (one.kind, one.name)
        assert (changes, one.same) == tally(some, was[:FOR_EACH], by_policy(some, [thing]), thing), thing


def test_a_live_test_that_fails_stands_above_what_is_in_shadow(made: Server) -> None:
    made.policy(
        "version: 1\nextends: mailward/inbound\nplugins: {antivirus: {mode: shadow, engine: test-file}}\n"
        "tests:\n  - name: EICAR is refused\n    live: true\n    expect: {verdict: reject}\n"
        "    message: {mail_from: a@example.net, rcpt: bob@example.org, attach: eicar}\n"
    )
    done = made.run("policy", "test", check=False)
    assert done.returncode == 1
    assert done.stdout.endswith(", 1 failed\n  inbound: in shadow: plugin antivirus\n"), done.stdout
