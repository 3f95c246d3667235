"""Whether a report is written, which way it goes, and when it is certain."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from mailward.delivery.fate import Fate
from mailward.delivery.reporting import LOST_TOLD_AN_HOUR, UNTOLD_A_DAY_OCTETS, SpooledReports
from mailward.disk import Disk
from mailward.formats.dsn import Action
from mailward.model.envelope import Notify, RcptParameters
from mailward.protocol.smtp.outgoing import Result
from mailward.queue.agenda import Agenda
from mailward.queue.item import QueuedRecipient, QueueItem
from mailward.queue.spool import Spool
from support.relaying import SENDER, FakeDirectory
from support.spooling import NOW, Clock, Kept, item_for

OCTETS = b"Subject: x\r\n\r\nbody\r\n"
NO = Fate(Result.PERMANENT, "5.1.1", "550 5.1.1 nobody", "mx.example.net", "")


class Desk:
    """The reports of a queue process."""

    def __init__(self, folder: Path) -> None:
        self.spool = Spool(folder, Disk(), owner="queue")
        self.agenda = Agenda(self.spool, Clock(), lambda: 0.0)
        self.now_s = 0.0
        self.kept = Kept()
        self.free_octets = 1 << 40
        self.reports = SpooledReports(
            self.spool,
            self.agenda,
            FakeDirectory(),
            self.kept,
            "mail.example.org",
            free_octets=lambda: self.free_octets,
            least_free_octets=1 << 20,
            monotonic_s=lambda: self.now_s,
        )

    async def put(
        self, *routes: str, reverse_path: str = SENDER, origin: str = "submission", notify: tuple[Notify, ...] = ()
    ) -> QueueItem:
        said = RcptParameters(notify)
        recipients = [QueuedRecipient(f"user{n}@example.net", route, parameters=said) for n, route in enumerate(routes)]
        item = replace(item_for(OCTETS, recipients, reverse_path=reverse_path), origin=origin)  # type: ignore[arg-type]
        incoming = self.spool.begin(item.id, kept=True)
        incoming.write(OCTETS)
        await incoming.commit(item)
        return item

    def due(self) -> list[tuple[str, QueuedRecipient, str]]:
        """Reports that wait: from whom, the way they go, and their octets."""
        items = [due.item for due in self.agenda.take(("mailbox", "relay"))]
        return [(item.reverse_path, item.recipients[0], self.spool.octets(item.id).decode("ascii")) for item in items]


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    made = Desk(tmp_path / "spool")
    yield made
    await made.spool.close()


async def test_a_report_is_due_at_once_from_the_null_reverse_path(desk: Desk) -> None:
    await desk.reports.tell(await desk.put("relay"), "failed", {0: NO}, NOW)
    ((sender, to, octets),) = desk.due()
    assert (sender, to) == ("", QueuedRecipient(SENDER, "mailbox", "ann"))
    assert "From: Mail delivery <postmaster@example.org>\r\n" in octets
    assert "Action: failed\r\n" in octets and "Last-Attempt-Date: Sun, 01 Mar 2026 12:00:00 +0000\r\n" in octets


async def test_a_delay_is_told_to_another_server_in_the_name_of_the_host(desk: Desk) -> None:
    item = await desk.put("relay", reverse_path="bob@example.com")
    await desk.reports.tell(item, "delayed", {0: NO}, NOW, NOW + timedelta(days=5))
    ((_, to, octets),) = desk.due()
    assert to == QueuedRecipient("bob@example.com", "relay")
    assert "From: Mail delivery <postmaster@mail.example.org>\r\n" in octets and "Action: delayed\r\n" in octets


@pytest.mark.parametrize("route", ["quarantine", "discard"])
async def test_t_relay_13_what_our_own_policy_keeps_back_gets_no_report(desk: Desk, route: str) -> None:
    await desk.reports.tell(await desk.put(route), "failed", {0: NO}, NOW)
    assert desk.due() == []
    await desk.reports.tell(await desk.put(route, "relay"), "failed", {0: NO, 1: NO}, NOW)
    ((_, _, octets),) = desk.due()
    assert "Final-Recipient: rfc822; user1@example.net\r\n" in octets and "user0" not in octets


@pytest.mark.parametrize(
    ("reverse_path", "origin", "why"),
    [
        ("", "submission", "it came from the null reverse-path"),
        (SENDER, "inbound", "neither SPF nor DMARC proved its reverse-path"),
        ("nobody@example.org", "submission", "its reverse-path is no mailbox here"),
        ("no address", "inbound", "neither SPF nor DMARC proved its reverse-path"),
    ],
)
async def test_t_q_12_nobody_is_told_where_nobody_may_be_and_a_copy_is_kept(
    desk: Desk, reverse_path: str, origin: str, why: str
) -> None:
    """What is a forward that its target refuses is lost for everybody else."""
    item = await desk.put("relay", reverse_path=reverse_path, origin=origin)
    said = await desk.reports.tell(item, "failed", {0: replace(NO, text="refused by mx: 550 5.1.1 nobody")}, NOW)
    assert desk.due() == []
    assert said == f"nobody is told, since {why}; a copy is in quarantine"
    assert desk.kept.copies == [
        (f"{item.id}:0", f"not delivered (refused by mx: 550 5.1.1 nobody), and nobody is told, since {why}")
    ]


async def test_t_q_12_copies_of_lost_mail_have_a_limit_a_day_and_their_absence_is_told(desk: Desk) -> None:
    """Who makes mail that nobody is told of is anybody; what is not kept is said in the log and where `explain` finds it."""
    desk.reports._copies.charge("", 0.0, UNTOLD_A_DAY_OCTETS - len(OCTETS))
    for said in ("a copy is in quarantine", "no copy is kept, since of such mail 1024 MiB a day are kept"):
        item = await desk.put("relay", "relay", origin="inbound")
        with capture_logs() as logs:
            assert (await desk.reports.tell(item, "failed", {0: NO, 1: NO}, NOW)).endswith(f"; {said}")
        warned = [line["id"] for line in logs if line["event"] == "no copy is kept of lost mail"]
        assert warned == ([item.id] if said.startswith("no") else [])
    assert len(desk.kept.copies) == 2  # both recipients of the first, whose octets count once
    desk.now_s = 86400.0
    assert (await desk.reports.tell(item, "failed", {0: NO}, NOW)).endswith("a copy is in quarantine")


async def test_t_q_12_copies_of_lost_mail_leave_the_disk_its_free_space(desk: Desk) -> None:
    item = await desk.put("relay", origin="inbound")
    desk.free_octets = (1 << 20) + len(OCTETS) - 1
    said = await desk.reports.tell(item, "failed", {0: NO}, NOW)
    assert said.endswith("no copy is kept, since the disk would be left with less than limits.free_disk_octets")
    assert desk.kept.copies == []
    desk.free_octets += 1
    assert (await desk.reports.tell(item, "failed", {0: NO}, NOW)).endswith("a copy is in quarantine")


async def test_nothing_is_kept_of_what_is_told_and_of_what_may_come_yet(desk: Desk) -> None:
    assert await desk.reports.tell(await desk.put("relay"), "failed", {0: NO}, NOW) == ""
    assert await desk.reports.tell(await desk.put("relay", origin="inbound"), "delayed", {0: NO}, NOW) == ""
    assert await desk.reports.tell(await desk.put("relay", notify=("NEVER",)), "failed", {0: NO}, NOW) == ""
    assert desk.kept.copies == []


@pytest.mark.parametrize(
    ("notify", "told"),
    [
        ((), {"failed", "delayed"}),
        (("NEVER",), set()),
        (("FAILURE",), {"failed"}),
        (("DELAY",), {"delayed"}),
        (("SUCCESS",), {"delivered", "relayed"}),
        (("SUCCESS", "FAILURE", "DELAY"), {"failed", "delayed", "delivered", "relayed"}),
    ],
)
async def test_only_what_the_sender_asked_for_is_told(desk: Desk, notify: tuple[Notify, ...], told: set[Action]) -> None:
    """RFC 3461 section 4.1; without NOTIFY, failures and delays."""
    actions: tuple[Action, ...] = ("failed", "delayed", "delivered", "relayed")
    for action in actions:
        await desk.reports.tell(await desk.put("relay", notify=notify), action, {0: NO}, NOW)
    assert {octets.partition("Action: ")[2].partition("\r\n")[0] for _, _, octets in desk.due()} == told


@pytest.mark.parametrize(("reverse_path", "origin"), [("", "submission"), (SENDER, "inbound"), (SENDER, "server")])
async def test_t_q_12_success_is_not_told_either_where_nobody_may_be(desk: Desk, reverse_path: str, origin: str) -> None:
    item = await desk.put("mailbox", reverse_path=reverse_path, origin=origin, notify=("SUCCESS",))
    await desk.reports.tell(item, "delivered", {0: NO}, NOW)
    assert desk.due() == []


async def test_t_q_12_the_postmaster_hears_of_a_few_lost_reports_an_hour_and_how_many_more_there_were(desk: Desk) -> None:
    for _ in range(LOST_TOLD_AN_HOUR + 4):
        lost = await desk.put("relay", reverse_path="", origin="server")
        await desk.reports.tell(lost, "failed", {0: NO}, NOW)
    told = desk.due()
    assert len(told) == LOST_TOLD_AN_HOUR
    assert all(to == QueuedRecipient("postmaster@mail.example.org", "mailbox", "ann") for _, to, _ in told)
    assert {sender for sender, _, _ in told} == {""}
    assert "Subject: Nobody told: a report to user0@example.net cannot be delivered" in told[0][2]
    assert "mx.example.net said: 550 5.1.1 nobody" in told[0][2] and "more could not" not in told[0][2]
    desk.now_s = 3600.0
    await desk.reports.tell(await desk.put("relay", reverse_path="", origin="server"), "failed", {0: NO}, NOW)
    ((_, _, octets),) = desk.due()
    assert "4 more could not be delivered since the notice before this one" in octets


@pytest.mark.parametrize("action", ["delayed", "delivered", "relayed"])
async def test_t_q_12_of_a_report_that_is_not_lost_nobody_hears(desk: Desk, action: Action) -> None:
    await desk.reports.tell(
        await desk.put("relay", reverse_path="", origin="server", notify=("SUCCESS", "DELAY")), action, {0: NO}, NOW
    )
    assert desk.due() == []
