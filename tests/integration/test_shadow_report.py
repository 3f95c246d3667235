"""`mailward policy shadow` on 2,000 messages says what the policy that enforces it all does with the same messages."""

import asyncio
import json
import os
import random
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from types import ModuleType
from typing import Any

import pytest

from mailward.app.config_file import load_config
from mailward.decisions import DecisionStore
from mailward.decisions.shadow import ShadowReport
from mailward.formats.message import MessageView
from mailward.model.decision import DecisionRecord
from mailward.model.envelope import Envelope
from mailward.model.ids import new_queue_id, new_session_id
from mailward.model.session import Role, Session
from mailward.pipeline.judge import Judge
from mailward.policy import RecipientFacts
from mailward.testing.making import make_envelope
from mailward.testing.policies import made_policy
from mailward.testing.world import FakeServices
from support.plugin_modules import HEAD, plugin_module
from support.server import Server, server

MESSAGES = 2_000
FOR_EACH = 300
"""So many are judged with each thing by itself, too; all of them with everything."""
PEOPLE = ("bob@example.org", "eve@example.org", "cfo@finance.example.org", "ann@example.org")
SENDERS = ("a@example.net", "b@partner.example", "c@listed.example", "")
HELOS = ("mail.example.net", "dubious.example", "friend.example")
TEXTS = ("plain words", "cheap pills", "4111 1111 1111 1111", "urgent transfer", "boom")

COUNTS = """
@hookimpl(inline=True)
def inspect_message(message):
    text = " ".join(part.text for part in message.texts())
    if "pills" in text:
        return Finding("SEEN", "pills", strength=0.2 * text.count("pills"))
"""
CARDS = """
@hookimpl(inline=True)
def inspect_message(message):
    text = " ".join(part.text for part in message.texts())
    if "boom" in text:
        raise ValueError("boom")
    if "4111" in text:
        count = text.count("4111 ")
        return Finding("CARDS", "cards", asks="reject" if count > 3 else None, facts=OwnFacts(count=count))
"""
SENDER = """
@hookimpl(inline=True)
def inspect_mail(envelope):
    if envelope.reverse_path.address is not None and envelope.reverse_path.address.domain == "listed.example":
        return Finding("LISTED", "listed", facts=OwnFacts(word="listed"))
"""
IN_SHADOW = {
    ("plugin", "cards"),
    ("plugin", "sender"),
    ("rule", "lower"),
    ("rule", "friends"),
    ("rule", "dubious"),
    ("rule", "urgent"),
}


def plugins() -> list[ModuleType]:
    return [
        plugin_module("counts", COUNTS),
        plugin_module("cards", CARDS, head=HEAD.replace('"SEEN"', '"CARDS"')),
        plugin_module("sender", SENDER, head=HEAD.replace('"SEEN"', '"LISTED"')),
    ]


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


@dataclass(frozen=True)
class Mail:
    helo: str
    sender: str
    people: tuple[str, ...]
    message: MessageView
    lmtp: bool
    text: str


def corpus() -> list[Mail]:
    chance = random.Random(7)
    found = []
    for number in range(MESSAGES):
        words = [chance.choice(TEXTS) for _ in range(chance.randint(1, 5))]
        if chance.random() < 0.9:  # few fail
            words = [word for word in words if word != "boom"] or ["nothing"]
        subject = chance.choice(["hello", "urgent: read this", "invoice"])
        text = f"From: a@example.net\r\nSubject: {subject}\r\nMessage-ID: <{number}@example.net>\r\n\r\n{' '.join(words)}\r\n"
        people = tuple(chance.sample(PEOPLE, chance.choice([1, 1, 1, 2, 3])))
        found.append(
            Mail(
                chance.choice(HELOS),
                chance.choice(SENDERS),
                people,
                MessageView(text.encode()),
                chance.random() < 0.1,
                " ".join(words),
            )
        )
    return found


@dataclass(frozen=True)
class Got:
    """What one recipient got. record: that of the message, or of the refusal at RCPT."""

    verdict: str
    visible: tuple[str, ...]
    record: DecisionRecord


