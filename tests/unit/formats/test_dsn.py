"""Delivery status notifications: what the standard library's parser, and the shape of RFC 3464's examples, say of them."""

import email
import email.policy
import re
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage, Message

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailward.formats.dsn import Action, DeliveryReport, RecipientStatus, typed_address

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
ORIGINAL = b"From: a@example.org\r\nTo: b@example.net\r\nSubject: Lunch\r\nMessage-ID: <1@example.org>\r\n\r\nsecret body\r\n"
STATUS = RecipientStatus(
    "b@example.net", "failed", "5.1.1", "550 5.1.1 No such user", "mx.example.net", last_attempt_at=AT + timedelta(minutes=1)
)
REPORT = DeliveryReport(
    hostname="mx.example.org",
    sender="postmaster@example.org",
    recipient="a@example.org",
    subject="Not delivered: your mail to b@example.net",
    at=AT + timedelta(minutes=2),
    message_id="<2@example.org>",
    text="It could not be delivered.\n",
    arrival_at=AT,
    statuses=[STATUS],
    original=ORIGINAL,
    references="<1@example.org>",
)


def read(report: DeliveryReport) -> tuple[EmailMessage, EmailMessage, list[Message], EmailMessage]:
    """The message, its text, the groups of its status, the original's header."""
    octets = report.to_octets()
    check_octets(octets)
    message = email.message_from_bytes(octets, policy=email.policy.SMTPUTF8)
    assert isinstance(message, EmailMessage)
    assert not message.defects
    text, status, header = message.iter_parts()
    assert not text.defects and not status.defects
    groups = status.get_payload()
    assert isinstance(groups, list)
    return message, text, groups, header  # type: ignore[return-value]


def check_octets(octets: bytes) -> None:
    assert octets.endswith(b"\r\n")
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)|\0", octets)
    assert max(map(len, octets.split(b"\r\n"))) <= 998


def test_the_message_has_the_form_of_rfc_6522_and_names_itself_automatic() -> None:
    message, text, _, header = read(REPORT)
    assert message.get_content_type() == "multipart/report"
    assert message.get_param("report-type") == "delivery-status"
    assert [part.get_content_type() for part in message.iter_parts()] == [
        "text/plain",
        "message/delivery-status",
        "text/rfc822-headers",
    ]
    assert message["From"] == "Mail delivery <postmaster@example.org>"
    assert message["To"] == "a@example.org"
    assert message["Auto-Submitted"] == "auto-replied"
    assert message["Message-ID"] == "<2@example.org>"
    assert message["References"] == "<1@example.org>"
    assert message["Date"].datetime == AT + timedelta(minutes=2)
    assert message["Subject"] == "Not delivered: your mail to b@example.net"
    assert text.get_content() == "It could not be delivered.\r\n"
    assert header.get_payload() == ORIGINAL.decode().partition("\r\n\r\n")[0] + "\r\n"


def test_the_status_has_the_fields_of_rfc_3464_section_2() -> None:
    _, _, (about, recipient), _ = read(REPORT)
    assert about.items() == [("Reporting-MTA", "dns; mx.example.org"), ("Arrival-Date", "Sun, 01 Mar 2026 12:00:00 +0000")]
    assert recipient.items() == [
        ("Final-Recipient", "rfc822; b@example.net"),
        ("Action", "failed"),
        ("Status", "5.1.1"),
        ("Remote-MTA", "dns; mx.example.net"),
        ("Diagnostic-Code", "smtp; 550 5.1.1 No such user"),
        ("Last-Attempt-Date", "Sun, 01 Mar 2026 12:01:00 +0000"),
    ]


def test_a_delay_says_until_when_and_what_is_not_known_is_left_out() -> None:
    delayed = RecipientStatus(
        "b@example.net",
        "delayed",
        "",
        "connection refused",
        will_retry_until=AT + timedelta(days=5),
    )
    _, _, groups, _ = read(replace(REPORT, statuses=[STATUS, delayed]))
    assert len(groups) == 3
    assert groups[2].items() == [
        ("Final-Recipient", "rfc822; b@example.net"),
        ("Action", "delayed"),
        ("Status", "4.0.0"),
        ("Diagnostic-Code", "x-mailward; connection refused"),
        ("Will-Retry-Until", "Fri, 06 Mar 2026 12:00:00 +0000"),
    ]


