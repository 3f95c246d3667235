"""Relaying with a real spool and real peers: what is tried when, and what each recipient comes to."""

import asyncio
import contextlib
import re
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import NoReturn

import pytest
import structlog

from mailward.delivery.calls import Selection, StandingOrder
from mailward.delivery.control import QueueControl
from mailward.delivery.limits import OutboundLimits
from mailward.delivery.mda import Copy
from mailward.delivery.route import Target
from mailward.model.address import Address
from mailward.model.decision import DecisionRecord, LaterEvent, utc_text
from mailward.model.edits import AddHeader
from mailward.model.envelope import Notify, RcptParameters
from mailward.model.errors import StorageError
from mailward.model.tls import TlsLevel, TlsRequirement, TlsResult
from mailward.net.connect import SmtpConnector
from mailward.net.hop import SmtpHop
from mailward.net.tls import verifying_context
from mailward.queue import journal
from mailward.queue.item import QueuedRecipient
from mailward.queue.jobs import Mark
from mailward.queue.recipient import OpenRecipient
from mailward.queue.record import Kind
from mailward.queue.schedule import LEAST_ATTEMPTS
from mailward.queue.spool import Recipient
from mailward.testing.fakes import FakeZone
from support.relaying import SENDER, SHORT, Office
from support.smtp_peer import CLOSE, HANG, OK, Peer, peer
from support.smtp_service import throw_away_certificate
from support.spooling import Clock, flush

DAY_S = 86400.0
BUSY = b"451 4.3.0 busy\r\n"
NOBODY = b"550 5.1.1 nobody\r\n"


@contextlib.asynccontextmanager
async def office(folder: Path, routes: Mapping[str, Peer], **settings: object) -> AsyncIterator[Office]:
    made = Office(folder, routes, **settings)  # type: ignore[arg-type]
    try:
        yield made
    finally:
        await made.close()


async def test_a_message_leaves_signed_with_its_trace_once_for_each_domain(tmp_path: Path) -> None:
    with peer() as near, peer() as far:
        async with office(tmp_path, {"near.test": near, "far.test": far}) as made:
            item = await made.post("a@near.test", "b@far.test", "c@near.test")
            await made.work()
            assert [taken.forward_paths for taken in near.taken] == [("a@near.test", "c@near.test")]
            assert [taken.forward_paths for taken in far.taken] == [("b@far.test",)]
            assert near.taken[0].octets == b"X-Signed: yes\r\n" + item.trace.encode() + b"Subject: x\r\n\r\nbody\r\n"
            assert near.taken[0].reverse_path == SENDER
            assert made.open(item) == {} and not made.spool.ids()
            assert made.ledger.records == {item.id: item.decision}
            assert made.events(item)[0].startswith("relayed to [127.0.0.1] in clear: 250 2.0.0 taken")
            assert {(asked.origin, asked.domain) for asked in made.rules.asked} == {
                ("submission", "near.test"),
                ("submission", "far.test"),
            }


async def test_t_q_11_each_of_a_hundred_recipients_comes_to_its_own_end(tmp_path: Path) -> None:
    answers: dict[str, bytes] = {}
    for n in range(100):
        if n % 3:
            answers[f"RCPT u{n}@far.test"] = BUSY if n % 3 == 1 else NOBODY
    with peer(answers) as far:
        async with office(tmp_path, {"far.test": far}) as made:
            item = await made.post(*(f"u{n}@far.test" for n in range(100)))
            await made.work()
            assert set(made.open(item)) == {n for n in range(100) if n % 3 == 1}
            (taken,) = far.taken
            assert taken.forward_paths == tuple(f"u{n}@far.test" for n in range(0, 100, 3))
            ((report, text),) = made.reports()
            assert report.recipients[0].account == "ann" and text.count("Final-Recipient:") == 33
            far.answers.clear()
            await made.later(400)
            assert far.taken[1].forward_paths == tuple(f"u{n}@far.test" for n in range(1, 100, 3))
            assert made.open(item) == {} and len(far.taken) == 2


@pytest.mark.parametrize("step", ["RCPT u7@far.test", "DATA", "MESSAGE"])
@pytest.mark.parametrize("answer", [CLOSE, HANG, b"421 4.3.2 going\r\n" + CLOSE], ids=["close", "hang", "421"])
async def test_t_q_11_a_connection_lost_in_the_middle_leaves_all_that_were_not_answered(
    tmp_path: Path, step: str, answer: bytes
) -> None:
    with peer({step: answer, "RCPT u1@far.test": NOBODY}) as far:
        async with office(tmp_path, {"far.test": far}) as made:
            item = await made.post(*(f"u{n}@far.test" for n in range(10)))
            await made.work()
            assert set(made.open(item)) == set(range(10)) - {1}
            far.answers = {}
            await made.later(400)
            assert made.open(item) == {} and len(far.taken) == 1 and len(far.taken[0].forward_paths) == 9


async def test_more_recipients_than_a_transaction_takes_go_in_several(tmp_path: Path) -> None:
    with peer() as far:
        async with office(tmp_path, {"far.test": far}) as made:
            item = await made.post(*(f"u{n}@far.test" for n in range(250)))
            await made.work()
            assert sorted(len(taken.forward_paths) for taken in far.taken) == [50, 100, 100]
            assert made.open(item) == {}


