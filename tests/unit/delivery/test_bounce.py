"""Who is told what about mail that could not be delivered, and when nobody is."""

import email
import email.policy
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage

import pytest

from mailward.cli.decisions import record_as_text
from mailward.delivery.bounce import MAX_RETURNED_OCTETS, Report, no_report_reason, report
from mailward.delivery.fate import Fate
from mailward.formats.dsn import Action
from mailward.model.envelope import Ret
from mailward.model.ids import QueueId
from mailward.protocol.smtp.outgoing import Result
from mailward.queue.item import QueuedRecipient, QueueItem
from support.spooling import NOW, item_for

OCTETS = (
    b"From: a@example.org\r\nTo: bob@example.net\r\nSubject: =?utf-8?q?Lunch=0Anow?=\r\nMessage-ID: <1@example.org>\r\n\r\nHi\r\n"
)
TO = QueuedRecipient("a@example.org", "mailbox", account="a")
ID = QueueId("01k9report")


def item(*routes: str, origin: str = "submission", reverse_path: str = "a@example.org", **facts: str) -> QueueItem:
    recipients = [QueuedRecipient(f"user{n}@example.net", route) for n, route in enumerate(routes or ("relay",))]
    made = item_for(OCTETS, recipients, reverse_path=reverse_path)
    return replace(made, origin=origin, decision=replace(made.decision, facts=facts))  # type: ignore[arg-type]


def fate(status: str = "5.1.1", words: str = "550 5.1.1 No such user", mta: str = "mx.example.net") -> Fate:
    return Fate(Result.PERMANENT, status, words, mta, "")


def failure(about: QueueItem, *fates: Fate, to: QueuedRecipient = TO) -> Report:
    told = dict(enumerate(fates or (fate(),)))
    return report(about, OCTETS, "failed", told, to=to, hostname="mx.example.org", from_domain="example.org", at=NOW, id=ID)


def parsed(made: Report) -> tuple[EmailMessage, str]:
    message = email.message_from_bytes(made.octets, policy=email.policy.SMTPUTF8)
    assert isinstance(message, EmailMessage)
    text = next(message.iter_parts())
    assert isinstance(text, EmailMessage)
    return message, text.get_content()


def test_a_failure_tells_in_plain_words_what_happened_and_what_to_do() -> None:
    message, text = parsed(failure(item("relay", "relay"), fate(), fate("5.2.2", "mailbox full", "")))
    assert message["Subject"] == "Not delivered: your mail to user0@example.net and 1 more"
    assert message["From"] == "Mail delivery <postmaster@example.org>"
    assert message["References"] == "<1@example.org>"
    assert text.splitlines()[:11] == [
        'This is the mail server mx.example.org. It has your mail "Lunchnow"',
        "since 1 March 2026 at 12:00 UTC.",
        "",
        "It could not be delivered to these recipients, and will not be tried again:",
        "",
        "  user0@example.net",
        "    mx.example.net said: 550 5.1.1 No such user",
        "    Check how the address is spelled, or ask for another one.",
        "",
        "  user1@example.net",
        "    mailbox full",
    ]


def forwarded(*, action: Action = "failed", to: QueuedRecipient) -> Report:
    """About an alias with two ends that fail, and another recipient."""
    about = item("relay", "mailbox", "relay")
    hidden = [replace(recipient, asked="sales@example.org") for recipient in about.recipients[:2]]
    about = replace(about, recipients=(*hidden, about.recipients[2]))
    fates = {n: fate(words=f"550 5.1.1 <user{n}@example.net> is unknown to me") for n in range(3)}
    return report(about, OCTETS, action, fates, to=to, hostname="mx.example.org", from_domain="example.org", at=NOW, id=ID)


@pytest.mark.parametrize("action", ["failed", "delayed", "relayed", "delivered"])
def test_rfc_3464_4_2_a_stranger_hears_of_the_address_he_wrote_to_and_not_where_it_leads(action: Action) -> None:
    stranger = QueuedRecipient("a@stranger.test", "relay")
    octets = forwarded(action=action, to=stranger).octets.split(b"message/rfc822")[0]
    assert b"user0@" not in octets and b"user1@" not in octets and octets.count(b"Final-Recipient: ") == 2
    assert b"Final-Recipient: rfc822; sales@example.org\r\n" in octets
    assert b"Final-Recipient: rfc822; user2@example.net\r\n" in octets and octets.count(b"Remote-MTA") == 1
    if action == "failed":
        _, text = parsed(forwarded(to=stranger))
        assert text.splitlines()[5:8] == [
            "  sales@example.org",
            "    The address leads on to another one, which does not take the mail",
            "    Check how the address is spelled, or ask for another one.",
        ]


def test_a_user_of_this_server_hears_where_an_alias_leads() -> None:
    octets = forwarded(to=TO).octets
    assert octets.count(b"Final-Recipient: rfc822; user") == 3 and octets.count(b"is unknown to me") >= 3


