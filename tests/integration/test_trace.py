"""`mailward trace` on a running server, with smtplib and raw sockets as clients."""

import contextlib
import json
import os
import signal
import smtplib
import socket
import subprocess
import time
from collections.abc import Iterator

import pytest

from support.server import Server, server
from support.smtp_service import read_reply, say, trusting


@pytest.fixture(scope="module")
def target() -> Iterator[Server]:
    with server(policy="version: 1\nplugins: {}\n") as made:
        yield made


@contextlib.contextmanager
def traced(target: Server, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
    environment = {**os.environ, "MAILWARD_CONFIG": str(target.config)}
    process = subprocess.Popen(
        [target.command, "trace", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )
    try:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("watching"):
                break
        yield process
    finally:
        process.kill()
        process.wait()


def test_a_login_and_a_message_as_people_read_them(target: Server) -> None:
    with traced(target, "--ip", "127.0.0.1", "--connections", "2", "--for", "1m") as process:
        with smtplib.SMTP("127.0.0.1", target.port("submission"), timeout=30) as client:
            client.starttls(context=trusting())
            client.login(target.demo, target.password(target.demo))
            client.sendmail(target.demo, [target.demo], f"From: {target.demo}\r\nSubject: private\r\n\r\nx\r\n")
        with smtplib.SMTP("127.0.0.1", target.port("mx"), timeout=30) as client:
            client.ehlo()
        shown, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    texts = [line.split(" ", 4)[4] for line in shown.splitlines()]
    granted = texts.index("S: 220 2.0.0 Ready to start TLS")
    assert texts[granted + 1] == "*: TLSv1.3 TLS_AES_256_GCM_SHA384"
    assert any(text.startswith("C: AUTH ") and text.endswith("<hidden>") for text in texts)
    assert any(text.startswith("C: <") and text.endswith("octets of content>") for text in texts)
    assert any(text.startswith("S: 250 2.0.0 Accepted, id ") for text in texts)
    assert "private" not in shown and texts[-1] == "*: closed"
    assert {line.split(" ")[3] for line in shown.splitlines()} == {"submission", "mx"}


def test_only_what_was_asked_for_and_as_json(target: Server) -> None:
    with traced(target, "--network", "127.0.0.64/26", "--listener", "mx", "--connections", "1", "--json") as process:
        for source, listener in (("127.0.0.1", "mx"), ("127.0.0.70", "submission"), ("127.0.0.70", "mx")):
            with socket.create_connection(("127.0.0.1", target.port(listener)), 20, source_address=(source, 0)) as client:
                read_reply(client)
                say(client, "EHLO \x1b[31mred", "QUIT")
        shown, _ = process.communicate(timeout=30)
    entries = [json.loads(line) for line in shown.splitlines()]
    assert {(entry["peer"], entry["listener"]) for entry in entries} == {("127.0.0.70", "mx")}
    assert "\x1b" not in shown and any("\\x1b[31mred" in entry["text"] for entry in entries)


def test_a_reader_that_stops_reading_costs_no_mail(target: Server) -> None:
    with traced(target, "--ip", "127.0.0.1", "--for", "1m") as process:
        process.send_signal(signal.SIGSTOP)
        for _ in range(4):
            with smtplib.SMTP("127.0.0.1", target.port("mx"), timeout=30) as client:
                client.ehlo()
                for _ in range(90):
                    assert client.noop()[0] == 250
        assert target.send(b"Subject: x\r\n\r\nbody\r\n")[0] == 250
        process.send_signal(signal.SIGCONT)


def test_it_ends_by_its_time_and_says_so_when_there_is_no_server(target: Server) -> None:
    begun = time.monotonic()
    assert target.run("trace", "--ip", "192.0.2.1", "--for", "2s").stdout == ""
    assert 1.5 < time.monotonic() - begun < 20
    refused = target.run("trace", "--ip", "192.0.2.1", "--listener", "mxx", check=False)
    assert refused.returncode == 64 and "no listener is called 'mxx'" in refused.stderr
    other = target.run("trace", "--ip", "192.0.2.1", "--listener", "imap", check=False)
    assert other.returncode == 64 and "'imap' does not speak SMTP or LMTP; those that can be watched: mx" in other.stderr
    nobody = target.run("trace", check=False)
    assert nobody.returncode == 64 and "say whose connections: --ip" in nobody.stderr
    assert target.run("trace", "--ip", "nonsense", check=False).returncode == 64


def test_without_a_server() -> None:
    with server(policy="version: 1\nplugins: {}\n", start=False) as made:
        refused = made.run("trace", "--ip", "192.0.2.1", check=False)
        assert refused.returncode == 66 and "no server answers" in refused.stderr