async def received(judge: Judge, services: FakeServices, mail: Mail) -> dict[str, Got]:
    """One mail through MAIL, RCPT and the end of DATA, as reception does it."""
    session = Session(
        new_session_id(), Role.MX, "mx", "192.0.2.1", services.clock.now(), helo=mail.helo, extended=True, lmtp=mail.lmtp
    )
    trial = judge.begin(session)
    envelope = make_envelope(mail.sender, mail.people)
    assert await trial.mail(session, Envelope(envelope.reverse_path)) is None
    found: dict[str, Got] = {}
    taken = []
    for path in envelope.forward_paths:
        who = RecipientFacts.of(path)
        reply = await trial.rcpt(session, envelope, path, who)
        if reply is None:
            taken.append(who)
        else:
            record = trial.refusal(new_queue_id(), session, envelope, reply, who)
            found[who.address] = Got(record.recipients[0].verdict, (), record)
    if taken:
        judgement = await trial.message(new_queue_id(), session, envelope, taken, mail.message)
        record = await judgement.whole_record()
        for decision in judgement.recipients:
            visible = tuple(action for action in decision.actions if "score" not in action)
            found[decision.recipient] = Got(decision.verdict, visible, record)
    return found


def results(mails: Sequence[Mail], enforced: Collection[tuple[str, str]]) -> list[dict[str, Got]]:
    services = FakeServices()
    modes = {name: "enforce" if ("plugin", name) in enforced else "shadow" for name in ("cards", "sender")}
    settings: dict[str, dict[str, object]] = {
        "counts": {"heed": True},
        **{name: {"mode": mode, "heed": True} for name, mode in modes.items()},
    }
    policy, host = made_policy("inbound", plugins(), settings, keys(enforced))
    judge = Judge(policy, host, services.of, hostname="mx.example.org", clock=services.clock)

    async def all_of_them() -> list[dict[str, Got]]:
        found = []
        for mail in mails:
            found.append(await received(judge, services, mail))
            services.clock.advance(timedelta(seconds=1))
        return found

    try:
        return asyncio.run(all_of_them())
    finally:
        judge.close()


@pytest.fixture(scope="module")
def made() -> Iterator[Server]:
    with server(start=False, domain="example.org") as target:
        yield target


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


def records_of(found: Iterable[dict[str, Got]]) -> list[DecisionRecord]:
    return list({got.record.id: got.record for one in found for got in one.values()}.values())


def test_2000_messages_agree_with_the_policy_that_enforces_it(made: Server) -> None:
    empty = made.run("policy", "shadow", check=False)
    assert (empty.returncode, empty.stdout) == (2, "nothing was in shadow (inbound, the last 7d: 0 messages judged)\n")
    mails = corpus()
    was = results(mails, ())
    file = load_config(made.config).decisions_file
    store = DecisionStore(file)
    records = records_of(was)
    store.add_all([(record, ()) for record in records])
    store.close()
    owner = file.parent.stat()
    os.chown(file, owner.st_uid, owner.st_gid)  # commands do not stay root

    done = made.run("policy", "shadow", "--since", "36500d", "--limit", "5", "--json", check=False)
    assert done.returncode == 1, done.stderr
    report = json.loads(done.stdout)
    read = made.run("policy", "shadow", "--since", "36500d", "--limit", "5", check=False)
    assert read.returncode == 1
    assert read.stdout.count("\n    ") == 5  # one line of what would have been for each message that is shown
    assert made.run("policy", "shadow", "--direction", "access", check=False).returncode == 64
    assert report["messages"] == len(records)
    assert {(one["kind"], one["name"]) for one in report["things"]} == IN_SHADOW
    together = tally(mails, was, results(mails, IN_SHADOW), None)
    assert said(report["all"]) == together
    assert len(together[0]) > 6  # the corpus is varied enough to be worth it

    some = mails[:FOR_EACH]
    of_some = ShadowReport(0)
    for record in records_of(was[:FOR_EACH]):
        of_some.add(record)
    for one in of_some.things:
        changes = Counter({(change.was, change.now): count for change, count in one.changes.items()})
        thing = (one.kind, one.name)
        assert (changes, one.same) == tally(some, was[:FOR_EACH], results(some, [thing]), thing), thing


def test_a_live_test_that_fails_stands_above_what_is_in_shadow(made: Server) -> None:
    made.policy(
        "version: 1\nextends: mailward/inbound\nplugins: {antivirus: {mode: shadow, engine: test-file}}\n"
        "tests:\n  - name: EICAR is refused\n    live: true\n    expect: {verdict: reject}\n"
        "    message: {mail_from: a@example.net, rcpt: bob@example.org, attach: eicar}\n"
    )
    done = made.run("policy", "test", check=False)
    assert done.returncode == 1
    assert done.stdout.endswith(", 1 failed\n  inbound: in shadow: plugin antivirus\n"), done.stdout