def test_a_delay_says_that_nothing_need_be_done_and_until_when() -> None:
    about = item()
    until = NOW + timedelta(days=5)
    fates = {0: fate("4.4.1", "connection timed out", "")}
    made = report(
        about, OCTETS, "delayed", fates, until, to=TO, hostname="mx.example.org", from_domain="mx.example.org", at=NOW, id=ID
    )
    message, text = parsed(made)
    assert message["Subject"] == "Delayed: your mail to user0@example.net"
    assert message["From"] == "Mail delivery <postmaster@mx.example.org>"
    assert "You need not do anything: it is tried again until 6 March 2026 at 12:00 UTC." in text
    assert b"Action: delayed\r\n" in made.octets and b"Will-Retry-Until: Fri, 06 Mar" in made.octets


def test_the_item_of_a_report_has_the_null_reverse_path_and_explains_itself() -> None:
    about = item()
    written = failure(about)
    made = written.item
    assert (made.id, made.reverse_path, made.origin, made.recipients, made.smtputf8) == (ID, "", "server", (TO,), False)
    assert QueueItem.from_json(made.to_json()) == made
    assert made.size_octets == len(written.octets)
    told = record_as_text(made.decision)
    assert f"the server itself: delivery report (failed) about {about.id}" in told and "policy" not in told


def test_t_q_12_there_is_no_bounce_for_a_bounce() -> None:
    assert no_report_reason(item(reverse_path=""))
    assert no_report_reason(item(origin="server"))
    assert no_report_reason(failure(item()).item)
    assert not no_report_reason(item())


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        ({}, False),
        ({"spf.result": "none"}, False),
        ({"spf.result": "fail", "dmarc.result": "fail"}, False),
        ({"spf.result": "pass"}, True),
        ({"dmarc.result": "pass", "author.domain": "example.org", "mail_from.domain": "example.org"}, True),
        ({"dmarc.result": "pass", "author.domain": "example.com", "mail_from.domain": "example.org"}, False),
    ],
)
def test_t_relay_13_a_stranger_is_told_only_at_a_proven_reverse_path(facts: dict[str, str], told: bool) -> None:
    about = item(origin="inbound", **facts)
    assert (no_report_reason(about) == "") == told


def test_a_report_to_an_internationalized_address_asks_for_smtputf8() -> None:
    to = replace(TO, forward_path="я@example.org")
    assert failure(item(reverse_path="я@example.org"), to=to).item.smtputf8
    assert failure(item(), fate(words="550 5.1.1 нет")).octets.isascii()


def test_t_hdr_11_a_reply_with_line_ends_stays_one_line_for_people_too() -> None:
    words = "550 5.7.1 no\r\n\r\nYour account is locked, visit http://bad.example" + "!" * 2000
    _, text = parsed(failure(item(), fate(words=words)))
    (line,) = [line for line in text.splitlines() if "locked" in line]
    assert line.startswith("    mx.example.net said: 550 5.7.1 no Your") and len(line) < 600


def test_a_message_with_very_many_recipients_is_told_in_short() -> None:
    about = item(*["relay"] * 300)
    made = failure(about, *[fate()] * 300)
    _, text = parsed(made)
    assert text.count("said:") == 100 and "and 200 more." in text
    assert made.octets.count(b"Final-Recipient:") == 300
    assert datetime.fromisoformat(made.item.received_at) == NOW.astimezone(UTC)


@pytest.mark.parametrize(
    ("action", "ret", "octets", "route", "whole"),
    [
        ("failed", "FULL", OCTETS, "relay", True),
        ("failed", "HDRS", OCTETS, "mailbox", False),
        ("failed", "", OCTETS, "mailbox", False),
        ("delayed", "FULL", OCTETS, "mailbox", False),  # RFC 3461 section 4.3: only failures bring content back
        ("relayed", "FULL", OCTETS, "mailbox", False),
        ("failed", "FULL", OCTETS + b"\xe4\r\n", "mailbox", True),
        ("failed", "FULL", OCTETS + b"\xe4\r\n", "relay", False),
        ("failed", "FULL", OCTETS + b"x" * MAX_RETURNED_OCTETS, "mailbox", False),
    ],
)
def test_ret_decides_what_comes_back_with_a_failure(action: Action, ret: Ret, octets: bytes, route: str, whole: bool) -> None:
    about = replace(item(), ret=ret)
    way = {"to": replace(TO, route=route), "hostname": "mx.example.org", "from_domain": "example.org", "at": NOW, "id": ID}
    made = report(about, octets, action, {0: fate()}, **way)  # type: ignore[arg-type]
    assert (octets.partition(b"\r\n\r\n")[2] in made.octets) == whole


def test_t_tls_25_of_mail_that_requires_tls_only_the_header_comes_back() -> None:
    about = replace(item(), ret="FULL", require_tls=True)
    way = {"to": TO, "hostname": "mx.example.org", "from_domain": "example.org", "at": NOW, "id": ID}
    made = report(about, OCTETS, "failed", {0: fate()}, **way)  # type: ignore[arg-type]
    assert b"text/rfc822-headers" in made.octets and b"\r\nHi\r\n" not in made.octets
