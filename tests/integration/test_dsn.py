"""What senders ask to hear about their mail (RFC 3461), from the client's parameters to the report in its mailbox."""

import email
import email.policy
import re
import smtplib
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from email.message import EmailMessage

import pytest

from mailward.formats.dsn import DeliveryReport, RecipientStatus
from mailward.formats.dsn_reading import read_report
from mailward.formats.message import MessageView
from support.postfix import postfix
from support.relayed import QUIET, relay_to
from support.server import Server, server
from support.smtp_peer import Peer, peer

DEMO = "demo@example.test"
KEEPING = """\
version: 1
extends: mailward/submission
plugins: {antivirus: {engine: test-file}}
rules: [{name: keep, when: 'message.subject.startsWith("kept")', then: quarantine}]
"""
NOBODY = {"RCPT nobody@far.test": b"550 5.1.1 nobody of that name\r\n"}


@pytest.fixture(scope="module")
def plain_hop() -> Iterator[Peer]:
    with peer(NOBODY) as made:
        yield made


@pytest.fixture(scope="module")
def target(plain_hop: Peer) -> Iterator[Server]:
    """It relays far.test to a server without DSN."""
    with server(policy=QUIET, start=False) as made:
        made.add_account("eve@example.test")
        relay_to(made, {"far.test": plain_hop.port})
        (made.folder / "policies/submission.yaml").write_text(KEEPING)
        made.start()
        yield made


def submit(made: Server, subject: str, to: tuple[str, ...], mail: tuple[str, ...], *rcpt: str) -> None:
    letter = f"From: {DEMO}\r\nTo: someone@far.test\r\nSubject: {subject}\r\n\r\nthe body of {subject}\r\n".encode()
    with made.submission() as client:
        assert client.has_extn("dsn")
        client.sendmail(DEMO, to, letter, mail, rcpt)


def report_about(made: Server, subject: str) -> EmailMessage:
    """The one report in the sender's mailbox whose text names the subject."""
    deadline = time.monotonic() + 30
    while not (found := _reports(made, subject)):
        assert time.monotonic() < deadline, made.log()
        time.sleep(0.1)
    (message,) = found
    return message


def _reports(made: Server, subject: str) -> list[EmailMessage]:
    messages = [email.message_from_bytes(octets, policy=email.policy.SMTP) for octets in made.messages()]
    reports = [message for message in messages if message.get_content_type() == "multipart/report"]
    return [message for message in reports if subject in message.as_string()]


def fields(message: EmailMessage) -> str:
    _, status, _ = message.iter_parts()
    return str(status.as_string()).replace("\r\n", "\n")


def test_one_report_tells_of_all_deliveries_of_a_message_here(target: Server) -> None:
    submit(
        target,
        "delivered",
        (DEMO, "eve@example.test"),
        ("ENVID=QQ+2B1",),
        "NOTIFY=SUCCESS",
        "ORCPT=rfc822;Old+2Bname@example.com",
    )
    message = report_about(target, "the mailboxes of these recipients")
    text = fields(message)
    assert message["Subject"] == f"Delivered: your mail to {DEMO} and 1 more"
    assert text.count("Action: delivered\n") == 2 and text.count("Status: 2.0.0\n") == 2
    assert "Original-Envelope-Id: QQ+1\n" in text and "Original-Recipient: rfc822; Old+name@example.com\n" in text
    told = target.explain(target.run("explain", "--to", "eve@example.test").stdout.split()[0])
    assert "the sender wants to hear of: success" in told and "first addressed to rfc822;Old+name@example.com" in told


def test_a_hop_without_dsn_is_told_of_as_the_last_that_can_be_heard(target: Server, plain_hop: Peer) -> None:
    submit(target, "passed-on", ("bob@far.test",), ("RET=FULL",), "NOTIFY=SUCCESS,FAILURE")
    message = report_about(target, "passed-on")
    assert message["Subject"] == "Passed on: your mail to bob@far.test"
    assert "Action: relayed\n" in fields(message) and "the body of" not in message.as_string()
    assert not [line for line in plain_hop.lines if re.search(r"NOTIFY|RET=|ENVID", line)]