async def test_messages_of_a_domain_share_connections_within_the_limit(tmp_path: Path) -> None:
    with peer() as far:
        async with office(tmp_path, {"far.test": far}, limits=OutboundLimits(connections_per_domain=3)) as made:
            for _ in range(40):
                await made.post("a@far.test")
            await made.work()
            assert len(far.taken) == 40 and far.most_open <= 3 and far.connections <= 4


async def test_a_server_that_ends_connections_after_a_few_messages_gets_the_rest_over_others(tmp_path: Path) -> None:
    count = {"messages": 0}

    def some(other: Peer) -> bytes:
        count["messages"] += 1
        return b"421 4.7.0 enough\r\n" + CLOSE if count["messages"] % 4 == 0 else OK

    with peer({"MAIL": some}, offers=()) as far:
        async with office(tmp_path, {"far.test": far}, limits=OutboundLimits(connections_per_domain=1)) as made:
            items = [await made.post("a@far.test") for _ in range(12)]
            await made.work()
            assert len(far.taken) == 12 and all(not made.open(item) for item in items)


async def test_t_q_16_a_tarpit_holds_up_nobody_else(tmp_path: Path) -> None:
    with peer({"MAIL": HANG}) as tarpit, peer() as good:
        async with office(tmp_path, {"tar.test": tarpit, "*": good}, limits=OutboundLimits(connections=4)) as made:
            for n in range(300):
                await made.post("a@tar.test")
                await made.post(f"a@good{n % 100}.test")
            began = time.monotonic()
            await made.passes.run_once()
            await asyncio.to_thread(good.wait_for, 300)
            assert time.monotonic() - began < 20
            assert tarpit.most_open == 1 and not tarpit.taken


async def test_a_domain_that_is_down_is_found_out_once_for_all_that_waits(tmp_path: Path) -> None:
    with peer({"CONNECT": b"421 4.3.2 closed today\r\n"}) as far:
        async with office(tmp_path, {"far.test": far}) as made:
            items = [await made.post("a@far.test") for _ in range(50)]
            await made.work()
            assert far.connections == 1
            assert all(made.open(item) == {0: 1} for item in items)
            assert "421 4.3.2 closed today" in made.events(items[49])[0]
            far.answers = {}
            await made.later(400)
            assert len(far.taken) == 50 and not made.spool.ids()


async def test_failed_attempts_come_ever_later_and_end_in_a_report(tmp_path: Path) -> None:
    limits = OutboundLimits(give_up_after_s=2 * DAY_S, delay_notice_after_s=4 * 3600)
    with peer({"RCPT": BUSY}) as far:
        async with office(tmp_path, {"far.test": far}, limits=limits) as made:
            item = await made.post("a@far.test")
            tried_at: list[float] = []
            for _ in range(12 * 60):
                before = far.connections
                await made.work()
                if far.connections > before:
                    tried_at.append(made.clock.seconds)
                if not made.open(item):
                    break
                made.clock.seconds += 300
            gaps = [later - sooner for sooner, later in pairwise(tried_at)]
            assert gaps[:4] == [300, 600, 1200, 2400]
            assert all(3000 <= gap <= 3900 or gap < 3600 for gap in gaps[4:]) and max(gaps) <= 3900
            assert 2 * DAY_S <= tried_at[-1] < 2 * DAY_S + 4000
            notice, report = made.reports()
            assert "Action: delayed" in notice[1] and "Will-Retry-Until: Tue, 03 Mar 2026 12:00:00 +0000" in notice[1]
            assert "Action: failed" in report[1] and "451 4.3.0 busy" in report[1]
            assert "Remote-MTA: dns; 127.0.0.1" in report[1]
            assert report[0].reverse_path == "" and report[0].recipients[0].route == "mailbox"
            assert made.events(item)[-1].startswith("given up: ")


@pytest.mark.parametrize("jump_s", [3600.0, 10 * 365 * DAY_S, -3600.0, -10 * 365 * DAY_S])
async def test_t_q_07_a_clock_that_jumps_makes_no_mass_bounce_and_loses_no_mail(tmp_path: Path, jump_s: float) -> None:
    with peer({"RCPT": BUSY}) as far:
        clock = Clock()
        async with office(tmp_path, {"far.test": far}, clock=clock) as made:
            items = [await made.post("a@far.test") for _ in range(10)]
            await made.work()
            jumped = {"s": 0.0}
            real_now = clock.now
            clock.now = lambda: real_now() + timedelta(seconds=jumped["s"])  # type: ignore[method-assign]
            jumped["s"] = jump_s
            for attempts in range(2, LEAST_ATTEMPTS):
                await made.later(5000)
                assert all(made.open(item) == {0: attempts} for item in items)
            far.answers = {}
            await made.later(5000)
            assert len(far.taken) == 10 and not [item for item in items if made.open(item)]
            assert all("Action: failed" not in text for _, text in made.reports())


