"""By when mail is to be there, and before which other (RFC 2852, RFC 6710): the queue with a clock that is told, and real peers."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from mailward.delivery.limits import OutboundLimits
from mailward.delivery.manager import DeliveryManager
from mailward.delivery.mda import Copy
from mailward.delivery.reporting import SpooledReports
from mailward.model.decision import utc_text
from mailward.model.envelope import RcptParameters
from mailward.model.errors import StorageError
from mailward.queue.item import QueuedRecipient, QueueItem
from support.relaying import SENDER, FakeDirectory, Office
from support.smtp_peer import Peer, peer
from support.spooling import Clock, flush, item_for

BUSY = {"MESSAGE": b"451 4.3.0 busy\r\n"}
KEEPS_TIME = ("PIPELINING", "8BITMIME", "DELIVERBY 10")
HOUR = utc_text(Clock().now() + timedelta(hours=1))


@contextlib.asynccontextmanager
async def office(folder: Path, routes: Mapping[str, Peer], limits: OutboundLimits | None = None) -> AsyncIterator[Office]:
    made = Office(folder, routes, limits=limits)
    try:
        yield made
    finally:
        await made.close()


async def test_late_mail_in_mode_r_goes_back_at_its_moment_and_not_before(tmp_path: Path) -> None:
    with peer(BUSY, offers=KEEPS_TIME) as far:
        async with office(tmp_path, {"far.test": far}) as made:
            item = await made.post("a@far.test", by_mode="R", deliver_by=HOUR)
            await made.work()
            for at in range(10, 3600, 10):
                made.clock.seconds = at
                await made.passes.run_once()
                await made.manager.idle()
            flush(made.spool)
            said = [line.split(" BY=")[1] for line in far.lines if line.startswith("MAIL")]
            assert said[0] == "3600;R" and len(said) > 2, "what is left of its time"
            assert [int(one[:-2]) for one in said] == sorted((int(one[:-2]) for one in said), reverse=True)
            assert made.open(item) == {0: len(said)} and not made.reports()
            await made.later(10)
            assert made.open(item) == {} and far.verbs().count("MAIL") == len(said), "it is not even tried"
            [(_, report)] = made.reports()
            assert "Action: failed\r\nStatus: 5.4.7\r\n" in report
            assert "Deliver-By-Date: Sun, 01 Mar 2026 13:00:00 +0000\r\n" in report
            assert made.events(item)[-1].startswith("failed: It could not be delivered by 2026-03-01T13:00:00.000Z")


async def test_mail_in_mode_r_goes_back_at_once_where_no_server_would_return_it(tmp_path: Path) -> None:
    with peer() as far:
        async with office(tmp_path, {"far.test": far}) as made:
            item = await made.post("a@far.test", by_mode="R", deliver_by=HOUR)
            await made.work()
            assert made.open(item) == {} and not far.taken
            assert "Status: 5.3.3\r\n" in made.reports()[0][1]


@pytest.mark.parametrize("notify", [(), ("DELAY",), ("FAILURE",), ("NEVER",)])
async def test_of_late_mail_in_mode_n_its_sender_hears_once_and_it_is_still_tried(
    tmp_path: Path, notify: tuple[str, ...]
) -> None:
    with peer(BUSY) as far:
        async with office(tmp_path, {"far.test": far}) as made:
            to = (QueuedRecipient("a@far.test", "relay", parameters=RcptParameters(notify)),)  # type: ignore[arg-type]
            item = await made.post("a@far.test", by_mode="N", recipients=to, deliver_by=HOUR)
            await made.work()
            made.clock.seconds = 3599
            await made.work()
            assert not made.reports()
            await made.later(1)
            wants = notify in ((), ("DELAY",))
            assert ["Action: delayed\r\nStatus: 4.4.7\r\n" in text for _, text in made.reports()] == [True] * wants
            for _ in range(4):
                await made.later(3600 * 1.3)
            assert len(made.reports()) == wants, "nothing more behind the usual time"
            far.answers.clear()
            await made.later(3600 * 1.3)
            assert made.open(item) == {} and len(far.taken) == 1
            # The next server keeps no time: this is the last that its sender hears (section 4.1.4.2).
            relayed = ["Action: relayed\r\n" in text for _, text in made.reports()]
            assert relayed.count(True) == (notify != ("NEVER",))


@pytest.mark.parametrize(("trace", "told"), [(True, True), (False, False)])
async def test_a_server_that_keeps_time_is_told_how_late_it_is_and_traced_mail_is_told_of(
    tmp_path: Path, trace: bool, told: bool
) -> None:
    with peer(offers=KEEPS_TIME) as far:
        async with office(tmp_path, {"far.test": far}) as made:
            made.clock.seconds = 4000.9
            item = await made.post("a@far.test", by_mode="N", by_trace=trace, deliver_by=HOUR)
            await made.work()
            assert [line for line in far.lines if line.startswith("MAIL")] == [
                f"MAIL FROM:<{SENDER}> BY=-400;N{'T' if trace else ''}"
            ]
            assert made.open(item) == {}
            assert ["Action: relayed\r\n" in text for _, text in made.reports()] == [True] * told


async def test_mail_of_higher_priority_leaves_first(tmp_path: Path) -> None:
    with peer(offers=("MT-PRIORITY", "8BITMIME")) as far:
        async with office(tmp_path, {"far.test": far}, OutboundLimits(connections_per_domain=1)) as made:
            for number in (0, -4, 3, -4, 9):
                await made.post("a@far.test", octets=f"Subject: {number}\r\n\r\n".encode(), priority=number)
            await made.work()
            order = [int(taken.octets.partition(b"Subject: ")[2].partition(b"\r")[0]) for taken in far.taken]
            assert order == [9, 3, 0, -4, -4]
            said = [line.removeprefix(f"MAIL FROM:<{SENDER}>").strip() for line in far.lines if line.startswith("MAIL")]
            assert said == ["MT-PRIORITY=9", "MT-PRIORITY=3", "", "MT-PRIORITY=-4", "MT-PRIORITY=-4"]


class FullMailbox:
    def deliver(self, copies: object) -> tuple[str, ...]:
        raise StorageError("the disk is full")


async def test_mail_for_a_mailbox_here_goes_back_too_when_it_is_late(tmp_path: Path) -> None:
    async with office(tmp_path, {}) as made:
        reports = SpooledReports(made.spool, made.agenda, FakeDirectory(), made.kept, "mail.example.org", lambda: 1 << 40, 0)
        manager = DeliveryManager(made.spool, FullMailbox(), made.ledger, made.clock, reports=reports, chance=lambda: 0.5)
        plain = item_for(b"Subject: x\r\n\r\n", [QueuedRecipient("bob@example.org", "mailbox", "bob")], reverse_path=SENDER)
        item: QueueItem = replace(plain, origin="submission", by_mode="R", deliver_by=HOUR)
        incoming = made.spool.begin(item.id, kept=True)
        incoming.write(b"Subject: x\r\n\r\n")
        await incoming.commit(item)
        made.agenda.plan(item.id, 0)

        async def work() -> None:
            await manager.run_pass(made.agenda)
            await asyncio.to_thread(manager.wait_idle)
            flush(made.spool)

        await work()
        for at in range(60, 3600, 60):
            made.clock.seconds = at
            await work()
        assert made.open(item)[0] > 3 and not made.reports()
        made.clock.seconds = 3600
        await work()
        assert made.open(item) == {}
        assert "Status: 5.4.7\r\n" in made.reports()[0][1]
        await manager.stop()


class Noted:
    """Takes everything, and keeps to whom it was."""

    def __init__(self) -> None:
        self.served: list[str] = []

    def deliver(self, copies: Sequence[Copy]) -> tuple[str, ...]:
        self.served += [copy.recipient.forward_path for copy in copies]
        return tuple("done" for _ in copies)


@pytest.mark.parametrize("at_once", [True, False])
async def test_what_the_policy_keeps_back_is_in_the_quarantine_though_its_sender_wants_it_held(
    tmp_path: Path, at_once: bool
) -> None:
    """By whoever took it, and by the queue process behind a crash; the others wait (RFC 4865)."""
    async with office(tmp_path, {}) as made:
        noted = Noted()
        manager = DeliveryManager(made.spool, noted, made.ledger, made.clock, chance=lambda: 0.5)
        to = [
            QueuedRecipient("bob@example.org", "mailbox", "bob"),
            QueuedRecipient("eve@example.org", "quarantine", reason="odd"),
        ]
        item = replace(item_for(b"Subject: x\r\n\r\n", to), hold_until=HOUR)
        incoming = made.spool.begin(item.id, kept=True)
        incoming.write(b"Subject: x\r\n\r\n")
        await incoming.commit(item)
        if at_once:
            manager.offer(item)
            await asyncio.to_thread(manager.wait_idle)
            flush(made.spool)
            assert noted.served == ["eve@example.org"]
        for index in (0, 1):
            made.agenda.plan(item.id, index)
        for at, served in ((0, ["eve@example.org"]), (3599, ["eve@example.org"]), (3600, ["eve@example.org", "bob@example.org"])):
            made.clock.seconds = at
            await manager.run_pass(made.agenda)
            await asyncio.to_thread(manager.wait_idle)
            flush(made.spool)
            assert noted.served == served
        await manager.stop()