def test_of_an_alias_with_several_ends_the_sender_hears_that_it_was_expanded(target: Server, plain_hop: Peer) -> None:
    """RFC 3464 section 2.3.3: not terminal; nobody learns who is behind it, but for those whom it does not reach."""
    target.run("alias", "add", "all@example.test", "eve@example.test", "bob@far.test", "nobody@far.test")
    submit(target, "expanded", ("all@example.test",), ("ENVID=QQ+2B1",), "NOTIFY=SUCCESS,FAILURE")
    target.until(lambda: len(_reports(target, "expanded")) == 2)
    told, failed = sorted((fields(message) for message in _reports(target, "expanded")), key=lambda text: "failed" in text)
    assert (
        "Final-Recipient: rfc822; all@example.test\nAction: expanded\nStatus: 2.0.0\n" in told
        and "Original-Envelope-Id: QQ+1" in told
    )
    assert not re.search("eve|bob|nobody", told)
    assert "Final-Recipient: rfc822; nobody@far.test\nAction: failed\n" in failed and "bob" not in failed
    shown = target.explain(target.run("explain", "--to", "all@example.test").stdout.split()[0])
    assert "an alias: passed on to those whom it stands for" in shown


@pytest.mark.parametrize(("ret", "whole"), [("RET=FULL", True), ("RET=HDRS", False)])
def test_ret_says_how_much_of_a_failed_message_comes_back(target: Server, ret: str, whole: bool) -> None:
    subject = f"failed-{ret[4:]}"
    submit(target, subject, ("nobody@far.test",), (ret,), "NOTIFY=FAILURE")
    message = report_about(target, subject)
    assert "Action: failed\n" in fields(message)
    assert [part.get_content_type() for part in message.iter_parts()][2] == ("message/rfc822" if whole else "text/rfc822-headers")
    assert (f"the body of {subject}" in message.as_string()) == whole


def test_t_tls_25_mail_that_requires_tls_comes_back_as_its_header_when_it_cannot_leave(target: Server, plain_hop: Peer) -> None:
    submit(target, "secret", ("bob@far.test",), ("REQUIRETLS", "RET=FULL"))
    message = report_about(target, "secret")
    assert "Status: 5.7.30\n" in fields(message) and "the body of" not in message.as_string()
    assert not [taken for taken in plain_hop.taken if b"secret" in taken.octets]


def test_nobody_hears_of_what_they_did_not_ask_for(target: Server) -> None:
    submit(target, "silent-never", ("nobody@far.test",), (), "NOTIFY=NEVER")
    submit(target, "silent-success", ("nobody@far.test",), (), "NOTIFY=SUCCESS")
    submit(target, "silent-here", (DEMO,), (), "NOTIFY=NEVER")
    submit(target, "spoken", ("nobody@far.test",), ())
    report_about(target, "spoken")  # the queue serves in order, so the others are through
    target.until(lambda: target.log_octets().count(b"event=not relayed") + target.log_octets().count(b"not relayed") >= 3)
    assert not _reports(target, "silent")


def test_postfix_is_given_the_parameters_and_hands_them_on() -> None:
    """A real Postfix, which offers DSN, writes to its own next hop what it understood."""
    with peer(offers=("DSN", "8BITMIME")) as last, postfix(last.port) as hop, server(policy=QUIET, start=False) as made:
        relay_to(made, {"far.test": hop.port})
        made.start()
        submit(
            made,
            "far",
            ("bob@far.test",),
            ("RET=HDRS", "ENVID=a+2Bb+3Dc"),
            "NOTIFY=SUCCESS,DELAY",
            "ORCPT=rfc822;Bob+2Bx@example.com",
        )
        last.wait_for(1)
        (mail,) = [line for line in last.lines if line.startswith("MAIL")]
        (rcpt,) = [line for line in last.lines if line.startswith("RCPT")]
        assert "RET=HDRS" in mail and "ENVID=a+2Bb+3Dc" in mail
        assert "NOTIFY=SUCCESS,DELAY" in rcpt and "ORCPT=rfc822;Bob+2Bx@example.com" in rcpt
        assert not _reports(made, "far"), "the report is Postfix's to send"


