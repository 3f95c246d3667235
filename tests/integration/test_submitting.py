"""What users ask of their mail behind MAIL FROM:, on a running server: when it goes, by when it is there, what leaves first."""

import re
import time
from collections.abc import Iterator

import pytest

from support.relayed import QUIET, relay_to
from support.server import Server, server
from support.smtp_peer import Peer, peer

DEMO = "demo@example.test"
HOLD_S = 12
SEALED = "version: 1\nextends: mailward/outbound\nplugins: {encryption: {domains: {sealed.test: required}}}\n"


@pytest.fixture(scope="module")
def far() -> Iterator[Peer]:
    with peer() as made:
        yield made


@pytest.fixture(scope="module")
def target(far: Peer) -> Iterator[Server]:
    with server(policy=QUIET, start=False) as made:
        relay_to(made, {"far.test": far.port, "sealed.test": far.port})
        (made.folder / "policies/outbound.yaml").write_text(SEALED)
        made.start()
        yield made


def submit(made: Server, subject: str, to: tuple[str, ...], *parameters: str, field: str = "X: y") -> str:
    """The id it has."""
    letter = f"{field}\r\nFrom: {DEMO}\r\nTo: someone@far.test\r\nSubject: {subject}\r\n\r\nthe body of {subject}\r\n".encode()
    with made.submission() as client:
        assert client.mail(DEMO, list(parameters))[0] == 250
        for path in to:
            assert client.rcpt(path)[0] == 250
        code, text = client.data(letter)
    assert code == 250
    return text.decode().rpartition(" ")[2]


def test_held_mail_comes_when_its_sender_said_and_not_before_even_behind_a_restart(target: Server, far: Peer) -> None:
    before = time.monotonic()
    id = submit(target, "held", (DEMO, "bob@far.test"), f"HOLDFOR={HOLD_S}", "ENVID=x+2By", "RET=HDRS")
    target.until(lambda: [message["id"] for message in target.json("queue", "list")] == [id])
    assert target.json("queue", "list")[0]["recipients"][0]["next_at"] == target.json("queue", "show", id)["hold_until"]
    assert "held by its sender until" in target.run("queue", "show", id).stdout
    assert "its sender wants it to wait until" in target.run("queue", "retry", id, check=False).stdout
    told = target.explain(id)
    assert "(FUTURERELEASE)" in told and "the sender calls it x+y" in told and "gets back its header" in told
    target.kill_all()
    target.start()
    (taken,) = far.wait_for(1)
    assert taken.at - before >= HOLD_S and b"Subject: held" in taken.octets
    assert [b"Subject: held" in octets for octets in target.wait_for(1)] == [True]


def test_a_moment_that_is_over_is_refused_and_strangers_cannot_ask(target: Server) -> None:
    with target.submission() as client:
        assert client.has_extn("futurerelease")
        assert client.mail(DEMO, ["HOLDUNTIL=2020-01-01T00:00:00Z"])[0] == 501
    with target.smtp() as client:
        client.ehlo()
        assert not client.has_extn("futurerelease")
        assert client.mail("a@far.test", ["HOLDFOR=60"]) == (555, b"5.5.4 MAIL has no parameter HOLDFOR here")


def test_time_and_priority_show_where_mail_waits_and_go_on_to_servers_that_heed_them(target: Server, far: Peer) -> None:
    """RFC 2852, RFC 6710: an account may lower the priority of its mail, and raise it as far as the admin says, here not at all."""
    with target.submission() as client:
        assert client.has_extn("deliverby") and client.has_extn("mt-priority")
        assert client.mail(DEMO, ["MT-PRIORITY=5"]) == (250, b"2.3.6 0 is the new priority")
    id = submit(target, "timed", ("bob@far.test",), "HOLDFOR=3000", "BY=3600;RT", "MT-PRIORITY=-4")
    target.until(lambda: id in [message["id"] for message in target.json("queue", "list")])
    shown, told = target.run("queue", "show", id).stdout, target.explain(id)
    assert all("else it comes back (DELIVERBY)" in text and "priority -4 (MT-PRIORITY)" in text for text in (shown, told))
    before = len(far.taken)
    far.wait(lambda: not far.open_now)  # whoever is connected would go on with what was offered before
    far.offers = (*far.offers, "DELIVERBY", "MT-PRIORITY")
    submit(target, "soon", ("bob@far.test",), "BY=3600;R", "MT-PRIORITY=-4")
    far.wait(lambda: len(far.taken) > before)
    assert any(re.fullmatch(r"MAIL FROM:<demo@example.test>.* BY=3[56]\d\d;R MT-PRIORITY=-4", line) for line in far.lines)


def test_t_tls_24_a_user_lets_a_message_go_in_clear_that_the_policy_would_keep_back(target: Server, far: Peer) -> None:
    """RFC 8689 section 5; the next server has no TLS."""
    open_id = submit(target, "in clear", ("bob@sealed.test",), field="TLS-Required: No")
    sealed_id = submit(target, "sealed", ("bob@sealed.test",))
    far.wait(lambda: any(b"Subject: in clear" in taken.octets for taken in far.taken))
    target.until(lambda: "encryption is required" in target.run("explain", sealed_id, check=False).stdout.lower())
    assert not any(b"Subject: sealed" in taken.octets for taken in far.taken)
    target.until(lambda: "in clear: 250" in target.run("explain", open_id, check=False).stdout)
    assert "the sender lets it go without TLS (TLS-Required: No)" in target.explain(open_id)
