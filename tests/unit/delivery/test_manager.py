"""Who is served when: lanes, failures, and what the queue process takes over."""

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from mailward.delivery import manager as manager_module
from mailward.delivery.fate import Fate
from mailward.delivery.manager import DeliveryManager
from mailward.delivery.mda import Copy
from mailward.delivery.passes import Passes
from mailward.disk import Disk
from mailward.model.decision import DecisionRecord, LaterEvent
from mailward.model.envelope import RcptParameters
from mailward.model.errors import StorageError
from mailward.queue.agenda import Agenda
from mailward.queue.item import QueuedRecipient, QueueItem
from mailward.queue.spool import Spool
from mailward.rounds import Rounds
from mailward.store.refusals import OverQuota
from support.spooling import Clock, Ledger, commit, flush


def to(name: str, route: str = "mailbox") -> QueuedRecipient:
    return QueuedRecipient(f"{name}@example.org", route, account=name)


def manager_of(spool: Spool, ledger: Ledger, clock: Clock | None = None, threads: int = 4) -> DeliveryManager:
    clock = clock or Clock()
    return DeliveryManager(spool, ledger, ledger, clock, threads=threads, chance=lambda: 0.5)


def agenda_of(spool: Spool, clock: Clock | None = None) -> Agenda:
    clock = clock or Clock()
    return Agenda(spool, clock, clock.monotonic_s)


def spools(folder: Path) -> tuple[Spool, Spool]:
    return Spool(folder / "spool", Disk(), owner="smtp"), Spool(folder / "spool", Disk(), owner="queue")


async def end(manager: DeliveryManager, *spools: Spool) -> None:
    await manager.stop()
    for spool in spools:
        await spool.close()


async def test_an_accepted_message_is_delivered_recorded_and_gone(tmp_path: Path) -> None:
    spool, _ = spools(tmp_path)
    ledger = Ledger()
    manager = manager_of(spool, ledger)
    item = await commit(spool, b"hello", [to("ann"), to("bob"), to("eve", "quarantine")])
    manager.offer(item)
    manager.wait_idle()
    flush(spool)
    assert ledger.kept == {f"{item.id}:{index}": b"hello" for index in range(3)}
    assert ledger.records == {item.id: item.decision}
    assert sorted(event.recipient for _, event in ledger.events) == ["ann@example.org", "bob@example.org", "eve@example.org"]
    assert {event.text for _, event in ledger.events} == {"delivered to INBOX"}
    assert not spool.ids()
    await end(manager, spool)
    assert not list((tmp_path / "spool").iterdir())


async def test_what_is_discarded_is_recorded_and_gone_and_nobody_delivers_it(tmp_path: Path) -> None:
    spool, _ = spools(tmp_path)
    ledger = Ledger()
    manager = manager_of(spool, ledger)
    items = [await commit(spool, b"hello", [to("ann", "discard"), to("bob", "discard")]) for _ in range(3)]
    for item in items:
        manager.offer(item)
    manager.wait_idle()
    flush(spool)
    assert not ledger.kept
    assert ledger.records == {item.id: item.decision for item in items}
    assert [event.text for _, event in ledger.events] == ["discarded by route"] * 6
    assert not spool.ids()
    await end(manager, spool)


class SlowNotes(Ledger):
    """Holds the first transaction of records until four copies are delivered."""

    def __init__(self) -> None:
        super().__init__()
        self.transactions = 0
        self._four = threading.Event()

    def deliver(self, copies: Sequence[Copy]) -> tuple[str, ...]:
        outcomes = super().deliver(copies)
        if len(self.kept) == 4:
            self._four.set()
        return outcomes

    def add_all(self, happened: Sequence[tuple[DecisionRecord, tuple[LaterEvent, ...]]]) -> None:
        assert self._four.wait(30)
        self.transactions += 1
        super().add_all(happened)


async def test_deliveries_are_noted_together_and_nobody_waits_for_the_notes(tmp_path: Path) -> None:
    spool, _ = spools(tmp_path)
    ledger = SlowNotes()
    manager = manager_of(spool, ledger, threads=1)
    items = [await commit(spool, b"hello", [to(name)]) for name in ("ann", "bob", "eve", "joe")]
    for item in items:
        manager.offer(item)
    manager.wait_idle()
    assert set(ledger.records) == {item.id for item in items}
    assert ledger.transactions <= 2
    await end(manager, spool)