def test_what_postfix_reports_of_mail_that_went_to_it_is_told_by_explain() -> None:
    """It takes the mail, finds that its own next hop refuses the recipient, and writes to the sender in its own form."""
    with server(policy=QUIET, start=False) as made, peer({"RCPT": b"550 5.1.1 nobody of that name\r\n"}) as last:
        here = f"transport_maps = inline:{{example.test=smtp:[127.0.0.1]:{made.port('mx')}}}"
        with postfix(last.port, here) as hop:
            relay_to(made, {"far.test": hop.port})
            made.start()
            submit(made, "to-postfix", ("bob@far.test",), ("RET=HDRS",), "NOTIFY=FAILURE", "ORCPT=rfc822;bob@far.test")
            message = report_about(made, "to-postfix")
            assert "Reporting-MTA: dns; relay.example.net" in fields(message), "the report is Postfix's own"
            id = made.run("explain", "--to", "bob@far.test").stdout.split()[0]
            made.until(lambda: "reported by relay.example.net: failed 5.1.1: 550 5.1.1 nobody" in made.run("explain", id).stdout)


@pytest.mark.parametrize("to", ["a@far.test", "\u044f@far.test"])
def test_what_we_report_comes_through_a_real_postfix_and_is_read_as_it_was_written(to: str) -> None:
    at = datetime(2026, 3, 1, 12, tzinfo=UTC)
    original = "From: a@far.test\r\nSubject: sch\u00f6n\r\nMessage-ID: <1@far.test>\r\n\r\nbody\r\n".encode()
    status = RecipientStatus("\u7528@c.test", "failed", "5.1.1", "550 5.1.1 \u7528 is nobody", "mx.c.test")
    written = DeliveryReport(
        "mx.example.test",
        "postmaster@example.test",
        to,
        "Not delivered",
        at,
        "<2@example.test>",
        "words\n",
        at,
        [status],
        original,
    ).to_octets()
    options = [] if to.isascii() else ["SMTPUTF8", "BODY=8BITMIME"]
    with peer() as last, postfix(last.port) as hop:
        with smtplib.SMTP("127.0.0.1", hop.port, local_hostname="mx.example.test", timeout=30) as client:
            assert client.sendmail("", [to], written, options) == {}
        last.wait_for(1)
        (taken,) = last.taken
        assert taken.reverse_path == "" and taken.octets.endswith(written.partition(b"\r\n\r\n")[2])
        assert read_report(MessageView(taken.octets)) == read_report(MessageView(written)) is not None


def test_the_queue_shows_what_the_sender_wants_to_hear() -> None:
    with peer({"MAIL": b"451 4.3.0 later\r\n"}) as far, server(policy=QUIET, start=False) as made:
        relay_to(made, {"far.test": far.port})
        made.start()
        submit(made, "waits", ("bob@far.test",), ("RET=FULL", "ENVID=Q1"), "NOTIFY=DELAY,FAILURE", "ORCPT=rfc822;b@example.com")
        made.until(
            lambda: bool(far.lines) and "failed so far: 1" in made.run("queue", "show", _waiting(made), check=False).stdout
        )
        told = made.run("queue", "show", _waiting(made)).stdout
        for words in ("hear of: failure, delay", "first addressed to rfc822;b@example.com", "calls it Q1", "gets back all of it"):
            assert words in told


def _waiting(made: Server) -> str:
    found = made.json("queue", "list")
    return str(found[0]["id"]) if found else "none"


@pytest.mark.parametrize(
    ("to", "headline"),
    [("eve@example.test", "Delivered: your mail to eve@example.test"), ("bob@far.test", "Passed on: your mail to bob@far.test")],
)
def test_what_was_asked_of_reports_holds_behind_a_release_from_the_quarantine(target: Server, to: str, headline: str) -> None:
    subject = f"kept for {to}"
    submit(target, subject, (to,), ("ENVID=QQ+2B2", "RET=HDRS"), "NOTIFY=SUCCESS", "ORCPT=rfc822;Old+2Bname@example.com")
    target.until(lambda: subject in target.run("quarantine", "list").stdout)
    assert not _reports(target, subject)
    (held,) = [held for held in target.json("quarantine", "list") if held["subject"] == subject]
    told = target.explain(held["id"].partition(":")[0])
    assert "the sender calls it QQ+2" in told and "gets back its header" in told and "wants to hear of: success" in told
    target.run("quarantine", "release", held["id"])
    message = report_about(target, subject)
    assert message["Subject"] == headline
    text = fields(message)
    assert "Original-Envelope-Id: QQ+2\n" in text and "Original-Recipient: rfc822; Old+name@example.com\n" in text
