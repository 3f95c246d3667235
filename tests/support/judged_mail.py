"""Two thousand made-up messages, some small plugins, and what policies do with them: each as reception would judge it."""

import asyncio
import os
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from types import ModuleType
from typing import Any

from mailward.app.config_file import load_config
from mailward.decisions import DecisionStore
from mailward.formats.message import MessageView
from mailward.model.address import ForwardPath
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
from support.server import Server

MESSAGES = 2_000
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
SOURCES = {
    "counts": HEAD + COUNTS,
    "cards": HEAD.replace('"SEEN"', '"CARDS"') + CARDS,
    "sender": HEAD.replace('"SEEN"', '"LISTED"') + SENDER,
}
"""Name -> the file of a drop-in."""


def plugins() -> list[ModuleType]:
    return [plugin_module(name, source, head="") for name, source in SOURCES.items()]


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
    taken: list[RecipientFacts] = []
    paths: list[ForwardPath] = []
    for path in envelope.forward_paths:
        who = RecipientFacts.of(path)
        reply = await trial.rcpt(session, envelope, path, who)
        if reply is None:
            taken.append(who)
            paths.append(path)
        else:
            record = trial.refusal(new_queue_id(), session, envelope, reply, who)
            found[who.address] = Got(record.recipients[0].verdict, (), record)
    if taken:
        of_taken = replace(envelope, forward_paths=tuple(paths))
        judgement = await trial.message(new_queue_id(), session, of_taken, taken, mail.message)
        record = await judgement.whole_record()
        for decision in judgement.recipients:
            visible = tuple(action for action in decision.actions if "score" not in action)
            found[decision.recipient] = Got(decision.verdict, visible, record)
    return found


def results(mails: Sequence[Mail], settings: Mapping[str, Mapping[str, object]], keys: Mapping[str, Any]) -> list[dict[str, Got]]:
    """What each recipient of each message gets by a policy of these keys. settings: of `plugins`."""
    services = FakeServices()
    policy, host = made_policy("inbound", plugins(), settings, keys)
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


def records_of(found: Iterable[dict[str, Got]]) -> list[DecisionRecord]:
    return list({got.record.id: got.record for one in found for got in one.values()}.values())


def keep_records(target: Server, records: Sequence[DecisionRecord]) -> None:
    """In the installation's decision store, as its server would have kept them."""
    file = load_config(target.config).decisions_file
    store = DecisionStore(file)
    store.add_all([(record, ()) for record in records])
    store.close()
    owner = file.parent.stat()
    os.chown(file, owner.st_uid, owner.st_gid)  # commands do not stay root