HOSTILE = "550 5.1.1 no\r\nFinal-Recipient: rfc822; victim@example.org\r\n\r\n--=_report\r\n\0\x1b[31m\u202eok\u2028" + "x" * 5000


def test_t_hdr_11_what_a_peer_said_cannot_add_a_field_a_group_or_a_part() -> None:
    hostile = replace(STATUS, diagnostic=HOSTILE, remote_mta="mx\r\nX: y", final_recipient="b@example.net\r\nZ: z")
    report = replace(REPORT, statuses=[hostile], subject=f"about {HOSTILE}", text=HOSTILE, recipient="a@example.org\r\nBcc: e@e")
    message, _, groups, _ = read(report)
    assert len(list(message.iter_parts())) == 3 and len(groups) == 2
    assert groups[1].keys() == ["Final-Recipient", "Action", "Status", "Remote-MTA", "Diagnostic-Code", "Last-Attempt-Date"]
    assert "Bcc" not in message
    assert len(groups[1]["Diagnostic-Code"]) < 600


@pytest.mark.parametrize(
    ("address", "typed"),
    [
        ("b@example.net", "rfc822; b@example.net"),
        ('"b c+d"@example.net', 'rfc822; "b c+d"@example.net'),
        ("müller+a@example.net", "utf-8; m\\x{FC}ller\\x{2B}a@example.net"),
        ("用户@example.net", "utf-8; \\x{7528}\\x{6237}@example.net"),
    ],
)
def test_an_internationalized_recipient_is_typed_utf_8_in_seven_bits(address: str, typed: str) -> None:
    """RFC 6533 section 3: utf-8-addr-xtext."""
    assert typed_address(address) == typed
    octets = replace(REPORT, statuses=[replace(STATUS, final_recipient=address)]).to_octets()
    assert octets.isascii()


def test_a_report_is_seven_bit_but_for_an_internationalized_address_it_goes_to() -> None:
    status = replace(STATUS, final_recipient="用户@example.net", diagnostic="550 用户 is unknown")
    report = replace(REPORT, statuses=[status], text="用户\n", subject="用户", original="Subject: 用户\r\n\r\nbody".encode())
    assert report.to_octets().isascii()
    message, text, _, header = read(report)
    assert message["Subject"] == "用户" and text.get_content() == "用户\r\n"
    assert header.get_content_type() == "message/global-headers"
    assert header["Content-Transfer-Encoding"] == "quoted-printable"


def test_a_report_to_an_internationalized_address_has_its_words_as_they_are() -> None:
    """RFC 6533 section 4: message/global-delivery-status, with utf-8-addr-unitext."""
    status = replace(STATUS, final_recipient="用户@example.net", diagnostic="550 用户 is unknown " + "用" * 400)
    octets = replace(REPORT, statuses=[status], recipient="я@example.org").to_octets()
    check_octets(octets)
    message = email.message_from_bytes(octets, policy=email.policy.SMTPUTF8)
    assert message["To"] == "я@example.org" and message["Content-Transfer-Encoding"] == "8bit"
    _, part, _ = message.iter_parts()
    assert part.get_content_type() == "message/global-delivery-status" and part["Content-Transfer-Encoding"] == "8bit"
    assert "Final-Recipient: utf-8; 用户@example.net\r\n".encode() in octets
    assert "Diagnostic-Code: smtp; 550 用户 is unknown 用用".encode() in octets
    plain = replace(REPORT, recipient="я@example.org").to_octets()
    assert b"message/global-delivery-status\r\n\r\n" in plain and b"8bit" not in plain


