"""What a reading by an attacker found: floods that must cost the sender and nobody else."""

import smtplib
import socket
import time
from collections.abc import Iterator

import pytest

from mailward.formats.html import read_html
from support.server import Server, server


def test_t_dos_03_a_flood_of_pipelined_recipients_ends_the_session_and_not_the_worker() -> None:
    with server(policy="version: 1\nplugins: {}\n") as target:
        flood = b"MAIL FROM:<>\r\n" + b"RCPT TO:<demo@example.test>\r\n" * 400_000
        with socket.create_connection(("127.0.0.1", target.port("mx")), 30) as raw:
            raw.recv(200)
            raw.sendall(b"EHLO x\r\n")
            raw.recv(1000)
            raw.setblocking(False)
            sent, deadline = 0, time.monotonic() + 20
            while sent < len(flood) and time.monotonic() < deadline:
                try:
                    sent += raw.send(flood[sent : sent + 262_144])
                except BlockingIOError:
                    time.sleep(0.01)
                    try:
                        if not raw.recv(1 << 20):
                            break
                    except BlockingIOError:
                        continue
                except ConnectionError:
                    break
            assert sent < len(flood), "the server took it all in"
        assert target.send(b"Subject: x\r\n\r\nbody\r\n")[0] == 250
        assert "worker killed" not in target.log()


@pytest.mark.parametrize("unit", ["<div></x>", "<dd><li>", "<b><i></b>", "<table><tr><td>"])
def test_t_dos_10_html_that_only_looks_shallow_is_read_in_linear_time(unit: str) -> None:
    def work_s(octets: int) -> float:
        html = unit * (octets // len(unit)) + "<p>seen</p>"
        begun = time.process_time()
        assert "seen" in read_html(html).text
        return time.process_time() - begun

    assert work_s(800_000) < 10 * max(work_s(200_000), 0.01), "four times the octets, and far more than four times the work"


def test_t_dos_10_ordinary_html_with_many_elements_is_still_parsed() -> None:
    rows = "<tr><td>a<td>b<ul><li>x<li>y</ul></tr>" * 2000
    text = read_html(f"<html><body><table>{rows}</table><script>hidden()</script></body></html>").text
    assert "hidden" not in text
    assert text.count("x") == 2000


def test_t_av_11_what_could_not_be_scanned_is_kept_out_of_the_mailbox() -> None:
    policy = (
        "version: 1\nextends: mailward/inbound\nplugins:\n  antivirus: {engine: test-file, max_parts: 3}\n  spam: {mode: off}\n"
    )
    parts = "".join(f"--b\r\nContent-Type: application/octet-stream\r\n\r\npart {n}\r\n" for n in range(8))
    head = "From: a@sender.invalid\r\nSubject: x\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    with server(policy=policy) as target:
        assert target.send(f"{head}{parts}--b--\r\n".encode())[0] == 250
        assert "QUARANTINE" in target.explain()
        assert target.messages() == []


def test_a_client_that_only_connects_is_let_in() -> None:
    with server(policy="version: 1\nplugins: {}\n") as target, smtplib.SMTP("127.0.0.1", target.port("mx"), timeout=20) as client:
        assert client.noop()[0] == 250


@pytest.mark.parametrize("listener", ["submissions", "imaps", "pop3s"])
def test_t_tls_13_silent_handshakes_count_against_their_address(running: Server, listener: str) -> None:
    silent = [socket.create_connection(("127.0.0.1", running.port(listener)), 10) for _ in range(60)]
    try:
        closed = 0
        for client in silent:
            client.settimeout(0.2)
            try:
                closed += client.recv(1) == b""
            except TimeoutError:
                continue
            except ConnectionError:
                closed += 1
        assert closed == 40, "20 from one address may be under way"
        other = socket.create_connection(("127.0.0.1", running.port(listener)), 10, source_address=("127.0.0.2", 0))
        with running.tls().wrap_socket(other, server_hostname="localhost") as secure:
            secure.settimeout(10)
            assert secure.recv(100)[:4] in (b"220 ", b"* OK", b"+OK ")
    finally:
        for client in silent:
            client.close()


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    with server(policy="version: 1\nplugins: {}\n") as target:
        yield target
