"""A whole server asks a real Postfix for the recipients of a relay domain before it takes mail for them."""

import smtplib

from support.postfix import postfix
from support.relayed import relay_to
from support.server import Server, server

POLICY = "version: 1\nextends: mailward/inbound\nplugins:\n  antivirus: {engine: test-file}\n  spam: {mode: off}\n"


def rcpt(made: Server, *paths: str) -> list[tuple[int, str]]:
    with made.smtp() as client:
        client.ehlo()
        client.mail("a@sender.invalid")
        answers = [client.rcpt(path) for path in paths]
        client.rset()
    return [(code, text.decode()) for code, text in answers]


def test_who_is_unknown_there_is_refused_here() -> None:
    knows_bob = ("relay_domains = far.test", "relay_recipient_maps = inline:{ {bob@far.test=x} }", "mynetworks = 192.0.2.1/32")
    restricted = (*knows_bob, "smtpd_relay_restrictions = reject_unauth_destination")
    with postfix(9, *restricted) as far, server(policy=POLICY, start=False) as made:
        relay_to(made, {"far.test": far.port, "down.test": 9})
        made.config.write_text(made.config.read_text() + "verify_recipients: on\n")
        made.start()
        known, unknown, down, again = rcpt(made, "bob@far.test", "eve@far.test", "bob@down.test", "eve@far.test")
        assert known[0] == 250 and down[0] == 250, far.log()
        assert unknown[0] == again[0] == 550 and unknown[1].startswith("5.1.1 ")
        assert "Postfix" not in unknown[1]
        shown = made.explain(unknown[1].rsplit("id ", 1)[1].rstrip(")"))
        assert "recipient verification" in shown and "eve@far.test" in shown
        assert far.log().count("to=<eve@far.test>") == 1


def test_strict_defers_what_cannot_be_asked_for() -> None:
    with server(policy=POLICY, start=False) as made:
        relay_to(made, {"down.test": 9})
        made.config.write_text(made.config.read_text() + "verify_recipients: strict\n")
        made.start()
        [(code, text)] = rcpt(made, "bob@down.test")
        assert (code, text[:6]) == (450, "4.1.1 ")
        assert isinstance(made.smtp(), smtplib.SMTP)
