"""The queue asked from another process: the same values as in it, page by page, and what happens when it is away."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from mailward.delivery import control as module
from mailward.delivery.control import Done, QueueControl, Selection
from mailward.delivery.mda import Copy
from mailward.disk import Disk
from mailward.net import queued
from mailward.net.local import PeerAway, Refusal, call_once
from mailward.queue.agenda import Agenda
from mailward.queue.item import QueueItem
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
        self.control = QueueControl(self.spool, agenda, Ledger(), Kept(), Clock())
        self.server = queued.QueueServer(self.path, self.control)

    async def put(self, recipients: int) -> QueueItem:
        item = item_for(b"mail", recipients)
        incoming = self.spool.begin(item.id, kept=True)
        incoming.write(b"mail")
        await incoming.commit(item)
        return item

    async def order(self, name: queued.Order, selection: Selection, reason: str = "") -> list[Done]:
        return await asyncio.to_thread(lambda: list(queued.order(self.path, name, selection, reason)))


@pytest.fixture
async def process(tmp_path: Path) -> AsyncIterator[Process]:
    made = Process(tmp_path)
    await made.server.start()
    yield made
    await made.server.close()
    await made.spool.close()


async def test_a_page_arrives_as_it_was_made(process: Process) -> None:
    await process.put(2)
    process.control.hold(Selection(to="user1@example.org"), "a reason of two words: \N{SNOWMAN}")
    found = await asyncio.to_thread(lambda: list(queued.pages(process.path, Selection())))
    assert found == [process.control.list(Selection())]


async def test_all_that_a_selection_says_is_heard(process: Process) -> None:
    await process.put(2)
    for selection in (Selection(older_than_s=0.5), Selection(reverse_path="<>"), Selection(is_held=True), Selection(id="x")):
        (page,) = await asyncio.to_thread(lambda chosen: list(queued.pages(process.path, chosen)), selection)
        assert page == process.control.list(selection)


async def test_orders_are_carried_out_to_their_end(process: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAGE_RECIPIENTS", 4)
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
        list(queued.pages(tmp_path / "none.sock", Selection()))
    other: Any = {"selection": {"colour": "red"}, "after": "", "reason": ""}
    with pytest.raises(Refusal):
        await asyncio.to_thread(call_once, process.path, "list", other)