async def test_a_permanent_refusal_is_told_at_once_and_a_report_is_never_reported(tmp_path: Path) -> None:
    with peer({"RCPT": NOBODY}) as far:
        async with office(tmp_path, {"*": far}) as made:
            item = await made.post("a@far.test", sender="s@elsewhere.test")
            await made.work()
            assert made.open(item) == {}
            ((report, text),) = made.reports()
            assert (report.recipients[0].route, report.recipients[0].forward_path) == ("relay", "s@elsewhere.test")
            assert "550 5.1.1 nobody" in text
            await made.work()  # the report goes out, is refused, and the postmaster alone hears of that
            assert far.lines.count("RCPT TO:<s@elsewhere.test>") == 1 and "MAIL FROM:<> SIZE" in " ".join(far.lines)
            ((notice, text),) = made.reports()
            assert [(r.route, r.account) for r in notice.recipients] == [("mailbox", "ann")] and notice.reverse_path == ""
            assert "It wrote a report about mail, and the report cannot be delivered" in text
            made.spool.drop([(notice.id, 0)], "read")
            null = await made.post("a@far.test", sender="")
            await made.work()
            assert made.open(null) == {} and not made.reports()


WISHES: tuple[tuple[Notify, ...], ...] = (
    (), ("NEVER",), ("SUCCESS",), ("FAILURE",), ("DELAY",), ("SUCCESS", "FAILURE"), ("DELAY", "FAILURE"), ("SUCCESS", "FAILURE", "DELAY"),
)  # fmt: skip
DSN = ("DSN", "PIPELINING")
LATER = OutboundLimits(delay_notice_after_s=0)


@pytest.mark.parametrize(
    ("offers", "answer", "sender", "action", "asks"),
    [
        pytest.param(DSN, OK, SENDER, "", None, id="5.2.1-a-hop-with-dsn-tells-itself"),
        pytest.param((), OK, SENDER, "relayed", "SUCCESS", id="5.2.2-a-hop-without-dsn"),
        pytest.param(DSN, NOBODY, SENDER, "failed", "FAILURE", id="5.2.6-a-hop-with-dsn-refuses"),
        pytest.param((), NOBODY, SENDER, "failed", "FAILURE", id="5.2.6-a-hop-without-dsn-refuses"),
        pytest.param((), BUSY, SENDER, "delayed", "DELAY", id="5.2.5-it-is-late"),
        pytest.param((), OK, "", "", None, id="the-null-reverse-path-relayed"),
        pytest.param((), NOBODY, "", "", None, id="the-null-reverse-path-failed"),
        pytest.param((), BUSY, "", "", None, id="the-null-reverse-path-late"),
    ],
)
async def test_rfc_3461_each_recipient_is_told_of_as_its_notify_says(
    tmp_path: Path, offers: tuple[str, ...], answer: bytes, sender: str, action: str, asks: str | None
) -> None:
    """Of one message with every NOTIFY there is. asks: the word that asks for the action; without NOTIFY, DELAY and FAILURE do."""
    everybody = {f"r{number}@far.test": wish for number, wish in enumerate(WISHES)}
    with peer({"RCPT": answer}, offers=offers) as far:
        async with office(tmp_path, {"far.test": far}, limits=LATER) as made:
            recipients = tuple(
                QueuedRecipient(path, "relay", parameters=RcptParameters(wish)) for path, wish in everybody.items()
            )
            await made.post(*everybody, sender=sender, recipients=recipients)
            await made.work()
            told = [(re.findall(r"(?m)^Final-Recipient: rfc822; (\S+)\r\nAction: (\w+)\r$", text)) for _, text in made.reports()]
            wanted = [path for path, wish in everybody.items() if asks in wish or (not wish and asks in ("FAILURE", "DELAY"))]
            assert told == ([[(path, action) for path in wanted]] if wanted else [])
            asked = [line.partition(" NOTIFY=")[2] for line in far.lines if line.startswith("RCPT")]
            assert asked == [",".join(wish) if offers else "" for wish in WISHES]


async def test_a_report_that_cannot_be_written_leaves_the_recipient_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with peer({"RCPT": NOBODY}) as far:
        async with office(tmp_path, {"far.test": far}) as made:
            item = await made.post("a@far.test")

            def no_directory(address: Address) -> NoReturn:
                raise OSError("the directory is not there")

            monkeypatch.setattr(made.directory, "resolve", no_directory)
            await made.work()
            assert made.open(item) == {0: 1} and not made.reports()


def _breaks(*_: object) -> NoReturn:
    raise ValueError("nobody thought of this")