@pytest.mark.parametrize(
    ("original", "sent_back"),
    [
        (b"Subject: a\nTo: b\n\nbody", b"Subject: a\r\nTo: b\r\n"),
        (b"Subject: caf\xe9\r\n\r\nbody", b"Subject: caf\xe9\r\n"),
        (b"Subject: " + b"x" * 2000 + b"\r\n\r\nbody", b"Subject: " + b"x" * 2000 + b"\r\n"),
        (b"Subject: a\rb\0\r\n\r\nbody", b"Subject: a\r\nb\0\r\n"),
        (b"Subject: no end", b"Subject: no end\r\n"),
        (b"\r\nbody", b""),
        (b"A: 1\r\n" + b"B: " + b"x" * 70_000 + b"\r\n\r\nbody", b"A: 1\r\n"),
    ],
)
def test_only_the_header_of_the_original_goes_back_whatever_is_in_it(original: bytes, sent_back: bytes) -> None:
    _, _, _, header = read(replace(REPORT, original=original))
    assert header.get_content_type() == "text/rfc822-headers"
    assert header.get_payload(decode=True) == sent_back


@given(st.binary(max_size=300), st.text(max_size=300), st.text(max_size=300))
def test_t_hdr_11_any_original_and_any_words_give_a_sound_message(original: bytes, words: str, text: str) -> None:
    report = replace(REPORT, original=original, text=text, statuses=[replace(STATUS, diagnostic=words)])
    octets = report.to_octets()
    check_octets(octets)
    message = email.message_from_bytes(octets, policy=email.policy.SMTPUTF8)
    assert isinstance(message, EmailMessage)
    assert len(list(message.iter_parts())) == 3
    assert octets.isascii()


def test_original_names_stand_before_our_own_as_rfc_3464_has_them() -> None:
    """RFC 3461 section 6.3: what the sender's ENVID and ORCPT said, xtext undone."""
    asked = replace(STATUS, original_recipient="rfc822;Bob+tax@Example.COM")
    _, _, groups, _ = read(replace(REPORT, envelope_id="QQ+1", statuses=[asked, STATUS]))
    assert groups[0]["Original-Envelope-Id"] == "QQ+1"
    assert groups[1]["Original-Recipient"] == "rfc822; Bob+tax@Example.COM" and groups[1].keys()[0] == "Original-Recipient"
    assert "Original-Recipient" not in groups[2]


@pytest.mark.parametrize(("action", "status"), [("delivered", "2.0.0"), ("relayed", "2.0.0"), ("delayed", "4.0.0")])
def test_a_status_that_is_none_is_told_by_its_class(action: Action, status: str) -> None:
    _, _, groups, _ = read(replace(REPORT, statuses=[replace(STATUS, action=action, status="?")]))
    assert (groups[1]["Action"], groups[1]["Status"]) == (action, status)


@pytest.mark.parametrize(
    ("original", "kind", "encoding"),
    [
        (b"Subject: x\r\n\r\n--=_report\r\nplain\r\n", "message/rfc822", None),
        ("Subject: x\r\n\r\nsch\u00f6n\r\n".encode(), "message/rfc822", "8bit"),
        ("Subject: sch\u00f6n\r\n\r\nx\r\n".encode(), "message/global", "8bit"),
    ],
)
def test_a_whole_original_goes_back_octet_by_octet(original: bytes, kind: str, encoding: str | None) -> None:
    report = replace(REPORT, original=original, is_full=True)
    message, *_, part = read(report)
    assert part.get_content_type() == kind
    assert message["Content-Transfer-Encoding"] == part["Content-Transfer-Encoding"] == encoding
    assert b"\r\n\r\n" + original + b"\r\n--" in report.to_octets()


def test_t_dos_01_whatever_the_original_holds_a_report_is_made_at_once_with_a_short_boundary() -> None:
    original = b"Subject: x\r\n\r\n" + b"=_" + b"report" + b"_" * 900_000 + b"\r\n"
    begun = time.process_time()
    octets = replace(REPORT, original=original, is_full=True).to_octets()
    assert time.process_time() - begun < 5
    boundary = email.message_from_bytes(octets).get_boundary()
    assert boundary is not None and len(boundary) <= 70 and boundary.encode() not in original


def test_a_boundary_that_stands_in_the_original_is_not_taken() -> None:
    first = email.message_from_bytes(REPORT.to_octets()).get_boundary()
    assert first is not None
    again = replace(REPORT, original=b"Subject: x\r\n\r\n--" + first.encode() + b"\r\n", is_full=True)
    assert email.message_from_bytes(again.to_octets()).get_boundary() != first