class Gate(Ledger):
    """Holds the first delivery until it is opened."""

    def __init__(self) -> None:
        super().__init__()
        self.entered = threading.Event()
        self.open = threading.Event()

    def deliver(self, copies: Sequence[Copy]) -> tuple[str, ...]:
        self.entered.set()
        assert self.open.wait(30)
        return super().deliver(copies)


async def test_copies_that_wait_for_one_account_share_a_transaction(tmp_path: Path) -> None:
    spool, _ = spools(tmp_path)
    gate = Gate()
    manager = manager_of(spool, gate)
    manager.offer(await commit(spool, b"first", [to("ann")]))
    assert gate.entered.wait(30)
    for _ in range(10):
        manager.offer(await commit(spool, b"more", [to("ann")]))
    gate.open.set()
    manager.wait_idle()
    assert [len(batch) for batch in gate.batches] == [1, 10]
    await end(manager, spool)


async def test_one_recipient_that_fails_does_not_hold_up_its_batch(tmp_path: Path) -> None:
    spool, queue = spools(tmp_path)
    gate = Gate()
    manager = manager_of(spool, gate)
    gate.failing = {"ann+full@example.org"}
    manager.offer(await commit(spool, b"first", [to("ann")]))
    assert gate.entered.wait(30)
    good = await commit(spool, b"good", [to("ann")])
    bad = await commit(spool, b"bad", [QueuedRecipient("ann+full@example.org", "mailbox", account="ann")])
    manager.offer(good)
    manager.offer(bad)
    gate.open.set()
    manager.wait_idle()
    flush(spool)
    assert f"{good.id}:0" in gate.kept and f"{bad.id}:0" not in gate.kept
    await end(manager, spool)
    assert queue.adopt().items == (bad.id,)
    await queue.close()


async def test_t_q_11_only_the_recipient_that_failed_is_tried_again_and_by_the_queue_process(tmp_path: Path) -> None:
    spool, queue = spools(tmp_path)
    ledger, clock = Ledger(), Clock()
    ledger.failing = {"bob@example.org"}
    first, second = manager_of(spool, ledger, clock), manager_of(queue, ledger, clock)
    agenda = agenda_of(queue, clock)
    item = await commit(spool, b"to three", [to("ann"), to("bob"), to("eve")])
    first.offer(item)
    first.wait_idle()
    flush(spool)
    tried = []
    for failures in range(1, 4):
        ledger.batches.clear()
        clock.seconds += 70.0 * 2 ** (failures - 1)
        await Passes(agenda, (second,)).run_once()
        second.wait_idle()
        flush(queue)
        tried += ledger.batches
        assert queue.open_recipients(item.id)[1].failures == failures + 1
    assert tried == [[f"{item.id}:1"]] * 3
    await Passes(agenda, (second,)).run_once()
    second.wait_idle()
    assert tried == [[f"{item.id}:1"]] * 3  # not due yet
    ledger.failing.clear()
    clock.seconds += 5000.0
    await Passes(agenda, (second,)).run_once()
    second.wait_idle()
    flush(queue)
    assert ledger.kept.keys() == {f"{item.id}:{index}" for index in range(3)}
    assert not queue.ids()
    texts = [event.text for _, event in ledger.events if event.recipient == "bob@example.org"]
    assert [text.startswith(f"attempt {n} failed, next after 2026-03-01T12:") for n, text in enumerate(texts[:4], 1)] == [
        True
    ] * 4
    assert texts[4:] == ["delivered to INBOX"]
    await end(first, spool)
    await end(second, queue)


def raising(error: Exception) -> Callable[[Sequence[Copy]], tuple[str, ...]]:
    def deliver(copies: Sequence[Copy]) -> tuple[str, ...]:
        raise error

    return deliver


@pytest.mark.parametrize(
    "error", [StorageError("full"), ValueError("a fault of ours"), KeyError("x")], ids=lambda e: type(e).__name__
)
async def test_whatever_a_delivery_raises_the_message_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    spool, queue = spools(tmp_path)
    ledger = Ledger()
    monkeypatch.setattr(ledger, "deliver", raising(error))
    manager = manager_of(spool, ledger)
    item = await commit(spool, b"x", [to("ann")])
    manager.offer(item)
    manager.wait_idle()
    flush(spool)
    assert queue.adopt().items == (item.id,)
    assert queue.open_recipients(item.id)[0].failures == 1
    await end(manager, spool, queue)