@pytest.mark.parametrize("broken", ["the report", "the record", "the mark", "the watcher"])
async def test_t_q_11_what_a_server_has_taken_is_never_sent_again_whatever_fails_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    with peer({"RCPT b@far.test": BUSY}) as far:
        async with office(tmp_path, {"far.test": far}) as made:
            said = tuple(QueuedRecipient(f"{who}@far.test", "relay", parameters=RcptParameters(("SUCCESS",))) for who in "ab")
            item = await made.post("a@far.test", "b@far.test", recipients=said)
            match broken:
                case "the report":
                    monkeypatch.setattr(made.directory, "resolve", _breaks)
                case "the record":
                    add_all = made.ledger.add_all
                    monkeypatch.setattr(made.ledger, "add_all", lambda all: add_all(all) if not all[0][1] else _breaks())
                case "the mark":
                    encode = journal.encode

                    def break_once(segment: bytes, mark: Mark, recipient: OpenRecipient) -> tuple[bytes, bytes]:
                        if mark.kind is Kind.DONE:
                            monkeypatch.setattr("mailward.queue.log.encode", encode)
                            _breaks()
                        return encode(segment, mark, recipient)

                    monkeypatch.setattr("mailward.queue.log.encode", break_once)
                case "the watcher":
                    made.manager._attempts._attempted = _breaks
            # Whoever waits for what is written at the same moment as the mark that breaks hears of it.
            with contextlib.suppress(StorageError) if broken == "the mark" else contextlib.nullcontext():
                await made.work()
            assert list(made.open(item)) == ([1] if broken != "the mark" else [])  # its segment is given up, and found again
            far.answers = {}
            for _ in range(3):
                await made.later(4000)
            assert [taken.forward_paths for taken in far.taken] == [("a@far.test",), ("b@far.test",)]
            assert made.open(item) == {}


async def test_t_q_11_records_of_what_is_due_are_kept_together_before_anybody_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with peer() as far:
        async with office(tmp_path, {"far.test": far}) as made:
            items = [await made.post("a@far.test", "b@far.test") for _ in range(3)]
            add_all = made.ledger.add_all
            first: list[tuple[str, int]] = []

            def watch(happened: Sequence[tuple[DecisionRecord, tuple[LaterEvent, ...]]]) -> None:
                if not first:
                    first.extend((record.id, len(far.lines)) for record, _ in happened)
                add_all(happened)

            monkeypatch.setattr(made.ledger, "add_all", watch)
            await made.work()
            assert sorted(first) == sorted((item.id, 0) for item in items) and len(far.taken) == 3


async def test_rules_that_fail_keep_the_mail_until_they_work_again(tmp_path: Path) -> None:
    with peer() as far:
        async with office(tmp_path, {"*": far}) as made:
            made.rules.failing = {"far.test"}
            item = await made.post("a@far.test")
            for _ in range(3):
                await made.later(600)
            assert made.open(item) == {0: 3} and not far.lines and not made.reports()
            made.rules.failing = set()
            await made.later(5000)
            assert len(far.taken) == 1


async def test_t_q_08_a_failure_of_our_own_is_told_when_it_is_late_and_bounces_at_last(tmp_path: Path) -> None:
    with peer() as far:
        limits = OutboundLimits(give_up_after_s=40_000, delay_notice_after_s=4_000)
        async with office(tmp_path, {"far.test": far}, limits=limits) as made:
            made.rules.failing = {"far.test"}
            item = await made.post("a@far.test")
            with structlog.testing.capture_logs() as lines:
                for _ in range(12):
                    await made.later(4_500)
            assert made.open(item) == {} and not far.lines
            (_, late), (_, lost) = made.reports()
            assert "Action: delayed" in late and "Status: 4.3.0" in late
            assert "Action: failed" in lost and "Status: 5.3.0" in lost
            for text in (late, lost):
                assert "A fault of this mail server kept it from sending the mail" in text and "secret" not in text
            assert not [line for line in lines if line.get("exc_info")]
            assert [line for line in lines if "a secret of the admin's" in str(line)]
            assert any("a secret of the admin's" in event for event in made.events(item))


async def test_the_last_word_of_the_other_server_is_told_though_a_fault_of_our_own_was_the_end(tmp_path: Path) -> None:
    with peer({"RCPT": b"450 4.2.1 mailbox busy, come back\r\n"}) as far:
        limits = OutboundLimits(give_up_after_s=DAY_S, delay_notice_after_s=2 * DAY_S)
        async with office(tmp_path, {"far.test": far}, limits=limits) as made:
            item = await made.post("a@far.test")
            await made.work()
            made.rules.failing.add("far.test")
            await made.later(3600)
            await made.later(3 * 3600)
            text = made.spool.open_recipients(item.id)[0].text
            assert text.startswith("here: outbound rules failed") and "mailbox busy, come back" in text
            await made.later(DAY_S)
            ((_, report),) = made.reports()
            assert "450 4.2.1 mailbox busy, come back" in report.replace("\r\n    ", " ") and "Status: 5.3.0" in report
            assert "secret" not in report
            assert "before that: " in made.events(item)[-1] and "mailbox busy, come back" in made.events(item)[-1]


async def test_t_dkim_16_a_fault_of_the_message_bounces_at_once(tmp_path: Path) -> None:
    with peer() as far:
        async with office(tmp_path, {"*": far}) as made:
            made.rules.unsendable = {"far.test"}
            item = await made.post("a@far.test", "b@far.test", "c@near.test")
            await made.work()
            assert made.open(item) == {} and [taken.forward_paths for taken in far.taken] == [("c@near.test",)]
            ((_, text),) = made.reports()
            assert text.count("Status: 5.6.0") == 2 and "cannot send the message as it is: it has too many fields" in text


