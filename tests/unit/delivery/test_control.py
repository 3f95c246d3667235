"""What an admin sees of the queue and orders for it."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest

from mailward.delivery import selecting
from mailward.delivery.calls import AGES_S, By, Group, Ordered, Selection
from mailward.delivery.control import QueueControl
from mailward.delivery.manager import DeliveryManager
from mailward.delivery.mda import Copy
from mailward.delivery.passes import Passes
from mailward.delivery.standing import StandingOrders
from mailward.disk import Disk
from mailward.model.decision import utc_text
from mailward.model.errors import StorageError
from mailward.model.ids import QueueId
from mailward.queue.agenda import Agenda
from mailward.queue.item import QueuedRecipient, QueueItem
from mailward.queue.spool import Spool
from support.spooling import Clock, Ledger, flush, item_for


class Kept:
    """A quarantine in memory."""

    def __init__(self) -> None:
        self.copies: dict[str, tuple[bytes, str]] = {}
        self.full = False

    def keep(self, copy: Copy, reason: str) -> None:
        if self.full:
            raise StorageError("the quarantine is full")
        self.copies[copy.delivery_key] = (copy.octets, reason)


@dataclass
class Bench:
    """A queue process with its manager, mail for which deliveries fail, and time that moves when told to."""

    folder: Path
    clock: Clock
    ledger: Ledger
    kept: Kept
    spool: Spool
    agenda: Agenda
    manager: DeliveryManager
    control: QueueControl

    async def put(
        self, *forward_paths: str, reverse_path: str = "a@example.net", octets: bytes = b"mail", hold_s: int = 0
    ) -> QueueItem:
        """A message that a worker left behind. hold_s: so long its sender wants it held."""
        recipients = [QueuedRecipient(path, "mailbox", account=path) for path in forward_paths]
        item = replace(item_for(octets, recipients, reverse_path=reverse_path), received_at=utc_text(self.clock.now()))
        if hold_s:
            item = replace(item, hold_until=utc_text(self.clock.now() + timedelta(seconds=hold_s)))
        worker = Spool(self.folder, Disk(), owner="smtp")
        incoming = worker.begin(item.id)
        incoming.write(octets)
        await incoming.commit(item)
        await worker.close()
        self.agenda.adopt()
        return item

    async def run(self) -> None:
        """One pass of the manager, to its end."""
        await Passes(self.agenda, (self.manager,)).run_once()
        self.manager.wait_idle()
        flush(self.spool)

    def tried(self) -> list[str]:
        keys = sorted(key for batch in self.ledger.batches for key in batch)
        self.ledger.batches.clear()
        return keys

    def states(self, **selection: object) -> list[tuple[str, str, int]]:
        page = self.control.list(Selection(**selection))  # type: ignore[arg-type]
        return [(r.forward_path, r.status, r.failures) for message in page.messages for r in message.recipients]


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    clock, ledger, kept = Clock(), Ledger(), Kept()
    spool = Spool(tmp_path / "spool", Disk(), owner="queue")
    agenda = Agenda(spool, clock, clock.monotonic_s)
    manager = DeliveryManager(spool, ledger, ledger, clock, chance=lambda: 0.5)
    yield Bench(
        tmp_path / "spool",
        clock,
        ledger,
        kept,
        spool,
        agenda,
        manager,
        QueueControl(spool, agenda, ledger, kept, StandingOrders(tmp_path / "orders.json", Disk(), clock), clock),
    )
    await manager.stop()
    await spool.close()


def done(outcome: Ordered) -> list[tuple[str, str]]:
    assert not outcome.progress.following
    return [(recipient.forward_path, recipient.why_not) for recipient in outcome.recipients]


async def test_a_list_shows_envelope_state_failures_next_time_and_the_last_answer(bench: Bench) -> None:
    bench.ledger.failing = {"ann@example.org"}
    item = await bench.put("ann@example.org", "bob@example.com")
    bench.control.hold(Selection(to="bob@example.com"), "asked the sender")
    await bench.run()
    (message,) = bench.control.list(Selection()).messages
    assert (message.id, message.reverse_path, message.size_octets, message.origin) == (item.id, "a@example.net", 4, "inbound")
    ann, bob = message.recipients
    assert (ann.status, ann.failures, ann.words, ann.next_at) == (
        "waiting",
        1,
        "the store is not there",
        "2026-03-01T12:01:00.000Z",
    )
    assert (bob.status, bob.failures, bob.reason, bob.next_at) == ("held", 0, "asked the sender", "")


@pytest.mark.parametrize(
    ("selection", "found"),
    [
        ({}, ["ann@example.org", "bob@EXAMPLE.com", "carl@example.org"]),
        ({"to": "example.org"}, ["ann@example.org", "carl@example.org"]),
        ({"to": "example.com"}, ["bob@EXAMPLE.com"]),
        ({"to": "Bob@example.com"}, ["bob@EXAMPLE.com"]),
        ({"to": "xample.org"}, []),
        ({"reverse_path": "A@example.net"}, ["ann@example.org", "bob@EXAMPLE.com"]),
        ({"reverse_path": "example.NET"}, ["ann@example.org", "bob@EXAMPLE.com"]),
        ({"reverse_path": "<>"}, ["carl@example.org"]),
        ({"problem": "WHY"}, ["bob@EXAMPLE.com"]),
        ({"status": "waiting"}, ["ann@example.org", "carl@example.org"]),
        ({"status": "postponed"}, []),
        ({"older_than_s": 30.0}, ["ann@example.org", "bob@EXAMPLE.com"]),
        ({"older_than_s": 90.0}, []),
        ({"status": "held"}, ["bob@EXAMPLE.com"]),
        ({"id": "nothing"}, []),
        ({"to": "example.org", "status": "held"}, []),
    ],
)
async def test_selections(bench: Bench, selection: dict[str, object], found: list[str]) -> None:
    await bench.put("ann@example.org", "bob@EXAMPLE.com")
    bench.clock.seconds += 60
    await bench.put("carl@example.org", reverse_path="")
    bench.control.hold(Selection(to="example.com"), "why")
    assert [path for path, _, _ in bench.states(**selection)] == found


async def test_what_is_held_is_not_tried_until_it_is_released(bench: Bench) -> None:
    item = await bench.put("ann@example.org", "bob@example.org")
    assert done(bench.control.hold(Selection(to="ann@example.org"), "why")) == [("ann@example.org", "")]
    await bench.run()
    assert bench.tried() == [f"{item.id}:1"]
    bench.clock.seconds += 100_000
    await bench.run()
    assert bench.tried() == []
    assert done(bench.control.retry(Selection())) == [("ann@example.org", "it is held; release it first")]
    assert done(bench.control.release(Selection())) == [("ann@example.org", "")]
    await bench.run()
    assert bench.tried() == [f"{item.id}:0"] and not bench.states()
    assert [event.text for _, event in bench.ledger.events if event.recipient == "ann@example.org"] == [
        "held: why",
        "released",
        "delivered to INBOX",
    ]


async def test_retry_says_that_mail_waits_for_as_long_as_its_sender_wants(bench: Bench) -> None:
    item = await bench.put("ann@example.org", hold_s=3600)
    assert bench.states(status="postponed") == [("ann@example.org", "postponed", 0)]
    ordered = bench.control.retry(Selection())
    assert done(ordered) == [("ann@example.org", "its sender wants it to wait until")]
    assert ordered.recipients[0].until == item.hold_until
    await bench.run()
    assert bench.tried() == []


async def test_retry_does_not_wait_for_the_time_of_the_next_attempt(bench: Bench) -> None:
    bench.ledger.failing = {"ann@example.org", "bob@example.com"}
    first = await bench.put("ann@example.org", "bob@example.com")
    await bench.run()
    assert len(bench.tried()) == 2
    await bench.run()
    assert bench.tried() == []
    assert done(bench.control.retry(Selection(to="example.org"))) == [("ann@example.org", "")]
    await bench.run()
    assert bench.tried() == [f"{first.id}:0"]
    assert bench.states() == [("ann@example.org", "waiting", 2), ("bob@example.com", "waiting", 1)]


async def test_a_release_leaves_alone_what_is_not_held(bench: Bench) -> None:
    bench.ledger.failing = {"ann@example.org"}
    await bench.put("ann@example.org")
    await bench.run()
    assert done(bench.control.release(Selection())) == []


async def test_t_q_11_a_drop_ends_one_recipient_with_a_copy_kept_and_the_others_stay(bench: Bench) -> None:
    item = await bench.put("ann@example.org", "bob@example.org")
    assert done(bench.control.drop(Selection(id=item.id, to="ann@example.org"), "spam")) == [("ann@example.org", "")]
    assert bench.kept.copies == {f"{item.id}:0": (b"mail", "spam")}
    assert bench.ledger.records[item.id] == item.decision
    assert [event.text for _, event in bench.ledger.events] == ["dropped, a copy is in quarantine: spam"]
    await bench.run()
    assert bench.tried() == [f"{item.id}:1"] and not bench.states()


async def test_nothing_is_dropped_without_a_stored_copy(bench: Bench) -> None:
    item = await bench.put("ann@example.org")
    bench.kept.full = True
    assert done(bench.control.drop(Selection(id=item.id), "spam")) == [("ann@example.org", "the quarantine is full")]
    assert bench.states() == [("ann@example.org", "waiting", 0)]


async def test_what_is_being_attempted_is_not_dropped(bench: Bench) -> None:
    item = await bench.put("ann@example.org")
    bench.spool.begin_attempts([(item.id, 0)])
    assert bench.states() == [("ann@example.org", "under way", 0)]
    assert done(bench.control.drop(Selection(id=item.id), "spam")) == [("ann@example.org", "an attempt is under way")]
    assert not bench.kept.copies


async def test_t_q_08_a_poison_message_shows_as_held_and_can_be_released(bench: Bench, tmp_path: Path) -> None:
    item = await bench.put("ann@example.org")
    for _ in range(3):
        bench.spool.begin_attempts([(item.id, 0)])
        await bench.spool.close()
        bench.spool = Spool(bench.folder, Disk(), owner="queue")
        bench.spool.adopt()
    agenda = Agenda(bench.spool, bench.clock, bench.clock.monotonic_s)
    control = QueueControl(
        bench.spool, agenda, bench.ledger, bench.kept, StandingOrders(tmp_path / "orders.json", Disk(), bench.clock), bench.clock
    )
    ((recipient,),) = [message.recipients for message in control.list(Selection(status="held")).messages]
    assert (recipient.status, recipient.reason) == ("held", "3 attempts ended with the process")
    assert done(control.release(Selection(id=item.id))) == [("ann@example.org", "")]
    assert [due.item.id for due in agenda.take(("mailbox",))] == [item.id]
    await bench.spool.close()


async def test_a_long_answer_comes_in_pages_that_may_divide_a_message(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selecting, "PAGE_RECIPIENTS", 4)
    items = [await bench.put(*(f"user{n}@example.org" for n in range(count))) for count in (3, 9, 1, 2)]
    found: list[tuple[QueueId, int]] = []
    after, pages = "", 0
    while True:
        page = bench.control.list(Selection(), after)
        found += [(message.id, r.index) for message in page.messages for r in message.recipients]
        after, pages = page.progress.following, pages + 1
        if not after:
            break
    assert found == [(item.id, index) for item in items for index in range(len(item.recipients))]
    assert pages == 4
    after = bench.control.hold(Selection(), "why").progress.following
    assert len(bench.states(status="held")) == 4
    assert bench.control.hold(Selection(), "why", after).recipients[0].id == items[1].id


async def test_a_question_looks_at_so_many_messages_a_call_whether_it_finds_any_or_not(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selecting, "PAGE_MESSAGES", 2)
    items = [await bench.put(path) for path in ("a@example.org", "b@example.org", "c@example.org", "d@example.net", "e@x.test")]
    first = bench.control.list(Selection(to="example.net"))
    assert (first.messages, first.progress.looked, first.progress.total) == ((), 2, 5)
    second = bench.control.list(Selection(to="example.net"), first.progress.following)
    assert [message.id for message in second.messages] == [items[3].id]
    last = bench.control.list(Selection(to="example.net"), second.progress.following)
    assert (last.messages, last.progress.looked, last.progress.following) == ((), 1, "")


@pytest.mark.parametrize(
    ("by", "found"),
    [
        ("domain", {("example.org", 2, 1), ("example.com", 1, 0)}),
        ("sender", {("example.net", 2, 0), ("<>", 1, 1)}),
        ("status", {("waiting", 2, 0), ("held", 1, 1)}),
        ("answer", {("the store is not there", 2, 0), ("", 1, 1)}),
    ],
)
async def test_what_waits_is_counted_by_what_it_has_in_common(bench: Bench, by: By, found: set[tuple[str, int, int]]) -> None:
    bench.ledger.failing = {"ann@example.org", "bob@Example.com"}
    await bench.put("ann@example.org", "bob@Example.com")
    await bench.run()
    late = await bench.put("carl@example.org", reverse_path="")
    bench.control.hold(Selection(id=late.id), "not now")
    groups = bench.control.count(Selection(), by).groups
    assert {(group.name, group.recipients, group.held) for group in groups} == found


async def test_a_group_tells_of_its_ages_and_of_the_one_that_waits_longest(bench: Bench) -> None:
    bench.ledger.failing = {"ann@example.org"}
    first = await bench.put("ann@example.org", "bob@example.org")
    bench.control.hold(Selection(to="bob@example.org"), "not now")
    await bench.run()
    bench.clock.seconds += AGES_S[1]
    await bench.put("carl@example.org")
    (group,) = bench.control.count(Selection(), "domain").groups
    assert group == Group("example.org", 3, 1, first.received_at, (1, 0, 2, 0, 0, 0), "the store is not there")
    assert group.joined(group).ages == (2, 0, 4, 0, 0, 0)
