"""`mailward policy replay` on 2,000 messages says what the new policy does with the same messages when they come."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import yaml

from support.judged_mail import SOURCES, Got, Mail, corpus, keep_records, records_of, results
from support.server import Server, server

pytestmark = pytest.mark.timeout(400)  # the corpus is judged by each policy

SETTINGS: dict[str, dict[str, object]] = {"counts": {"heed": True}, "cards": {"heed": True}, "sender": {}}
RULES: list[dict[str, object]] = [
    {"name": "no-bounces", "when": 'mail_from.is_null && recipient.local_part == "ann"', "then": "reject"},
    {"name": "partners", "when": 'mail_from.domain == "partner.example"', "then": "accept"},
    {"name": "many", "when": "cards.count > 2", "then": "quarantine"},
]
FINANCE = {"name": "finance", "for": {"recipient": ["finance.example.org"]}, "limits": {"junk": 2, "quarantine": 4, "reject": 6}}
IN_FORCE: dict[str, Any] = {
    "scores": {"SEEN": 8, "CARDS": 3, "LISTED": 2.5},
    "limits": {"junk": 5, "quarantine": 8, "reject": 12},
    "rules": RULES,
    "overrides": [FINANCE],
}
LOWER = {**IN_FORCE, "limits": {"junk": 3, "quarantine": 8, "reject": 10}}
OTHER = {
    "scores": {"SEEN": 6, "CARDS": 3.5, "LISTED": 2.5},
    "limits": {"junk": 4, "quarantine": 8, "reject": 12},
    "rules": [
        {"name": "friends", "when": 'helo.name == "friend.example" && mail_from.is_null', "then": "accept"},
        {"name": "dubious", "when": 'helo.name == "dubious.example" && recipient.local_part == "eve"', "then": "reject"},
        {"name": "listed", "when": 'sender.word == "listed"', "do": [{"score": 1.5}, {"folder": "Lists"}]},
        *RULES,
    ],
    "overrides": [
        {
            "name": "partner",
            "for": {"sender": ["partner.example"], "network": "192.0.2.0/30", "listener": "mx"},
            "limits": {"junk": 2},
            "rules": [{"name": "from-dubious", "when": 'helo.name == "dubious.example"', "then": "tempfail"}],
        },
        {
            "name": "partner-to-ann",
            "for": {"sender": ["b@partner.example", "example.net"], "recipient": "ann@example.org"},
            "rules": [{"name": "for-ann", "then": "quarantine"}],
        },
        {"name": "elsewhere", "for": {"network": "198.51.100.0/24"}, "rules": [{"name": "never", "then": "discard"}]},
    ],
}
BY_SUBJECT = {
    **IN_FORCE,
    "rules": [*RULES[1:], {"name": "urgent", "when": 'message.subject.contains("urgent")', "then": "junk"}],
}


@pytest.fixture(scope="module")
def mails() -> list[Mail]:
    return corpus()


@pytest.fixture(scope="module")
def was(mails: list[Mail]) -> list[dict[str, Got]]:
    return results(mails, SETTINGS, IN_FORCE)


@pytest.fixture(scope="module")
def made(was: list[dict[str, Got]]) -> Iterator[Server]:
    with server(start=False, domain="example.org") as target:
        for name, source in SOURCES.items():
            (target.folder / f"plugins/{name}.py").write_text(source)
        keep_records(target, records_of(was))
        yield target


def replayed(made: Server, keys: Mapping[str, Any], settings: Mapping[str, object] = SETTINGS) -> tuple[int, dict[str, Any]]:
    path = made.folder / "new/inbound.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(yaml.safe_dump({"version": 1, "plugins": dict(settings), **keys}))
    done = made.run("policy", "replay", "--policy", str(path), "--since", "36500d", "--limit", "100000", "--json", check=False)
    assert done.stdout, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return done.returncode, report


@pytest.mark.parametrize("new", [LOWER, OTHER], ids=["lower limits", "other rules"])
def test_each_change_is_what_the_new_policy_does(
    made: Server, mails: list[Mail], was: list[dict[str, Got]], new: dict[str, Any]
) -> None:
    code, report = replayed(made, new)
    changes: dict[tuple[str, str], tuple[str, str]] = {}
    same = not_known = 0
    for before, after in zip(was, results(mails, SETTINGS, new), strict=True):
        for who, got in before.items():
            if not got.record.size_octets and after[who].record.size_octets:
                not_known += 1  # refused at RCPT, and by the new policy not
            elif (got.verdict, got.visible) == (after[who].verdict, after[who].visible):
                same += 1
            else:
                changes[got.record.id, who] = (got.verdict, after[who].verdict)
    assert code == 1 and len(changes) > 100
    assert {
        (one["id"], one["was"]["recipient"]): (one["was"]["verdict"], one["would_be"]["verdict"]) for one in report["examples"]
    } == changes
    assert Counter({(one["was"], one["would_be"]): one["recipients"] for one in report["changes"]}) == Counter(changes.values())
    assert (report["recipients_unchanged"], report["recipients_changed"]) == (same, len(changes))
    assert sum(report["messages_not_known"].values()) == not_known
    assert report["messages"] + not_known == len(records_of(was))


def test_the_policy_that_judged_changes_nothing(made: Server, was: list[dict[str, Got]]) -> None:
    code, report = replayed(made, IN_FORCE)
    assert (code, report["changes"], report["messages_not_known"], report["examples"]) == (0, [], {}, [])
    assert report["messages"] == len(records_of(was))


def test_what_a_record_does_not_hold_is_counted_apart(made: Server, was: list[dict[str, Got]]) -> None:
    code, report = replayed(made, BY_SUBJECT)
    (why, count) = max(report["messages_not_known"].items(), key=lambda item: item[1])
    assert why == "the record does not hold message.subject" and count > 100
    decided_above = {who.record.id for got in was for who in got.values() if who.verdict == "accept" and who.record.size_octets}
    assert report["messages"] > 100 and decided_above  # partners' mail is decided above that rule
    code, report = replayed(made, IN_FORCE, {**SETTINGS, "spf": {}})
    assert code == 2 and report["messages"] == 0
    assert list(report["messages_not_known"]) == ["plugin spf did not look at it"]


def test_it_is_readable_and_a_wrong_policy_is_told(made: Server) -> None:
    path = made.folder / "new/inbound.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(yaml.safe_dump({"version": 1, "plugins": SETTINGS, **LOWER}))
    read = made.run("policy", "replay", "--policy", str(path), "--since", "36500d", "--limit", "3", check=False)
    assert read.returncode == 1
    assert read.stdout.count("    it was ") == 3 and "the worst first, 3 of " in read.stdout, read.stdout
    path.write_text("version: 1\nlimits: {junk: many}\n")
    wrong = made.run("policy", "replay", "--policy", str(path), check=False)
    assert wrong.returncode == 78 and "new/inbound.yaml:2:10" in wrong.stderr, wrong.stderr
    missing = made.run("policy", "replay", "--policy", "nowhere.yaml", check=False)
    assert missing.returncode == 78 and "cannot read the policy nowhere.yaml" in missing.stderr
    assert made.run("policy", "replay", "--direction", "access", check=False).returncode == 64