class Forgetful(Ledger):
    def add(self, record: DecisionRecord, events: tuple[LaterEvent, ...] = ()) -> None:
        raise StorageError("the decision store is not there")


async def test_an_item_stays_until_its_decision_record_is_kept(tmp_path: Path) -> None:
    spool, queue = spools(tmp_path)
    forgetful = Forgetful()
    manager = manager_of(spool, forgetful)
    item = await commit(spool, b"x", [to("ann")])
    manager.offer(item)
    manager.wait_idle()
    flush(spool)
    assert forgetful.kept
    ledger = Ledger()
    ledger.kept = forgetful.kept
    clock = Clock()
    second, agenda = manager_of(queue, ledger, clock), agenda_of(queue, clock)
    for _ in range(2):
        await Passes(agenda, (second,)).run_once()
        second.wait_idle()
        clock.seconds += 100.0
    assert ledger.records == {item.id: item.decision}
    flush(queue)
    assert not queue.ids()
    await end(manager, spool)
    await end(second, queue)


async def test_t_q_13_a_damaged_message_is_set_aside_and_others_flow(tmp_path: Path) -> None:
    spool, _ = spools(tmp_path)
    ledger = Ledger()
    manager = manager_of(spool, ledger)
    damaged, good = await commit(spool, b"damaged message", [to("ann")]), await commit(spool, b"good", [to("ann")])
    (segment,) = (tmp_path / "spool").glob("*.seg")
    segment.write_bytes(segment.read_bytes().replace(b"damaged message", b"demaged message"))
    manager.offer(damaged)
    manager.offer(good)
    manager.wait_idle()
    flush(spool)
    assert ledger.kept == {f"{good.id}:0": b"good"}
    assert (tmp_path / "spool/corrupt" / f"{damaged.id}.msg").read_bytes() == b"demaged message"
    assert not spool.ids()
    await end(manager, spool)


