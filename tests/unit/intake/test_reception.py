"""What one session does to judge, directory and spool, and what the peer is told about it."""

import asyncio
import errno
import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import structlog

from mailward.intake import reception
from mailward.model.errors import StorageError
from mailward.model.ids import QueueId
from mailward.model.session import Role, TlsFacts
from mailward.pipeline.judge import Judge
from mailward.pipeline.shadowing import ShadowRoom
from mailward.services.rates import Rates
from mailward.services.room import SMALL_OCTETS, Room
from mailward.testing.policies import made_policy
from mailward.testing.world import FakeServices
from support.plugin_modules import plugin_module
from support.smtp_reception import Post, Talk, post


@pytest.fixture
def desk(tmp_path: Path) -> Post:
    return post(tmp_path)


@pytest.fixture
def talk(desk: Post) -> Iterator[Talk]:
    yield Talk(desk)


MESSAGE = b"From: a@example.net\r\nSubject: hi\r\nMessage-ID: <1@example.net>\r\n\r\nhello\r\n"


async def test_250_names_the_id_and_the_item_holds_everything(desk: Post, talk: Talk) -> None:
    answer = await talk.send(MESSAGE)
    [(item, octets)] = desk.spool.items
    assert answer == f"250 2.0.0 Accepted, id {item.id}"
    assert octets == MESSAGE
    assert desk.told == [item]
    assert item.reverse_path == "a@example.net"
    assert item.size_octets == len(MESSAGE)
    assert item.received_at == "2026-01-02T03:04:05.000Z"
    assert item.decision.id == item.id
    [recipient] = item.recipients
    assert (recipient.forward_path, recipient.route, recipient.folder) == ("alice@example.org", "mailbox", "INBOX")
    assert recipient.account
    results, received = item.trace.split("Received:", 1)
    assert results.startswith("Authentication-Results: mx.example.org;\r\n") and "spf=pass" in results
    assert "for <alice@example.org>" in received and f"id {item.id}" in received.replace("\r\n\t", " ")
    assert item.trace.endswith("\r\n")
    assert desk.spool.aborted == 0


async def test_what_is_stored_can_be_judged_again(desk: Post, talk: Talk) -> None:
    await talk.send(MESSAGE)
    await talk.send(MESSAGE, "x@void.example")
    assert await talk.send(b"REJECT\r\n")
    await desk.desk.receipts.write()
    kept, not_stored = (item.id for item, _ in desk.spool.items)
    receipt = desk.decisions.receipt(kept)
    header = MESSAGE[: MESSAGE.index(b"\r\n\r\n") + 4]
    assert receipt is not None and (receipt.heard, receipt.protocol) == ((), "ESMTP")
    assert (receipt.header, receipt.whole) == (hashlib.sha256(header).digest(), hashlib.sha256(MESSAGE).digest())
    assert desk.decisions.receipt(not_stored) is None


