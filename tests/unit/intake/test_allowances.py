"""What one stranger or account may send in an hour; beyond it mail is deferred with a reply that says why."""

import ipaddress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from mailward.intake.allowances import Allowances
from mailward.intake.relaying import RelayGuard
from mailward.model.address import ForwardPath
from mailward.model.ids import SessionId
from mailward.model.session import Role, Session
from mailward.services.hourly import Hourly, HourlyLimits
from support.smtp_reception import Talk, post

MAIL = ("MAIL FROM:<a@example.net>", "RCPT TO:<alice@example.org>", "DATA", b"Subject: x\r\n\r\nbody\r\n.\r\n")


async def test_t_dos_03_messages_of_one_address_are_limited(tmp_path: Path) -> None:
    desk = post(tmp_path, strangers=HourlyLimits(messages=2))
    talk = Talk(desk)
    await talk.say("EHLO c.example.net")
    for _ in range(2):
        assert (await talk.say(*MAIL))[-1].startswith("250 2.0.0")
    [answer] = await talk.say(MAIL[0])
    assert answer.startswith("450 4.7.1 Too many messages, please try again later (id ")
    record = desk.decisions.last()
    assert record is not None and [decision.verdict for decision in record.recipients] == ["tempfail"]
    assert [line[:3] for line in await talk.say(*MAIL[1:3])] == ["503", "503"]


async def test_t_dos_03_recipients_of_one_address_are_limited_and_the_others_get_their_mail(tmp_path: Path) -> None:
    desk = post(tmp_path, strangers=HourlyLimits(recipients=1))
    talk = Talk(desk)
    replies = await talk.say("EHLO c.example.net", "MAIL FROM:<a@example.net>", "RCPT TO:<alice@example.org>")
    replies = await talk.say("RCPT TO:<bob@example.org>")
    assert replies[0].startswith("450 4.7.1 Too many recipients, please try again later (id ")
    replies = await talk.say("DATA", b"Subject: x\r\n\r\nbody\r\n.\r\n")
    assert replies[-1].startswith("250 2.0.0")
    assert [recipient.forward_path for item, _ in desk.spool.items for recipient in item.recipients] == ["alice@example.org"]


async def test_t_dos_03_nobody_is_looked_up_for_who_has_nothing_left_nor_twice_in_a_transaction(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The address may be an alias with a thousand ends."""
    desk = post(tmp_path, strangers=HourlyLimits(recipients=2))
    asked: list[str] = []
    look_up = RelayGuard.destination

    def counted(guard: RelayGuard, forward_path: ForwardPath, *more: Any) -> object:
        asked.append(str(forward_path))
        return look_up(guard, forward_path, *more)

    monkeypatch.setattr(RelayGuard, "destination", counted)
    talk = Talk(desk)
    await talk.say("EHLO c.example.net", "MAIL FROM:<a@example.net>")
    answers = await talk.say(*["RCPT TO:<alice@example.org>"] * 5)
    assert [answer[:3] for answer in answers] == ["250"] * 5 and asked == ["alice@example.org"]
    answers = await talk.say("RCPT TO:<nobody@example.org>", *["RCPT TO:<bob@example.org>", "RCPT TO:<nobody@example.org>"])
    assert [answer[:3] for answer in answers] == ["550", "250", "450"]
    assert asked == ["alice@example.org", "nobody@example.org", "bob@example.org"]


async def test_t_dos_05_messages_that_are_broken_off_count_by_their_octets(tmp_path: Path) -> None:
    desk = post(tmp_path, strangers=HourlyLimits(octets=100_000))
    for _ in range(2):
        talk = Talk(desk)
        await talk.say("EHLO c.example.net", *MAIL[:3])
        await talk.say(b"x" * 60_000)  # and the client is gone
    replies = await Talk(desk).say("EHLO c.example.net", MAIL[0])
    assert replies[-1].startswith("450 4.7.1 Too much mail, please try again later (id ")


@pytest.mark.parametrize("messages", [1, 3])
async def test_an_account_has_limits_of_its_own(tmp_path: Path, messages: int) -> None:
    desk = post(tmp_path, strangers=HourlyLimits(messages=1), accounts=HourlyLimits(messages=messages))
    talk = Talk(desk, Role.SUBMISSION)
    await talk.say("EHLO c.example.net", "AUTH PLAIN AGFsaWNlQGV4YW1wbGUub3JnAHNlY3JldA==")
    for number in range(messages + 1):
        [answer] = await talk.say("MAIL FROM:<alice@example.org>")
        assert answer.startswith("250" if number < messages else "450 4.7.1")
        await talk.say("RSET")


@pytest.mark.parametrize(
    ("peer_ip", "counted"),
    [("192.0.2.1", True), ("127.0.0.1", False), ("::1", False), ("198.51.100.7", False), ("2001:db8::1", True)],
)
def test_mail_of_this_machine_and_of_exempt_networks_is_not_counted(peer_ip: str, counted: bool) -> None:
    allowances = Allowances(Hourly(HourlyLimits(messages=1)), Hourly(HourlyLimits()), [ipaddress.ip_network("198.51.100.0/24")])
    session = Session(SessionId("s"), Role.MX, "mx", peer_ip, datetime(2026, 1, 2, tzinfo=UTC))
    assert [allowances.message(session) is None for _ in range(3)] == [True, not counted, not counted]