class Reader:
    """Tells nobody, but reads the message for it, as a report does."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool

    async def tell(
        self, item: QueueItem, action: str, fates: Mapping[int, Fate], at: datetime, retry_until: datetime | None = None
    ) -> str:
        self._spool.octets(item.id)
        return ""


async def test_t_q_13_a_damaged_message_whose_account_is_gone_is_set_aside(tmp_path: Path) -> None:
    spool, queue = spools(tmp_path)
    damaged = await commit(spool, b"damaged message", [to("ann")])
    await spool.close()
    agenda = agenda_of(queue)
    agenda.adopt()
    (segment,) = (tmp_path / "spool").glob("*.seg")
    with segment.open("r+b") as file:
        file.seek(segment.read_bytes().index(b"damaged message"))
        file.write(b"demaged message")
    ledger = Ledger()
    manager = DeliveryManager(queue, ledger, ledger, Clock(), reports=Reader(queue), has_account=lambda _: False)
    await Passes(agenda, (manager,)).run_once()
    await asyncio.to_thread(manager.wait_idle)
    flush(queue)
    assert (tmp_path / "spool/corrupt" / f"{damaged.id}.msg").read_bytes() == b"demaged message"
    assert not queue.ids()
    await end(manager, queue)


async def test_what_waits_when_the_server_stops_is_left_to_the_next_start(tmp_path: Path) -> None:
    spool, queue = spools(tmp_path)
    gate = Gate()
    manager = manager_of(spool, gate, threads=1)
    items: list[QueueItem] = [await commit(spool, b"x", [to(f"user{n}")]) for n in range(5)]
    for item in items:
        manager.offer(item)
    assert gate.entered.wait(30)
    threading.Timer(0.05, gate.open.set).start()
    await manager.stop()
    manager.offer(late := await commit(spool, b"late", [to("ann")]))
    await spool.close()
    delivered = {key.partition(":")[0] for key in gate.kept}
    assert len(delivered) < 5
    assert set(queue.adopt().items) == {item.id for item in [*items, late]} - delivered
    await queue.close()


async def test_the_queue_process_serves_what_a_dead_worker_left_by_itself(tmp_path: Path) -> None:
    spool, queue = spools(tmp_path)
    item = await commit(spool, b"left", [to("ann")])
    await spool.close()
    ledger = Gate()
    ledger.open.set()
    manager = manager_of(queue, ledger)
    passes = Rounds("pass", Passes(agenda_of(queue), (manager,)).run_once, every_s=0.25, first_after_s=0)
    passes.start()
    assert await asyncio.to_thread(ledger.entered.wait, 30)
    manager.wait_idle()
    assert f"{item.id}:0" in ledger.kept
    await passes.stop()
    await end(manager, queue)


async def test_t_q_17_no_more_of_a_long_queue_is_in_memory_than_has_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manager_module, "MOST_WAITING", 5)
    spool, queue = spools(tmp_path)
    for _ in range(12):
        await commit(spool, b"left", [to("ann")])
    await spool.close()
    ledger = Ledger()
    manager, agenda = manager_of(queue, ledger), agenda_of(queue)
    agenda.adopt()
    for kept in (5, 10, 12):
        await manager.run_pass(agenda)
        manager.wait_idle()
        flush(queue)
        assert (len(ledger.kept), len(queue.ids())) == (kept, 12 - kept)
    await end(manager, queue)


async def test_what_is_for_others_is_handed_over_once_our_own_part_is_through(tmp_path: Path) -> None:
    spool, queue = spools(tmp_path)
    gate = Gate()
    manager = manager_of(spool, gate)
    mixed = await commit(spool, b"mixed", [to("ann"), to("far", "relay"), to("bob", "quarantine")])
    manager.offer(mixed)
    assert gate.entered.wait(30)
    manager._hand_over.flush()
    flush(spool)
    assert not queue.adopt().items
    gate.open.set()
    manager.wait_idle()
    manager._hand_over.flush()
    flush(spool)
    assert queue.adopt().items == (mixed.id,)
    assert set(queue.open_recipients(mixed.id)) == {1}
    await end(manager, spool, queue)


async def test_messages_that_only_go_elsewhere_share_a_segment(tmp_path: Path) -> None:
    spool, queue = spools(tmp_path)
    manager = manager_of(spool, Ledger())
    items = [await commit(spool, b"x", [to("far", "relay")]) for _ in range(20)]
    for item in items:
        manager.offer(item)
    manager._hand_over.flush()
    flush(spool)
    assert len(list((tmp_path / "spool").glob("*.seg"))) == 1
    assert set(queue.adopt().items) == {item.id for item in items}
    await end(manager, spool, queue)


async def test_a_local_failure_does_not_keep_the_others_from_being_relayed(tmp_path: Path) -> None:
    spool, queue = spools(tmp_path)
    ledger = Ledger()
    ledger.failing = {"ann@example.org"}
    manager = manager_of(spool, ledger)
    item = await commit(spool, b"x", [to("ann"), to("far", "relay")])
    manager.offer(item)
    manager.wait_idle()
    manager._hand_over.flush()
    flush(spool)
    assert queue.adopt().items == (item.id,)
    assert {index: state.failures for index, state in queue.open_recipients(item.id).items()} == {0: 1, 1: 0}
    await end(manager, spool, queue)


class Told:
    """Reports that only remembers; failing: the first call raises."""

    def __init__(self, *, failing: bool = False) -> None:
        self.failing = failing
        self.told: list[tuple[str, list[int]]] = []

    async def tell(
        self, item: QueueItem, action: str, fates: Mapping[int, Fate], at: datetime, retry_until: datetime | None = None
    ) -> str:
        if self.failing:
            self.failing = False
            raise StorageError("the spool is not there")
        self.told.append((action, sorted(fates)))
        return ""


async def test_deliveries_somebody_wants_to_hear_of_are_told_together_by_the_queue_process(tmp_path: Path) -> None:
    """RFC 3461: one report about a message, and it is certain before the recipients are marked."""
    spool, queue = spools(tmp_path)
    ledger, clock, told = Ledger(), Clock(), Told(failing=True)
    first = manager_of(spool, ledger, clock)
    second = DeliveryManager(queue, ledger, ledger, clock, reports=told, chance=lambda: 0.5)
    agenda = agenda_of(queue, clock)
    asked = [replace(to(name), parameters=RcptParameters(("SUCCESS",))) for name in ("ann", "bob")]
    item = await commit(spool, b"to three", [*asked, to("eve")])
    first.offer(item)
    first.wait_idle()
    flush(spool)
    assert ledger.batches == [[f"{item.id}:2"]]
    await first.stop()  # what it leaves to others gathers no longer
    for _ in range(10):  # one pass takes over, one fails, one is told
        clock.seconds += 100.0
        await Passes(agenda, (second,)).run_once()
        await asyncio.to_thread(second.wait_idle)
        flush(queue)
    assert told.told == [("delivered", [0, 1])] and set(ledger.kept) == {f"{item.id}:{n}" for n in range(3)}
    assert not queue.ids()
    await end(second, queue, spool)


async def test_t_q_18_mail_for_an_account_that_was_removed_meanwhile_goes_back(tmp_path: Path) -> None:
    """By the queue process, which tells the sender; the others get theirs, and nothing is written for nobody."""
    spool, queue = spools(tmp_path)
    ledger, clock, told = Ledger(), Clock(), Told()
    there = {"ann", "bob"}
    first = DeliveryManager(spool, ledger, ledger, clock, has_account=there.__contains__)
    second = DeliveryManager(queue, ledger, ledger, clock, reports=told, has_account=there.__contains__)
    agenda = agenda_of(queue, clock)
    item = await commit(spool, b"to both", [to("ann"), to("bob")])
    there.remove("ann")
    first.offer(item)
    first.wait_idle()
    await first.stop()
    flush(spool)
    assert told.told == [] and not any(key.endswith(":0") for key in ledger.kept)
    for _ in range(10):
        clock.seconds += 100.0
        await Passes(agenda, (second,)).run_once()
        await asyncio.to_thread(second.wait_idle)
        flush(queue)
    assert told.told == [("failed", [0])] and set(ledger.kept) == {f"{item.id}:1"}
    assert ("ann@example.org", "failed: There is no such mailbox here any more") in {
        (event.recipient, event.text) for _, event in ledger.events
    }
    assert not queue.ids()
    await end(second, queue, spool)


class Full(Ledger):
    """There is no room for ann until there is."""

    has_room = False

    def deliver(self, copies: Sequence[Copy]) -> tuple[str, ...]:
        if not self.has_room and any(copy.recipient.account == "ann" for copy in copies):
            raise OverQuota("The account may hold 10 octets of mail and has 10")
        return super().deliver(copies)


@pytest.mark.parametrize(("has_room", "waits"), [(True, True), (False, True), (False, False)])
async def test_mail_for_a_full_mailbox_waits_for_room_and_goes_back_when_there_is_none(
    tmp_path: Path, has_room: bool, waits: bool
) -> None:
    spool, queue = spools(tmp_path)
    ledger, clock, told = Full(), Clock(), Told()
    first = DeliveryManager(spool, ledger, ledger, clock, waits_for_room=waits)
    second = DeliveryManager(queue, ledger, ledger, clock, reports=told, give_up_after_s=20_000.0, waits_for_room=waits)
    agenda = agenda_of(queue, clock)
    item = await commit(spool, b"to both", [to("ann"), to("bob")])
    first.offer(item)
    first.wait_idle()
    await first.stop()
    flush(spool)
    assert not told.told
    ledger.has_room = has_room
    for _ in range(20 if waits else 2):
        clock.seconds += 4000.0
        await Passes(agenda, (second,)).run_once()
        await asyncio.to_thread(second.wait_idle)
        flush(queue)
    assert set(ledger.kept) == ({f"{item.id}:0"} if has_room else set()) | {f"{item.id}:1"}
    assert told.told == ([] if has_room else [("failed", [0])])
    assert not queue.ids()
    await end(second, queue, spool)


@pytest.mark.parametrize("broken", ["the notes", "the octets", "the beginning"])
async def test_what_fails_unforeseen_in_the_queue_process_is_tried_again_without_a_restart(tmp_path: Path, broken: str) -> None:
    spool, queue = spools(tmp_path)
    item = await commit(spool, b"x", [to("ann")])
    await spool.close()
    ledger, clock = Ledger(), Clock()
    manager, agenda = manager_of(queue, ledger, clock), agenda_of(queue, clock)
    holder, name = {
        "the notes": (ledger, "add_all"),
        "the octets": (queue, "octets"),
        "the beginning": (queue, "begin_attempts"),
    }[broken]
    works = getattr(holder, name)
    setattr(holder, name, raising(ValueError("nobody thought of this")))
    await Passes(agenda, (manager,)).run_once()
    manager.wait_idle()
    setattr(holder, name, works)
    flush(queue)
    assert queue.open_recipients(item.id)[0].failures == 1
    clock.seconds += 100.0
    await Passes(agenda, (manager,)).run_once()
    manager.wait_idle()
    flush(queue)
    assert not queue.ids() and ledger.kept == {f"{item.id}:0": b"x"}
    await end(manager, queue)