async def test_octets_that_cannot_be_read_are_told_when_they_are_late(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with peer() as far:
        async with office(tmp_path, {"far.test": far}, limits=OutboundLimits(delay_notice_after_s=4_000)) as made:
            item = await made.post("a@far.test")

            def broken(*_: object) -> None:
                raise StorageError("the disk of the decisions is full")

            monkeypatch.setattr(made.ledger, "add", broken)
            for _ in range(3):
                await made.later(4_500)
            assert made.open(item) == {0: 3} and not far.lines
            ((_, text),) = made.reports()
            assert (
                "Action: delayed" in text
                and "Status: 4.3.0" in text
                and "disk" not in text.partition("Content-Type: text/rfc822")[0]
            )


async def test_t_tls_08_mail_that_must_be_encrypted_bounces_only_when_no_host_offers_it(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    certificate = throw_away_certificate(tmp_path_factory.mktemp("tls"), "mx.example.net")
    with peer() as plain, peer({"TLS": b"broken\r\n"}, certificate=certificate) as broken, peer(certificate=certificate) as sound:
        routes = {"plain.test": plain, "broken.test": broken, "sound.test": sound}
        async with office(tmp_path, routes) as made:
            made.rules.levels = dict.fromkeys(routes, TlsLevel.REQUIRED)
            items = {domain: await made.post(f"a@{domain}") for domain in routes}
            await made.work()
            assert [taken.tls for taken in sound.taken] == [True] and not plain.taken and not broken.taken
            assert "over TLSv1.3: 250" in made.events(items["sound.test"])[0]
            ((_, text),) = made.reports()
            assert "Status: 5.7.10" in text and "the test says so" in " ".join(text.split())
            assert made.open(items["plain.test"]) == {} and made.open(items["broken.test"]) == {0: 1}
            (event,) = made.events(items["broken.test"])
            assert event.startswith("attempt 1 failed") and "TLS handshake failed" in event


async def test_t_tls_08_a_certificate_of_somebody_else_is_temporary_and_told_at_the_end(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    certificate = throw_away_certificate(tmp_path_factory.mktemp("tls"), "mx.somebody.else")
    trusting = verifying_context()
    trusting.load_verify_locations(certificate[0])
    connector = SmtpConnector("mail.example.org", timeouts=SHORT, verifying=trusting)
    with peer(certificate=certificate) as far:
        async with office(tmp_path, {"far.test": far}, connector=connector) as made:
            made.rules.levels = {"far.test": TlsLevel.VERIFIED}
            item = await made.post("a@far.test")
            for _ in range(LEAST_ATTEMPTS - 1):
                await made.later(5000)
            assert made.open(item) == {0: LEAST_ATTEMPTS - 1} and not far.taken
            await made.later(6 * DAY_S)
            text = made.reports()[-1][1]
            assert made.open(item) == {} and "Status: 4.7.5" in text
            assert "does not name 127.0.0.1 or far.test" in " ".join(text.split())


@pytest.mark.parametrize("octets", [b"Subject: x\r\n\r\nbody\r\n", b"TLS-Required: No\r\nSubject: x\r\n\r\nbody\r\n"])
async def test_t_tls_25_mail_that_requires_tls_goes_only_where_that_is_promised(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, octets: bytes
) -> None:
    """RFC 8689; its header field is ignored beside the parameter (section 4.1)."""
    names = ("sound.test", "silent.test", "somebody.else")
    sound, unready, other = (throw_away_certificate(tmp_path_factory.mktemp("tls"), name) for name in names)
    trusting = verifying_context()
    for certificate in (sound, unready, other):
        trusting.load_verify_locations(certificate[0])
    connector = SmtpConnector("mail.example.org", timeouts=SHORT, verifying=trusting)
    promise = ("8BITMIME", "REQUIRETLS")
    with (
        peer(certificate=sound, offers=promise) as good,
        peer(certificate=unready) as silent,
        peer(certificate=other, offers=promise) as stranger,
        peer(offers=promise) as clear,
    ):
        routes = {"sound.test": good, "silent.test": silent, "stranger.test": stranger, "clear.test": clear}
        async with office(tmp_path, routes, connector=connector) as made:
            items = [await made.post(f"a@{domain}", octets=octets, require_tls=True) for domain in routes]
            await made.work()
            (mail,) = [line for line in good.lines if line.startswith("MAIL")]
            assert mail == f"MAIL FROM:<{SENDER}> REQUIRETLS" and good.taken[0].tls
            assert not silent.taken and not stranger.taken and not clear.taken
            assert not [line for host in (silent, stranger, clear) for line in host.lines if line.startswith("MAIL")]
            assert all(made.open(item) == {} for item in items)
            told = [text for _, text in made.reports()]
            assert len(told) == 3 and all("Status: 5.7.30" in text and "\nbody" not in text for text in told)


async def test_a_clear_connection_is_not_used_for_mail_that_must_be_encrypted(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    certificate = throw_away_certificate(tmp_path_factory.mktemp("tls"), "mx.example.net")
    starttls = {"n": 0}

    def first_time_only(other: Peer) -> bytes:
        starttls["n"] += 1
        return b"454 4.7.0 later\r\n" if starttls["n"] == 1 else b"220 go\r\n"

    with peer({"STARTTLS": first_time_only}, certificate=certificate) as far:
        async with office(tmp_path, {"far.test": far}, limits=OutboundLimits(connections_per_domain=1)) as made:
            await made.post("open@far.test")
            secret = await made.post("secret@far.test")

            ordinary = made.rules.tls_requirements

            async def stricter(relaying, host):  # type: ignore[no-untyped-def]
                made.rules.levels["far.test"] = TlsLevel.REQUIRED if relaying.id == secret.id else TlsLevel.OPPORTUNISTIC
                return await ordinary(relaying, host)

            made.rules.tls_requirements = stricter  # type: ignore[method-assign]
            await made.work()
            assert {taken.forward_paths[0]: taken.tls for taken in far.taken} == {"open@far.test": False, "secret@far.test": True}


async def test_t_net_08_an_address_that_is_none_is_refused_before_any_connection(tmp_path: Path) -> None:
    with peer() as far:
        async with office(tmp_path, {"*": far}) as made:
            item = await made.post("a\r\nQUIT@far.test")
            await made.work()
            assert made.open(item) == {} and not far.lines
            assert "not an address" in " ".join(made.reports()[0][1].split())


async def test_t_q_08_what_never_came_to_its_end_is_tried_alone_and_held_at_last(tmp_path: Path) -> None:
    with peer() as far:
        async with office(tmp_path, {"*": far}) as made:
            poison, other = await made.post("poison@far.test"), await made.post("a@far.test")
            for _ in range(2):
                made.spool.begin_attempts([(poison.id, 0)])
                await made.spool.close()
                made = Office(tmp_path, {"*": far})
                made.agenda.adopt()
            due = made.agenda.take(("relay",))
            assert {(one.item.id, one.is_suspect) for one in due} == {(poison.id, True), (other.id, False)}
            made.spool.begin_attempts([(poison.id, 0)])
            await made.spool.close()
            made = Office(tmp_path, {"*": far})
            await made.work()
            assert [taken.forward_paths for taken in far.taken] == [("a@far.test",)]
            assert made.spool.open_recipients(poison.id)[0].hold_reason == "3 attempts ended with the process"
            await made.close()


async def test_a_stop_interrupts_what_hangs_and_keeps_it_for_the_next_start(tmp_path: Path) -> None:
    with peer({"MESSAGE": HANG}) as far:
        made = Office(tmp_path, {"*": far}, limits=OutboundLimits(grace_s=0.1))
        item = await made.post("a@far.test")
        await made.passes.run_once()
        await asyncio.to_thread(far.wait, lambda: "DATA" in far.verbs())
        await made.close()
        far.answers = {}
        again = Office(tmp_path, {"*": far})
        await again.work()
        assert len(far.taken) == 1 and again.open(item) == {}
        await again.close()


async def test_held_and_dropped_mail_is_not_sent(tmp_path: Path) -> None:
    with peer() as far:
        async with office(tmp_path, {"*": far}) as made:
            held, dropped = await made.post("held@far.test"), await made.post("dropped@far.test")
            made.spool.hold([(held.id, 0)], "to be looked at")
            made.spool.drop([(dropped.id, 0)], "not wanted")
            await made.work()
            assert not far.lines
            made.spool.release([(held.id, 0)])
            made.agenda.plan(held.id, 0)
            await made.work()
            assert [taken.forward_paths for taken in far.taken] == [("held@far.test",)]


async def test_held_mail_never_leaves_early_whatever_is_ordered_and_outlives_a_restart(tmp_path: Path) -> None:
    """RFC 4865: its time begins when it is released, and so do those of the delay notice and the end of all attempts."""
    clock = Clock()
    limits = OutboundLimits(give_up_after_s=5 * DAY_S, delay_notice_after_s=4 * 3600.0)
    until = utc_text(clock.now() + timedelta(days=6))
    with peer({"CONNECT": BUSY}) as far:
        async with office(tmp_path, {"far.test": far}, clock=clock, limits=limits) as made:
            item = await made.post("a@far.test", hold_until=until)
            await made.work()
            assert made.spool.retry_now([(item.id, 0)])
            made.agenda.plan(item.id, 0)
            await made.later(5.9 * DAY_S)
            assert far.connections == 0
        async with office(tmp_path, {"far.test": far}, clock=clock, limits=limits) as made:
            made.agenda.adopt()
            await made.work()
            control = QueueControl(made.spool, made.agenda, made.ledger, NoKeeper(), made.standing, clock)
            (message,) = control.list(Selection()).messages
            assert (message.hold_until, message.recipients[0].next_at, message.recipients[0].failures) == (until, until, 0)
            clock.seconds = 6 * DAY_S - 1
            await made.work()
            assert far.connections == 0
            await made.later(1)
            assert far.connections == 1 and made.open(item) == {0: 1} and not made.reports()
            far.answers.clear()
            await made.later(3600)
            assert [taken.forward_paths for taken in far.taken] == [("a@far.test",)]


class NoKeeper:
    """Nothing is dropped here."""

    def keep(self, copy: Copy, reason: str) -> None:
        raise AssertionError(reason)


async def test_whoever_watches_hears_of_each_attempt_once_it_is_in_the_journal(tmp_path: Path) -> None:
    certificate = throw_away_certificate(tmp_path, "mx.near.test")
    with peer(certificate=certificate) as near, peer({"RCPT": NOBODY}) as far:
        async with office(tmp_path, {"near.test": near, "far.test": far}) as made:
            item = await made.post("a@near.test", "b@far.test")
            await made.work()
            by_domain = {attempt.relaying.domain: attempt for attempt in made.attempts}
            assert len(made.attempts) == 2 and not made.spool.open_recipients(item.id)
            (good,), (bad,) = by_domain["near.test"].sessions, by_domain["far.test"].sessions
            assert (good.level, good.result, good.receiving_ip) == (TlsLevel.REQUIRED, None, "127.0.0.1")
            assert (bad.level, bad.result) == (TlsLevel.OPPORTUNISTIC, TlsResult.STARTTLS_NOT_SUPPORTED)
            (taken,), (refused,) = by_domain["near.test"].outcomes, by_domain["far.test"].outcomes
            assert (taken.forward_path, taken.result) == ("a@near.test", "accepted")
            assert (refused.result, refused.status, refused.words) == ("permanent", "5.1.1", "550 5.1.1 nobody")
            assert all(attempt.at == made.clock.now() for attempt in made.attempts)


async def test_a_message_over_a_connection_that_is_there_tells_of_no_new_one(tmp_path: Path) -> None:
    with peer() as near:
        async with office(tmp_path, {"near.test": near}) as made:
            for _ in range(3):
                await made.post("a@near.test")
            await made.work()
            told = [len(attempt.sessions) for attempt in made.attempts]
            assert len(told) == 3 and 0 in told and sum(told) == near.connections


async def test_rerouted_mail_goes_to_the_other_host_and_back_though_connections_are_kept(tmp_path: Path) -> None:
    """While one connection of a lane is in use, each message goes where the orders of its moment say."""
    with peer(address="127.0.0.1") as usual, peer(address="127.0.0.2") as other:
        async with office(tmp_path, {"far.test": usual}) as made:
            elsewhere = StandingOrder(to="far.test", via=f"smtp:[{other.address}]:{other.port}")
            await made.post("a@far.test", octets=b"Subject: 1\r\n\r\n")
            await made.work()
            made.standing.stand(elsewhere)
            for number in (2, 3):
                await made.post("a@far.test", octets=b"Subject: %d\r\n\r\n" % number)
            await made.work()
            alone = await made.post("a@far.test", octets=b"Subject: 4\r\n\r\n")
            made.standing.stand(
                StandingOrder(id=alone.id, via=f"smtp:[{usual.address}]:{usual.port}", at=utc_text(made.clock.now()))
            )
            await made.work()
            made.standing.lift(Selection(), is_reroute=True)
            await made.post("a@far.test", octets=b"Subject: 5\r\n\r\n")
            await made.work()
            subjects = [[re.findall(rb"Subject: (\d)", taken.octets)[0] for taken in each.taken] for each in (usual, other)]
            assert subjects == [[b"1", b"4", b"5"], [b"2", b"3"]]


async def test_mail_that_comes_while_an_order_holds_it_waits_until_that_is_taken_back(tmp_path: Path) -> None:
    with peer() as far:
        async with office(tmp_path, {"far.test": far, "near.test": far}) as made:
            made.standing.stand(StandingOrder(to="far.test", reason="they are moving"))
            item = await made.post("a@far.test", "b@near.test")
            await made.work()
            assert [taken.forward_paths for taken in far.taken] == [("b@near.test",)]
            assert made.spool.open_recipients(item.id)[0].held == "they are moving"
            assert made.events(item)[0] == "held: they are moving"
            control = QueueControl(made.spool, made.agenda, made.ledger, NoKeeper(), made.standing, made.clock)
            (refused,) = control.release(Selection(id=item.id)).recipients
            assert refused.why_not == "an order that stands holds it: mailward queue orders"
            control.lift(Selection(to="far.test"), is_reroute=False)
            control.release(Selection(to="far.test"))
            await made.work()
            assert len(far.taken) == 2 and not made.spool.ids()


@pytest.mark.parametrize("end", ["a stop", "a failure"])
async def test_t_q_10_what_one_host_has_taken_is_in_the_journal_before_another_is_tried(tmp_path: Path, end: str) -> None:
    trying, failing = asyncio.Event(), asyncio.Event()

    class Silent(SmtpConnector):
        """The second host never answers; the first is the peer."""

        async def connect(self, target: Target, domain: str, requirement: TlsRequirement) -> SmtpHop:
            if target.host == "mx2.far.test":
                trying.set()
                await failing.wait()
                raise ValueError("nobody thought of this")
            return await super().connect(replace(target, address=first.address, port=first.port), domain, requirement)

    zone = FakeZone()
    zone.add("far.test", "MX", "1 mx1.far.test", "2 mx2.far.test")
    zone.add("mx1.far.test", "A", "9.9.9.1")
    zone.add("mx2.far.test", "A", "9.9.9.2")
    limits = OutboundLimits(grace_s=0.01)
    with peer({"RCPT b@far.test": BUSY}) as first:
        connector = Silent("mail.example.org", timeouts=SHORT)
        async with office(tmp_path, {}, zone=zone, connector=connector, limits=limits) as made:
            item = await made.post("a@far.test", "b@far.test")
            await made.passes.run_once()
            async with asyncio.timeout(10):
                await trying.wait()
            assert made.open(item) == {1: 0}
            if end == "a stop":
                await made.manager.stop()
            else:
                failing.set()
                await made.manager.idle()
            flush(made.spool)
            assert made.open(item) == {1: 1}
            assert made.events(item)[0].startswith("relayed to mx1.far.test")


@pytest.mark.parametrize("wrong", ["an edit that cannot be made", "a record", "octets that cannot be set aside", "the beginning"])
async def test_t_q_13_what_is_wrong_with_one_message_holds_up_no_other_and_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: str
) -> None:
    with peer() as near, peer() as far:
        async with office(tmp_path, {"near.test": near, "far.test": far}) as made:
            edits = (AddHeader("Bad name", "v"),) if wrong == "an edit that cannot be made" else ()
            bad = await made.post("a@near.test", octets=b"Subject: bad\r\n\r\n", edits=edits)
            good = await made.post("b@far.test")
            match wrong:
                case "a record":
                    add_all = made.ledger.add_all
                    monkeypatch.setattr(
                        made.ledger,
                        "add_all",
                        lambda all: _breaks() if any(record.id == bad.id for record, _ in all) else add_all(all),
                    )
                case "octets that cannot be set aside":
                    (segment,) = (tmp_path / "spool").glob("*.seg")
                    with segment.open("r+b") as file:
                        file.seek(segment.read_bytes().index(b"Subject: bad"))
                        file.write(b"s")
                    monkeypatch.setattr(made.spool, "set_aside", _breaks)
                case "the beginning":
                    begun = made.spool.begun

                    async def break_afterwards(some: Sequence[Recipient]) -> frozenset[Recipient]:
                        found = await begun(some)
                        return _breaks() if (bad.id, 0) in some else found

                    monkeypatch.setattr(made.spool, "begun", break_afterwards)
            await made.work()
            assert made.open(bad) == {0: 1}
            if wrong == "the beginning":
                monkeypatch.setattr(made.spool, "begun", begun)
                await made.later(120)
                assert len(near.taken) == 1
            else:
                await made.later(700)
                assert made.open(bad) == {0: 2} and not near.taken
            assert made.open(good) == {} and len(far.taken) == 1


async def test_what_an_admin_holds_meanwhile_shares_no_failure_of_its_next_hop(tmp_path: Path) -> None:
    with peer() as far:
        async with office(tmp_path, {"far.test": far}) as made:
            tried, other, held = [await made.post(f"{who}@far.test") for who in "abc"]

            def hold(_: Peer) -> bytes:
                made.spool.hold([(held.id, 0)], "an admin")
                return b"421 4.3.2 closed today\r\n"

            far.answers = {"CONNECT": hold}
            await made.work()
            assert (made.open(tried), made.open(other), made.open(held)) == ({0: 1}, {0: 1}, {0: 0})
            far.answers = {}
            await made.later(700)
            assert made.open(tried) == made.open(other) == {} and made.open(held) == {0: 0}


@pytest.mark.parametrize("meanwhile", ["a stop", "an order", "an order just before", "a report that fails", "a failure before"])
async def test_the_delay_notice_comes_once_whatever_happens_at_its_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, meanwhile: str
) -> None:
    limits = OutboundLimits(delay_notice_after_s=4_000, grace_s=0.01)
    with peer({"RCPT": BUSY}) as far:
        async with office(tmp_path, {"far.test": far}, limits=limits) as made:
            item = await made.post("a@far.test")
            for moment in (0, 400, 1000, 2500):
                await made.later(moment - made.clock.seconds)
            match meanwhile:
                case "a stop":
                    far.answers = {"RCPT": HANG}
                    made.clock.seconds = 4_001
                    asked = far.verbs().count("RCPT")
                    await made.passes.run_once()
                    await asyncio.to_thread(far.wait, lambda: far.verbs().count("RCPT") > asked)
                    for talk in made.manager._attempts._talking:
                        talk.cancel()
                    await made.manager.idle()
                    far.answers = {"RCPT": BUSY}
                case "an order" | "an order just before":
                    made.clock.seconds = 4_001 if meanwhile == "an order" else 3_999
                    made.spool.retry_now([(item.id, 0)])
                    made.agenda.plan(item.id, 0)
                    if meanwhile == "an order just before":  # and it takes a while

                        def slow(_: Peer) -> bytes:
                            made.clock.seconds = 4_100
                            return BUSY

                        far.answers = {"RCPT": slow}
                case "a report that fails":
                    with monkeypatch.context() as meant:
                        meant.setattr(made.directory, "resolve", _breaks)
                        await made.later(1_600)
                case "a failure before":
                    with monkeypatch.context() as meant:
                        meant.setattr(made.spool, "octets", _breaks)
                        await made.later(1_600)
            for _ in range(5):
                await made.work()
                await made.later(4_000)
            assert [re.findall("Action: (.*)\r", text) for _, text in made.reports()] == [["delayed"]]
