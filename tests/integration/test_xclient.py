"""XCLIENT over sockets: the session, its limits and its login are the named client's, and only listed peers can name one."""

import ipaddress
import subprocess
from typing import Any

import pytest

from mailward.net.admission import Admission, AdmissionLimits
from mailward.net.smtp_connection import SmtpSettings
from support.processes import program
from support.smtp_reception import Post
from support.smtp_service import Start, read_all, read_reply, say, trusting

MAIL = ("EHLO c.example.net", "MAIL FROM:<a@example.net>", "RCPT TO:<alice@example.org>", "DATA", "Subject: x\r\n\r\nx\r\n.")


@pytest.fixture
def settings() -> SmtpSettings:
    return SmtpSettings(hostname="mx.example.org", xclient_from=(ipaddress.ip_network("127.0.0.0/8"),))


def _peers(desk: Post) -> list[str]:
    return [item.decision.session["peer.ip"] for item, _ in desk.spool.items]


@pytest.mark.parametrize(
    ("address", "peer"), [("203.0.113.9", "203.0.113.9"), ("IPV6:2001:db8::9", "2001:db8::9"), ("[UNAVAILABLE]", "127.0.0.1")]
)
def test_session_begins_anew_for_the_named_client(start: Start, desk: Post, address: str, peer: str) -> None:
    with start().connect() as client:
        read_reply(client)
        assert say(client, "EHLO c.example.net").endswith("250 XCLIENT NAME ADDR PORT PROTO HELO DESTADDR DESTPORT\r\n")
        assert say(client, *MAIL).startswith("250 2.0.0")
        assert say(client, f"XCLIENT NAME=[UNAVAILABLE] ADDR={address}").startswith("220 ")
        assert say(client, "MAIL FROM:<a@example.net>").startswith("503 ")
        assert say(client, *MAIL).startswith("250 2.0.0")
    assert _peers(desk) == ["127.0.0.1", peer]
    assert f"{peer}]" in desk.spool.items[1][0].trace


@pytest.mark.parametrize("address", ["203.0.113.9", "[UNAVAILABLE]"])
def test_t_relay_10_named_client_cannot_name_another(start: Start, desk: Post, address: str) -> None:
    """nginx lets through what its client says behind the XCLIENT of its own."""
    with start().connect() as client:
        read_reply(client)
        say(client, f"XCLIENT ADDR={address}")
        assert "XCLIENT" not in say(client, "EHLO c.example.net")
        assert say(client, "XCLIENT ADDR=127.0.0.1").startswith("550 5.7.0 ")


def test_named_client_that_is_listed_names_another(start: Start, desk: Post) -> None:
    with start().connect() as client:
        read_reply(client)
        say(client, "XCLIENT ADDR=127.0.0.2", "XCLIENT ADDR=203.0.113.9")
        assert say(client, *MAIL).startswith("250 2.0.0")
    assert _peers(desk) == ["203.0.113.9"]


def test_starttls_keeps_the_client(start: Start, desk: Post) -> None:
    with start().connect() as plain:
        read_reply(plain)
        say(plain, "XCLIENT ADDR=203.0.113.9", "EHLO c.example.net", "STARTTLS")
        with trusting().wrap_socket(plain) as client:
            assert say(client, *MAIL).startswith("250 2.0.0")
            assert say(client, "XCLIENT ADDR=203.0.113.10").startswith("550 5.7.0 ")
    assert _peers(desk) == ["203.0.113.9"]
    assert "with ESMTPS" in desk.spool.items[0][0].trace.replace("\r\n\t", " ")


def test_connection_counts_as_the_named_clients(start: Start) -> None:
    service = start(admission=Admission(AdmissionLimits(per_address=1)))
    with service.connect() as first:
        read_reply(first)
        assert say(first, "XCLIENT ADDR=203.0.113.9").startswith("220 ")
        with service.connect() as second:
            read_reply(second)
            assert say(second, "XCLIENT ADDR=203.0.113.9").startswith("421 4.7.0 ")
            assert read_all(second) == ""
        with service.connect() as third:
            assert read_reply(third).startswith("220 ")
    with service.connect() as fourth:
        assert read_reply(fourth).startswith("220 ")
        assert say(fourth, "XCLIENT ADDR=203.0.113.9").startswith("220 ")


def test_t_relay_10_xclient_from_others_is_refused(start: Start, desk: Post) -> None:
    with start(xclient_from=(ipaddress.ip_network("192.0.2.0/24"),)).connect() as client:
        read_reply(client)
        assert "XCLIENT" not in say(client, "EHLO c.example.net")
        assert say(client, "XCLIENT ADDR=192.0.2.1").startswith("550 5.7.0 ")
        assert say(client, *MAIL).startswith("250 2.0.0")
    assert _peers(desk) == ["127.0.0.1"]


def test_t_relay_10_client_of_a_listed_balancer_is_not_listed_itself(start: Start) -> None:
    with start(proxies=(ipaddress.ip_network("127.0.0.1/32"),)).connect() as client:
        client.sendall(b"PROXY TCP4 203.0.113.9 127.0.0.1 1 2\r\n")
        read_reply(client)
        assert say(client, "XCLIENT ADDR=192.0.2.1").startswith("550 5.7.0 ")


def test_what_is_sent_ahead_behind_xclient_ends_the_connection(start: Start) -> None:
    with start().connect() as client:
        read_reply(client)
        client.sendall(b"XCLIENT ADDR=203.0.113.9\r\nEHLO ahead.example\r\n")
        assert read_all(client).startswith("554 5.5.0 ")


def test_trace_of_the_named_client_shows_the_connection(start: Start) -> None:
    service = start()
    traces = service.listener.traces
    began = service.run(traces.begin({"network": "203.0.113.0/24", "listener": "", "seconds": 60}))
    with service.connect() as client:
        read_reply(client)
        say(client, "NOOP", "XCLIENT ADDR=203.0.113.9", "EHLO c.example.net")
    seen: Any = service.run(traces.more(began))["entries"]
    assert ("203.0.113.9", "C", "EHLO c.example.net") in [(entry[2], *entry[4:]) for entry in seen]
    assert "NOOP" not in [entry[5] for entry in seen]


def test_swaks_names_a_client(start: Start, desk: Post) -> None:
    named = ["--xclient-addr", "203.0.113.9", "--xclient-name", "client.example", "--xclient-helo", "client.example"]
    mail = ["--from", "a@example.net", "--to", "alice@example.org"]
    done = subprocess.run(
        [program("swaks", "swaks"), "--server", f"127.0.0.1:{start().port}", *named, *mail],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert _peers(desk) == ["203.0.113.9"]
