"""The queue asked from another process: the same values as in it, page by page, and what happens when it is away."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import pytest

from mailward.delivery import selecting
from mailward.delivery.calls import By, Done, Selection
from mailward.delivery.control import QueueControl
from mailward.delivery.mda import Copy
from mailward.delivery.standing import StandingOrders
from mailward.disk import Disk
from mailward.metering import Meters
from mailward.model.envelope import RcptParameters
from mailward.model.metrics import Counter, Histogram
from mailward.net import queued
from mailward.net.local import PeerAway, Refusal, call_once
from mailward.queue.agenda import Agenda
from mailward.queue.item import QueuedRecipient, QueueItem
from mailward.queue.spool import Spool
from support.spooling import Clock, Ledger, item_for


class Kept:
    """A quarantine that forgets."""

    def keep(self, copy: Copy, reason: str) -> None:
        pass


class Process:
    """The one that has the queue."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "run" / "queue.sock"
        self.spool = Spool(folder / "spool", Disk(), owner="queue")
        agenda = Agenda(self.spool, Clock(), lambda: 0.0)
        self.ledger = Ledger()
        self.control = QueueControl(
            self.spool, agenda, self.ledger, Kept(), StandingOrders(folder / "orders.json", Disk(), Clock()), Clock()
        )
        self.meters = Meters()
        self.server = queued.QueueServer(self.path, self.control, self.meters.read)

    async def put(
        self, recipients: Sequence[QueuedRecipient] | int, reverse_path: str = "a@example.net", envelope_id: str = ""
    ) -> QueueItem:
        item = replace(item_for(b"mail", recipients, reverse_path=reverse_path), envelope_id=envelope_id)
        incoming = self.spool.begin(item.id, kept=True)
        incoming.write(b"mail")
        await incoming.commit(item)
        return item

    async def order(self, name: queued.Order, selection: Selection, reason: str = "") -> list[Done]:
        return await asyncio.to_thread(lambda: list(queued.order(self.path, name, selection, untold, reason)))


@pytest.fixture
async def process(tmp_path: Path) -> AsyncIterator[Process]:
    made = Process(tmp_path)
    await made.server.start()
    yield made
    await made.server.close()
    await made.spool.close()


def untold(looked: int, total: int) -> None:
    """Nobody wants to know how far it is."""


async def test_a_message_arrives_as_it_was_made(process: Process) -> None:
    await process.put(2)
    process.control.hold(Selection(to="user1@example.org"), "a reason of two words: \N{SNOWMAN}")
    found = await asyncio.to_thread(lambda: list(queued.messages(process.path, Selection(), untold)))
    assert tuple(found) == process.control.list(Selection()).messages


async def test_all_that_a_selection_says_is_heard(process: Process) -> None:
    await process.put(2)
    for selection in (
        Selection(older_than_s=0.5),
        Selection(reverse_path="<>"),
        Selection(status="held"),
        Selection(problem="full"),
        Selection(id="x"),
    ):
        found = await asyncio.to_thread(lambda chosen: list(queued.messages(process.path, chosen, untold)), selection)
        assert tuple(found) == process.control.list(selection).messages == ()


async def test_t_q_17_a_long_queue_comes_in_many_answers_and_each_message_whole(
    process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selecting, "PAGE_RECIPIENTS", 4)
    monkeypatch.setattr(selecting, "PAGE_MESSAGES", 2)
    items = [await process.put(count) for count in (3, 9, 1, 2, 1)]
    heard: list[tuple[int, int]] = []
    told = lambda looked, total: heard.append((looked, total))  # noqa: E731
    found = await asyncio.to_thread(lambda: list(queued.messages(process.path, Selection(), told)))
    assert [(message.id, len(message.recipients)) for message in found] == [(i.id, len(i.recipients)) for i in items]
    assert len(heard) > 3 and heard == sorted(heard) and heard[-1] == (5, 5)
    (group,) = await asyncio.to_thread(lambda: queued.groups(process.path, Selection(), "domain", untold))
    assert (group.name, group.recipients, sum(group.ages)) == ("example.org", 16, 16)
    assert await asyncio.to_thread(lambda: list(queued.messages(process.path, Selection(to="elsewhere"), untold))) == []


async def test_no_answer_is_longer_than_a_line_of_the_socket_may_be(process: Process) -> None:
    """Strangers choose the paths, the parameters and the words of the last answer."""
    wide = "\N{SNOWMAN}" * 80
    said = RcptParameters(("FAILURE",), "utf-8;" + "x" * 490)
    for number in range(300):
        recipients = [QueuedRecipient(f"{wide}{number}@example.org", "relay", parameters=said)]
        item = await process.put(recipients, f"{wide}@example.net", "e" * 100)
        process.spool.failed_attempt(item.id, 0, f"{number}" + wide * 10, datetime(2026, 3, 1, tzinfo=UTC))
    assert len(await process.order("hold", Selection(), wide * 10)) == 300
    for key in get_args(By):
        assert await asyncio.to_thread(lambda by: len(queued.groups(process.path, Selection(), by, untold)), key) in (1, 300)
    assert len(await asyncio.to_thread(lambda: list(queued.messages(process.path, Selection(), untold)))) == 300


async def test_t_dos_16_numbers_arrive_as_they_are_whatever_plugins_write_into_labels(process: Process) -> None:
    wide, labels = "\N{GRINNING FACE}" * 60, ("a", "b", "c", "d")
    process.meters.share(["other"])
    for seat in ["", "other"]:
        process.meters.sit(seat)
        for number in range(400):
            values = dict.fromkeys(labels, f"{seat}{number}{wide}")
            process.meters.of("x").observe(Histogram("took_s", "x" * 200, labels), number, **values)
            process.meters.of("y").count(Counter("seen", "seen", ("number",)), number=str(number))
    found = await asyncio.to_thread(queued.metrics, process.path)
    assert tuple(found) == process.meters.read() and min(len(family.series) for family in found) > 50


async def test_the_decision_of_mail_that_was_never_tried_is_noted_when_somebody_asks_for_it(process: Process) -> None:
    assert not await asyncio.to_thread(queued.note, process.path, "")
    first, second = await process.put(1), await process.put(1)
    assert await asyncio.to_thread(queued.note, process.path, first.id)
    assert process.ledger.records == {first.id: first.decision}
    assert await asyncio.to_thread(queued.note, process.path, "")  # the newest
    assert process.ledger.records == {first.id: first.decision, second.id: second.decision}
    assert not await asyncio.to_thread(queued.note, process.path, "nosuchid")


async def test_orders_are_carried_out_to_their_end(process: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selecting, "PAGE_RECIPIENTS", 4)
    item = await process.put(10)
    everybody = [Done(item.id, f"user{n}@example.org", "") for n in range(10)]
    assert await process.order("hold", Selection(), "why") == everybody
    assert {state.held for state in process.spool.open_recipients(item.id).values()} == {"why"}
    assert {done.why_not for done in await process.order("retry", Selection())} == {"it is held; release it first"}
    assert await process.order("release", Selection()) == everybody
    assert await process.order("drop", Selection(), "spam") == everybody
    assert await process.order("drop", Selection()) == [] and process.spool.ids() == []


async def test_no_answer_is_an_error_and_so_is_a_selection_of_another_release(process: Process, tmp_path: Path) -> None:
    with pytest.raises(PeerAway):
        list(queued.messages(tmp_path / "none.sock", Selection(), untold))
    other: Any = {"selection": {"colour": "red"}, "after": "", "reason": ""}
    with pytest.raises(Refusal):
        await asyncio.to_thread(call_once, process.path, "list", other)