async def test_what_cannot_be_written_at_the_end_is_said_and_keeps_nothing_else_from_its_end(
    desk: Post, talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(receipts: object) -> None:
        raise StorageError("the disk is full")

    await talk.send(MESSAGE)
    monkeypatch.setattr(desk.decisions, "add_receipts", full)
    with structlog.testing.capture_logs() as logs:
        await desk.desk.receipts.stop()
    assert [(one["event"], one["problem"]) for one in logs] == [("receipts lost", "the disk is full")]


async def test_several_recipients_do_not_learn_of_each_other(desk: Post, talk: Talk) -> None:
    await talk.send(MESSAGE, "alice@example.org", "bob@example.org", "alice@example.org")
    [(item, _)] = desk.spool.items
    assert [r.forward_path for r in item.recipients] == ["alice@example.org", "bob@example.org"]
    assert "alice" not in item.trace and "bob" not in item.trace


@pytest.mark.parametrize(
    ("word", "route", "folder", "sortable"),
    [
        ("JUNK", "mailbox", "Junk", False),
        ("QUARANTINE", "quarantine", "INBOX", False),
        ("DISCARD", "quarantine", "INBOX", False),
        ("fine", "mailbox", "INBOX", True),
    ],
)
async def test_verdicts_become_routes(desk: Post, talk: Talk, word: str, route: str, folder: str, sortable: bool) -> None:
    assert (await talk.send(f"{word}\r\n".encode())).startswith("250")
    [recipient] = desk.spool.items[0][0].recipients
    assert (recipient.route, recipient.folder, recipient.sortable) == (route, folder, sortable)
    assert recipient.reason == (f"{word.lower()} by rule words, score 1.5" if route == "quarantine" else "")


async def test_a_routed_domain_is_taken_and_its_quarantine_still_kept(desk: Post, talk: Talk) -> None:
    await talk.send(MESSAGE, "x@void.example")
    await talk.send(b"QUARANTINE\r\n", "x@void.example")
    assert [item.recipients[0].route for item, _ in desk.spool.items] == ["discard", "quarantine"]


@pytest.mark.parametrize(("word", "code"), [("REJECT", "554 5.7.1"), ("TEMPFAIL", "451 4.3.0")])
async def test_a_refused_message_leaves_a_record_and_nothing_else(desk: Post, talk: Talk, word: str, code: str) -> None:
    assert (await talk.send(f"{word}\r\n".encode())).startswith(code)
    assert desk.spool.items == [] and desk.told == []
    assert (desk.spool.open, desk.spool.aborted) == (0, 1)
    record = desk.decisions.last()
    assert record is not None and record.recipients[0].verdict == word.lower()


async def test_t_state_01_02_each_transaction_has_its_own_trial(desk: Post, talk: Talk) -> None:
    await talk.send(b"REJECT\r\n")
    assert await talk.say("RCPT TO:<alice@example.org>", "DATA") == ["503 5.5.1 Bad sequence of commands"] * 2
    await talk.send(MESSAGE)
    await talk.say("MAIL FROM:<a@example.net>", "RSET", "MAIL FROM:<a@example.net>")
    assert desk.judge.trials == 4
    assert desk.spool.open == 0


async def test_forged_authentication_results_are_edited_out(desk: Post, talk: Talk) -> None:
    forged = b"Authentication-Results: MX.example.org (x); spf=pass\r\nAuthentication-Results: other.example; spf=pass\r\n"
    await talk.send(forged + MESSAGE)
    item, octets = desk.spool.items[0]
    assert octets == forged + MESSAGE
    assert [repr(edit) for edit in item.edits] == ["RemoveFieldAt(index=0)", "AddHeader(name='X-Seen', value='yes')"]


async def test_policy_refuses_at_mail_and_rcpt_and_says_under_which_id_why(desk: Post, talk: Talk) -> None:
    await talk.say("EHLO c.example.net")
    refused, out_of_order = await talk.say("MAIL FROM:<refused@example.net>", "RCPT TO:<alice@example.org>")
    record = desk.decisions.last()
    assert record is not None and record.recipients[0].verdict == "reject"
    assert refused == f"554 5.7.1 Message rejected by policy (id {record.id})" == record.reply
    assert out_of_order == "503 5.5.1 Bad sequence of commands"
    mail, later, taken = await talk.say(
        "MAIL FROM:<a@example.net>", "RCPT TO:<alice+later@example.org>", "RCPT TO:<bob@example.org>"
    )
    record = desk.decisions.last()
    assert record is not None and record.recipients[0].recipient == "alice+later@example.org"
    assert (mail, later, taken) == ("250 2.1.0 OK", f"451 4.7.1 Greylisted (id {record.id})", "250 2.1.5 OK")
    assert desk.judge.seen[-2:] == ["rcpt alice+later@example.org after 0", "rcpt bob@example.org after 0"]


@pytest.mark.parametrize(
    ("path", "text", "why"),
    [
        ("nobody@example.org", "550 5.1.1 No such mailbox here", "unknown mailbox"),
        ("x@outside.example", "554 5.7.1 Relaying is not permitted here", "relay guard"),
    ],
)
async def test_what_the_core_refuses_at_rcpt_has_an_id_of_its_own_and_a_record(
    desk: Post, talk: Talk, path: str, text: str, why: str
) -> None:
    replies = await talk.say("EHLO c.example.net", "MAIL FROM:<a@example.net>", f"RCPT TO:<{path}>")
    record = desk.decisions.last()
    assert record is not None and replies[-1] == f"{text} (id {record.id})" == record.reply
    [decision] = record.recipients
    assert (decision.recipient, decision.verdict, decision.source_kind, decision.source_name) == (path, "reject", "core", why)
    assert (record.direction, record.reverse_path, record.session["peer.ip"]) == ("inbound", "a@example.net", "192.0.2.1")
    answer = (await talk.say("RCPT TO:<alice@example.org>", "DATA", MESSAGE + b".\r\n"))[-1]
    assert answer == f"250 2.0.0 Accepted, id {desk.spool.items[0][0].id}" and record.id not in answer


async def test_t_dos_03_guesses_at_addresses_do_not_fill_the_disk(desk: Post) -> None:
    talk = Talk(replace(desk, desk=replace(desk.desk, recorded=Rates(5, 60.0))))
    replies = await talk.say(
        "EHLO c.example.net", "MAIL FROM:<a@example.net>", *(f"RCPT TO:<n{n}@example.org>" for n in range(15))
    )
    assert sum(reply.startswith("550 5.1.1") for reply in replies) == 15
    kept = [desk.decisions.get(QueueId(reply.rpartition("(id ")[2].rstrip(")"))) for reply in replies[-15:]]
    assert [record is not None for record in kept] == [True] * 5 + [False] * 10


async def test_t_dos_03_refused_messages_to_many_do_not_fill_the_disk_and_guesses_take_nothing_from_them(desk: Post) -> None:
    talk = Talk(replace(desk, desk=replace(desk.desk, recorded=Rates(5, 60.0))))
    await talk.say("EHLO c.example.net", "MAIL FROM:<a@example.net>", *(f"RCPT TO:<n{n}@example.org>" for n in range(9)))
    looping = b"Received: from a by b\r\n" * 101 + MESSAGE + b".\r\n"
    kept = []
    for people in (1, 40, 40, 1):  # 1 of 5, 3, 3 too many, 1
        paths = [f"RCPT TO:<alice+{n}@example.org>" for n in range(people)]
        answer = (await talk.say("RSET", "MAIL FROM:<a@example.net>", *paths, "DATA", looping))[-1]
        assert answer.startswith("554 5.4.6"), answer
        kept.append(desk.decisions.get(QueueId(answer.rpartition("(id ")[2].rstrip(")"))) is not None)
    assert kept == [True, True, False, True]


@pytest.mark.parametrize("call", ["begin", "write", "commit"])
@pytest.mark.parametrize(
    ("error", "answer"),
    [
        (StorageError("broken"), "451 4.3.0"),
        (OSError(errno.ENOSPC, "No space left on device"), "452 4.3.1"),
        (OSError(errno.EIO, "Input/output error"), "451 4.3.0"),
    ],
)
async def test_spool_failures_are_temporary_and_keep_nothing(
    desk: Post, talk: Talk, call: str, error: Exception, answer: str
) -> None:
    desk.spool.errors[call] = error
    replies = await talk.say("EHLO c", "MAIL FROM:<a@example.net>", "RCPT TO:<alice@example.org>", "DATA")
    if call != "begin":
        replies = await talk.say(MESSAGE + b".\r\n")
    assert replies[-1].startswith(answer)
    assert desk.spool.items == [] and desk.told == []
    assert desk.spool.open == 0
    desk.spool.errors.clear()
    assert (await talk.send(MESSAGE)).startswith("250")


async def test_a_full_disk_under_a_storage_error_is_452(desk: Post, talk: Talk) -> None:
    full = StorageError("spool segment")
    full.__cause__ = OSError(errno.ENOSPC, "No space left on device")
    desk.spool.errors["commit"] = full
    assert (await talk.send(MESSAGE)).startswith("452 4.3.1")


async def test_an_unforeseen_failure_is_451_and_tells_nothing(desk: Post, talk: Talk) -> None:
    answer = await talk.send(b"RAISE\r\n")
    assert answer.startswith("451 4.3.0") and "secret" not in answer
    assert desk.spool.open == 0


async def test_250_stands_when_delivery_cannot_be_told(desk: Post) -> None:
    def fail(item: object) -> None:
        raise RuntimeError("delivery is broken")

    desk.desk = replace(desk.desk, on_committed=fail)
    assert (await Talk(desk).send(MESSAGE)).startswith("250")
    assert len(desk.spool.items) == 1


async def test_too_little_disk_defers_at_mail(desk: Post, talk: Talk) -> None:
    desk.free_octets[0] = 2_000_000
    replies = await talk.say("EHLO c.example.net", "MAIL FROM:<a@example.net> SIZE=1500000", "MAIL FROM:<a@example.net> SIZE=100")
    assert [line[:9] for line in replies[-2:]] == ["452 4.3.1", "250 2.1.0"]


async def test_a_disk_that_fills_up_while_a_large_message_comes_in_gets_its_room_back_at_once(desk: Post, talk: Talk) -> None:
    await talk.say("EHLO c.example.net", "MAIL FROM:<a@example.net>", "RCPT TO:<alice@example.org>", "DATA")
    desk.spool.is_large = True
    desk.free_octets[0] = 100
    await talk.say(MESSAGE)
    assert desk.spool.open == 0
    assert (await talk.say(MESSAGE + b".\r\n"))[-1].startswith("452 4.3.1")
    assert desk.spool.items == []


async def test_a_message_that_finds_no_room_is_put_off(desk: Post) -> None:
    room = Room(2 * SMALL_OCTETS + 2, wait_s=0.01)
    talk = Talk(replace(desk, desk=replace(desk.desk, room=room)))
    async with room.of(SMALL_OCTETS + 1, "other"), room.of(SMALL_OCTETS + 1, "another"):
        assert (await talk.send(MESSAGE + b"x" * 70 + (b"\r\n" + b"x" * 70) * 5000 + b"\r\n")).startswith("451 4.3.2")
    assert desk.spool.items == [] and desk.spool.open == 0


async def test_t_dos_14_large_mail_of_one_network_leaves_room_for_that_of_another(desk: Post) -> None:
    """As while filters wait for name servers of its sender that never answer."""
    large = MESSAGE + b"x" * 70 + (b"\r\n" + b"x" * 70) * 5000 + b"\r\n"
    room = Room(4 * SMALL_OCTETS, wait_s=0.01)
    talk = Talk(replace(desk, desk=replace(desk.desk, room=room)))  # from 192.0.2.1
    async with room.of(100 * SMALL_OCTETS, "192.0.2.0/24"):
        assert (await talk.send(large)).startswith("451 4.3.2")
    async with room.of(100 * SMALL_OCTETS, "198.51.100.0/24"):
        assert (await talk.send(large)).startswith("250")


@pytest.fixture
def shadow_room(desk: Post) -> ShadowRoom:
    """With a place for one message, which every message wants."""
    room, services = ShadowRoom(messages=1), FakeServices()
    looks = plugin_module("looks", "@hookimpl\nasync def inspect_message():\n    await asyncio.Event().wait()\n")
    policy, host = made_policy("inbound", [looks], {"looks": {"mode": "shadow"}}, {})
    judge = Judge(policy, host, services.of, hostname="mx.example.org", clock=services.clock, room=room)
    desk.desk = replace(desk.desk, judge=lambda role: judge)
    return room


async def test_a_message_that_is_taken_has_its_place_in_the_shadow_until_it_was_looked_at(
    desk: Post, shadow_room: ShadowRoom
) -> None:
    assert (await Talk(desk).send(MESSAGE)).startswith("250")
    assert not shadow_room.take(1)
    await shadow_room.stop()
    assert shadow_room.take(1)


async def test_a_message_that_cannot_be_written_down_gives_its_place_in_the_shadow_back(
    desk: Post, shadow_room: ShadowRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.spool.errors["commit"] = StorageError("no more")
    assert (await Talk(desk).send(MESSAGE)).startswith("451")
    desk.spool.errors.clear()
    monkeypatch.setattr(reception, "queue_item", lambda *given: 1 // 0)
    assert (await Talk(desk).send(MESSAGE)).startswith("451")
    assert shadow_room.take(1) and desk.spool.open == 0 and desk.spool.items == []


async def test_a_message_whose_client_hangs_up_while_it_is_written_gives_its_place_in_the_shadow_back(
    desk: Post, shadow_room: ShadowRoom
) -> None:
    desk.spool.gate = asyncio.Event()
    sending = asyncio.create_task(Talk(desk).send(MESSAGE))
    await desk.spool.committing.wait()
    assert not shadow_room.take(1)
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)
    assert shadow_room.take(1) and desk.spool.open == 0 and desk.spool.items == []


async def test_t_relay_15_16_too_many_hops(desk: Post, talk: Talk) -> None:
    received = b"Received: from a by b; Thu, 1 Jan 2026 00:00:00 +0000\r\n"
    assert (await talk.send(received * 100 + MESSAGE)).startswith("250")
    assert (await talk.send(received * 101 + MESSAGE)).startswith("554 5.4.6")
    record = desk.decisions.last()
    assert record is not None
    assert (record.recipients[0].source_kind, record.recipients[0].source_name) == ("core", "hops")
    assert desk.spool.open == 0


async def test_t_relay_15_a_message_that_was_here_three_times_is_in_a_loop(desk: Post, talk: Talk) -> None:
    message = MESSAGE
    for _ in range(3):
        assert (await talk.send(message)).startswith("250")
        message = desk.spool.items[-1][0].trace.encode() + b"Received: from us by a.list.example; x\r\n" + message
    assert (await talk.send(message)).startswith("554 5.4.6 This message has been here before")
    record = desk.decisions.last()
    assert record is not None and record.recipients[0].source_name == "loop"
    assert len(desk.spool.items) == 3 and desk.spool.open == 0


async def test_t_relay_14_reports_are_taken_for_as_many_recipients_as_the_admin_says(desk: Post) -> None:
    both = ("RCPT TO:<alice@example.org>", "RCPT TO:<bob@example.org>")
    hello = ("EHLO c.example.net", "MAIL FROM:<>")
    assert [line[:3] for line in (await Talk(desk).say(*hello, *both))[-2:]] == ["250", "250"]
    desk.desk = replace(desk.desk, null_recipients=1)
    said = await Talk(desk).say(*hello, *both, both[0], "RSET", "MAIL FROM:<a@example.net>", *both)
    assert [line[:9] for line in said[-7:]] == [
        "250 2.1.5", "550 5.5.3", "250 2.1.5", "250 2.0.0", "250 2.1.0", "250 2.1.5", "250 2.1.5",
    ]  # fmt: skip
    record = desk.decisions.last()
    assert record is not None and record.recipients[0].source_name == "null reverse-path"
    assert record.recipients[0].recipient == "bob@example.org"


@pytest.mark.parametrize(
    "header",
    [b"X: " + b"a" * 300_000 + b"\r\n", b"X: y\r\n" * 1001, b"X: a\r\n" + b" folded\r\n" * 8000],
    ids=["block", "fields", "field"],
)
async def test_t_smtp_25_a_header_beyond_the_budget_is_refused(desk: Post, talk: Talk, header: bytes) -> None:
    assert (await talk.send(header + MESSAGE)).startswith("554 5.6.0")


async def test_t_smtp_29_a_message_without_header_is_taken(desk: Post, talk: Talk) -> None:
    assert (await talk.send(b"\r\nhello\r\n")).startswith("250")
    assert (await talk.send(b"")).startswith("250")
    assert [octets for _, octets in desk.spool.items] == [b"\r\nhello\r\n", b""]


async def test_t_tls_09_the_handshake_drops_the_transaction(desk: Post, talk: Talk) -> None:
    await talk.say("EHLO c.example.net", "MAIL FROM:<a@example.net>")
    talk.reception.tls_started(TlsFacts("TLSv1.3", "TLS_AES_256_GCM_SHA384"))
    assert talk.reception.session.helo is None
    assert talk.reception.session.tls is not None


async def test_t_state_08_a_lost_client_leaves_nothing(desk: Post, talk: Talk) -> None:
    await talk.say("EHLO c.example.net", "MAIL FROM:<a@example.net>", "RCPT TO:<alice@example.org>", "DATA", MESSAGE)
    talk.reception.drop()
    assert (desk.spool.open, desk.spool.aborted, desk.spool.items) == (0, 1, [])


async def test_one_greppable_line_a_recipient(desk: Post, talk: Talk) -> None:
    with structlog.testing.capture_logs() as lines:
        await talk.send(MESSAGE, "alice@example.org", "bob@example.org")
        await talk.say("MAIL FROM:<a@example.net>", "RCPT TO:<nobody@example.org>")
    verdicts = [line for line in lines if line["event"] == "verdict"]
    assert [(v["rcpt"], v["verdict"], v["rule"], v["score"]) for v in verdicts] == [
        ("alice@example.org", "accept", "words", 1.5),
        ("bob@example.org", "accept", "words", 1.5),
        ("nobody@example.org", "reject", "unknown mailbox", 0.0),
    ]
    assert verdicts[0]["id"] == desk.spool.items[0][0].id
    assert not any("hello" in str(line) for line in lines)


async def test_lmtp_gives_each_recipient_its_own_fate(desk: Post) -> None:
    talk = Talk(desk, lmtp=True)
    rcpts = ["RCPT TO:<alice@example.org>", "RCPT TO:<bob@example.org>", "RCPT TO:<alice@example.org>"]
    replies = await talk.say("LHLO c.example.net", "MAIL FROM:<a@example.net>", *rcpts, "DATA")
    assert replies[-1].startswith("354")
    replies = await talk.say(b"Subject: REJECT\r\n\r\nx\r\n.\r\n")
    assert [line[:9] for line in replies] == ["250 2.0.0", "554 5.7.1", "250 2.0.0"]
    ((item, _),) = desk.spool.items
    assert [recipient.forward_path for recipient in item.recipients] == ["alice@example.org"]
    assert [(d.recipient, d.verdict) for d in item.decision.recipients] == [
        ("alice@example.org", "accept"),
        ("bob@example.org", "reject"),
    ]
    assert "with LMTP" in item.trace.replace("\r\n\t", " ")


async def test_lmtp_message_that_nobody_takes_is_not_queued(desk: Post) -> None:
    talk = Talk(desk, lmtp=True)
    await talk.say("LHLO c.example.net", "MAIL FROM:<a@example.net>", "RCPT TO:<bob@example.org>", "DATA")
    assert [line[:9] for line in await talk.say(b"Subject: TEMPFAIL\r\n\r\nx\r\n.\r\n")] == ["451 4.3.0"]
    assert desk.spool.items == []
    assert desk.spool.open == 0


async def test_lmtp_failure_of_ours_defers_each(desk: Post) -> None:
    desk.spool.errors["commit"] = StorageError("no")
    talk = Talk(desk, lmtp=True)
    rcpts = ["RCPT TO:<alice@example.org>", "RCPT TO:<bob@example.org>"]
    await talk.say("LHLO c.example.net", "MAIL FROM:<a@example.net>", *rcpts, "DATA")
    assert [line[:9] for line in await talk.say(b"Subject: x\r\n\r\nx\r\n.\r\n")] == ["451 4.3.0", "451 4.3.0"]


async def test_lmtp_takes_mail_for_mailboxes_here_only(desk: Post) -> None:
    talk = Talk(desk, lmtp=True)
    await talk.say("LHLO c.example.net", "MAIL FROM:<a@example.net>")
    for rcpt, answer in (
        ("x@gateway.example", "554 5.7.1"),
        ("x@elsewhere.example", "554 5.7.1"),
        ("carol@example.org", "550 5.1.1"),
    ):
        assert (await talk.say(f"RCPT TO:<{rcpt}>"))[0].startswith(answer)


async def test_prdr_gives_each_recipient_its_own_fate(desk: Post) -> None:
    talk = Talk(desk)
    rcpts = ["RCPT TO:<alice@example.org>", "RCPT TO:<bob@example.org>"]
    await talk.say("EHLO c.example.net", "MAIL FROM:<a@example.net> PRDR", *rcpts, "DATA")
    replies = await talk.say(b"Subject: TEMPFAIL\r\n\r\nx\r\n.\r\n")
    assert [line[:9] for line in replies] == ["353 A rep", "250 2.0.0", "451 4.3.0", "250 2.0.0"]
    ((item, _),) = desk.spool.items
    assert [recipient.forward_path for recipient in item.recipients] == ["alice@example.org"]


BINARY = b"From: a@example.net\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: binary\r\n\r\n\x89PNG\r\n\x1a\n\0\0"


async def send_binary(talk: Talk, octets: bytes) -> str:
    opening = ("EHLO c.example.net", "MAIL FROM:<a@example.net> BODY=BINARYMIME", "RCPT TO:<alice@example.org>")
    await talk.say(*opening)
    return (await talk.say(b"BDAT %d LAST\r\n" % len(octets) + octets))[-1]


async def test_t_smtp_19_binary_content_is_in_lines_before_anybody_sees_it(desk: Post, talk: Talk) -> None:
    answer = await send_binary(talk, BINARY)
    [(item, octets)] = desk.spool.items
    assert answer == f"250 2.0.0 Accepted, id {item.id}" and item.decision.id == item.id
    assert octets.endswith(b"Content-Transfer-Encoding: base64\r\nMIME-Version: 1.0\r\n\r\niVBORw0KGgoAAA==\r\n")
    assert item.size_octets == len(octets) and desk.spool.open == 0


async def test_t_smtp_19_what_is_in_lines_stays_as_it_came_for_its_signatures(desk: Post, talk: Talk) -> None:
    octets = b"DKIM-Signature: v=1\r\nContent-Transfer-Encoding: binary\r\n\r\n\x89 text\r\n"
    assert (await send_binary(talk, octets)).startswith("250")
    assert desk.spool.items[0][1] == octets and desk.spool.aborted == 0


@pytest.mark.parametrize(
    ("octets", "refusal"),
    [
        (b"Subject: x\r\n\r\ntext\nREJECT\0", "554 5.6.0 Binary content stands outside"),
        (b"Subject: x\0\r\nContent-Transfer-Encoding: binary\r\n\r\n\0", "554 5.6.0 Binary content stands outside"),
        (
            b"Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\nContent-Transfer-Encoding: binary\r\n\r\n\0\r\n--b--\r\n",
            "554 5.6.3 Binary content that cannot be converted",
        ),
    ],
)
async def test_t_smtp_19_binary_content_that_cannot_be_converted_is_refused_and_recorded(
    desk: Post, talk: Talk, octets: bytes, refusal: str
) -> None:
    answer = await send_binary(talk, octets)
    assert answer.startswith(refusal)
    record = desk.decisions.last()
    assert record is not None
    assert (record.recipients[0].verdict, record.recipients[0].source_name, record.reply) == ("reject", "binary content", answer)
    assert not desk.spool.items and desk.spool.open == 0
    assert (await send_binary(talk, BINARY)).startswith("250"), "nothing of it is carried over"


@pytest.mark.parametrize("call", ["write", "commit"])
async def test_a_disk_that_fails_while_content_is_converted_is_451_and_leaves_nothing(desk: Post, talk: Talk, call: str) -> None:
    opening = ("EHLO c.example.net", "MAIL FROM:<a@example.net> BODY=BINARYMIME", "RCPT TO:<alice@example.org>")
    await talk.say(*opening, b"BDAT %d\r\n" % len(BINARY) + BINARY)
    desk.spool.errors[call] = StorageError("disk")
    assert (await talk.say("BDAT 0 LAST"))[-1].startswith("451 4.3.0")
    assert not desk.spool.items and desk.spool.open == 0


async def test_when_held_mail_may_go_is_in_its_item_and_its_record_is_kept_at_once(desk: Post) -> None:
    talk = Talk(desk, Role.SUBMISSION)
    await talk.say("EHLO c.example.net", "AUTH PLAIN AGFsaWNlQGV4YW1wbGUub3JnAHNlY3JldA==")
    over = await talk.say("MAIL FROM:<alice@example.org> HOLDUNTIL=2026-01-02T03:04:05Z")
    assert over == ["501 5.5.4 HOLDUNTIL names a moment that is over"]
    for parameter, until in (("HOLDFOR=90", "03:05:35"), ("HOLDUNTIL=2026-01-02T05:00:00+01:00", "04:00:00")):
        await talk.say(f"MAIL FROM:<alice@example.org> {parameter}", "RCPT TO:<bob@example.org>", "DATA")
        assert (await talk.say(b"From: alice@example.org\r\n\r\nhi\r\n.\r\n"))[-1].startswith("250")
        (item, _) = desk.spool.items[-1]
        assert item.hold_until == f"2026-01-02T{until}.000Z" and desk.told[-1] is item
        record = desk.decisions.get(item.id)
        assert record is not None
        assert f"held by its sender until {item.hold_until} (FUTURERELEASE)" in record.recipients[0].told


async def test_time_and_priority_are_in_the_item_the_priority_no_higher_than_the_admin_lets_accounts_ask(desk: Post) -> None:
    desk.desk = replace(desk.desk, account_priority=3)
    talk = Talk(desk, Role.SUBMISSION)
    await talk.say("EHLO c.example.net", "AUTH PLAIN AGFsaWNlQGV4YW1wbGUub3JnAHNlY3JldA==")
    mail = "MAIL FROM:<alice@example.org>"
    assert await talk.say(f"{mail} MT-PRIORITY=9 BY=60;RT") == ["250 2.3.6 3 is the new priority"]
    await talk.say("RCPT TO:<bob@example.org>", "DATA")
    # What the header says of priority is a stranger's word, whoever submits it (RFC 6758).
    octets = b"From: alice@example.org\r\nMT-Priority: 9\r\n\r\nhi\r\n.\r\n"
    assert (await talk.say(octets))[-1].startswith("250")
    assert await talk.say(f"{mail} MT-PRIORITY=-4 BY=-60;N") == ["250 2.1.0 OK"]
    await talk.say("RCPT TO:<bob@example.org>", "DATA", octets)
    assert await talk.say(f"{mail} BY=60;R HOLDFOR=60") == ["501 5.5.4 BY ends before the message may go"]
    assert await talk.say(mail) == ["250 2.1.0 OK"]
    await talk.say("RCPT TO:<bob@example.org>", "DATA", octets)
    assert [(i.priority, i.deliver_by, i.by_mode, i.by_trace) for i, _ in desk.spool.items] == [
        (3, "2026-01-02T03:05:05.000Z", "R", True),
        (-4, "2026-01-02T03:03:05.000Z", "N", False),
        (0, "", "", False),
    ]
    told = [item.decision.recipients[0].told for item, _ in desk.spool.items]
    assert told[0] == (
        "to be delivered by 2026-01-02T03:05:05.000Z, else it comes back (DELIVERBY)",
        "its sender gives it priority 3 (MT-PRIORITY)",
    )
    assert told[2] == ()


@pytest.mark.parametrize(
    ("fields", "parameters", "waives"),
    [
        ("TLS-Required: No", "", True),
        ("tls-required: (as he asked) no", "", True),
        ("TLS-Required: No", "REQUIRETLS", False),
        ("TLS-Required: Yes", "", False),
        ("TLS-Required: No\r\nTLS-Required: No", "", False),
        ("X: y", "", False),
    ],
)
async def test_t_tls_24_only_a_user_lets_mail_go_without_tls_and_only_by_one_plain_word(
    desk: Post, fields: str, parameters: str, waives: bool
) -> None:
    """RFC 8689 section 5."""
    octets = f"From: alice@example.org\r\n{fields}\r\n\r\nhi\r\n.\r\n".encode()
    user, stranger = Talk(desk, Role.SUBMISSION), Talk(desk)
    await user.say("EHLO c.example.net", "AUTH PLAIN AGFsaWNlQGV4YW1wbGUub3JnAHNlY3JldA==")
    await user.say(f"MAIL FROM:<alice@example.org> {parameters}", "RCPT TO:<bob@example.org>", "DATA", octets)
    await stranger.say("EHLO c.example.net", "MAIL FROM:<a@example.net>", "RCPT TO:<x@gateway.example>", "DATA", octets)
    assert [item.tls_optional for item, _ in desk.spool.items] == [waives, False]
    told = [item.decision.recipients[0].told for item, _ in desk.spool.items]
    assert ["the sender lets it go without TLS (TLS-Required: No)" in actions for actions in told] == [waives, False]


async def test_what_happens_to_the_record_of_held_mail_behind_its_commit_changes_no_answer(
    desk: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(record: object) -> None:
        raise RuntimeError("the pool is closed")

    monkeypatch.setattr(desk.decisions, "add", broken)
    talk = Talk(desk, Role.SUBMISSION)
    await talk.say("EHLO c.example.net", "AUTH PLAIN AGFsaWNlQGV4YW1wbGUub3JnAHNlY3JldA==")
    head = b"From: alice@example.org\r\n" + MESSAGE.partition(b"\r\n")[2]
    replies = await talk.say("MAIL FROM:<alice@example.org> HOLDFOR=60", "RCPT TO:<bob@example.org>", "DATA", head + b".\r\n")
    [(item, _)] = desk.spool.items
    assert replies[-1] == f"250 2.0.0 Accepted, id {item.id}" and item.hold_until
