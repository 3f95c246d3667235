"""LMTP with real clients: swaks, smtplib and a Postfix that delivers to us, each recipient with a fate of its own. And PRDR, with Exim."""

import contextlib
import shutil
import smtplib
import socket
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.exim import Exim
from support.postfix import Postfix, postfix
from support.processes import free_port, program
from support.server import Server, open_folder, server
from support.smtp_service import read_all, read_reply, say

POLICY = """\
version: 1
plugins: {}
rules:
  - {name: strict, when: 'message.size_octets > 0 && recipient.local_part == "strict"', then: reject, reply: "554 5.7.1 Not for her"}
  - {name: later, when: 'message.size_octets > 0 && recipient.local_part == "later"', then: tempfail, reply: "452 4.2.2 Full"}
"""
MESSAGE = b"From: a@sender.invalid\r\nSubject: to several\r\n\r\nhello\r\n"
NAMES = ("demo", "strict", "unknown", "later", "other")


class Door:
    """target: the server. port, path: where it speaks LMTP."""

    def __init__(self, target: Server, port: int, path: Path) -> None:
        self.target, self.port, self.path = target, port, path

    def unix(self) -> socket.socket:
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(20)
        client.connect(str(self.path))
        return client

    def subjects(self, name: str) -> list[bytes]:
        """Of what has been delivered to this account."""
        found = self.target.messages(account=f"{name}@example.test")
        return [octets.partition(b"\r\nSubject: ")[2].partition(b"\r\n")[0] for octets in found]


@pytest.fixture(scope="module")
def door() -> Iterator[Door]:
    with server(policy=POLICY, start=False) as target:
        port, path = free_port(), target.folder.parent / "lmtp.sock"
        lines = f'  lmtp: {{protocol: lmtp, port: {port}}}\n  lmtp-unix: {{protocol: lmtp, socket: {path}, mode: "0666"}}\n'
        target.configure("listeners:\n", f"listeners:\n{lines}")
        for name in ("strict", "later", "other"):
            target.add_account(f"{name}@example.test")
        target.start()
        yield Door(target, port, path)


def test_socket_has_its_mode_and_survives_a_restart(door: Door) -> None:
    assert stat.S_IMODE(door.path.stat().st_mode) == 0o666
    door.target.terminate()
    door.target.start()
    with door.unix() as client:
        assert read_reply(client).startswith("220 ")
        assert say(client, "QUIT").startswith("221 ")


@pytest.mark.parametrize("where", ["inet", "unix"])
def test_each_recipient_gets_a_reply(door: Door, where: str) -> None:
    with door.unix() if where == "unix" else socket.create_connection(("127.0.0.1", door.port), 20) as client:
        assert read_reply(client).endswith(" LMTP\r\n")
        say(client, "LHLO c.example.net", "MAIL FROM:<a@sender.invalid>")
        taken = [name for name in NAMES if say(client, f"RCPT TO:<{name}@example.test>").startswith("250")]
        assert taken == ["demo", "strict", "later", "other"]
        assert say(client, "RCPT TO:<x@elsewhere.example>").startswith("554 5.7.1")
        say(client, "DATA")
        client.sendall(MESSAGE.replace(b"to several", where.encode()) + b".\r\n")
        assert [read_reply(client)[:9] for _ in taken] == ["250 2.0.0", "554 5.7.1", "452 4.2.2", "250 2.0.0"]
        assert say(client, "NOOP").startswith("250 ")
    door.target.until(lambda: all(where.encode() in door.subjects(name) for name in ("demo", "other")))
    assert door.subjects("strict") == door.subjects("later") == []


@pytest.mark.parametrize("where", ["inet", "unix"])
def test_swaks_delivers_by_lmtp(door: Door, where: str) -> None:
    to = ["--socket", str(door.path)] if where == "unix" else ["--server", f"127.0.0.1:{door.port}", "--tls"]
    mail = ["--from", "a@sender.invalid", "--to", "demo@example.test", "--header", f"Subject: swaks {where}"]
    done = subprocess.run(
        [program("swaks", "swaks"), "--protocol", "LMTP", *to, *mail],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    door.target.until(lambda: f"swaks {where}".encode() in door.subjects("demo"))


def test_smtplib_delivers_by_lmtp(door: Door) -> None:
    with smtplib.LMTP(str(door.path)) as client:
        client.sendmail("a@sender.invalid", ["demo@example.test"], MESSAGE.replace(b"to several", b"smtplib"))
    door.target.until(lambda: b"smtplib" in door.subjects("demo"))


@contextlib.contextmanager
def _postfix(next_hop: str, *settings: str) -> Iterator[Postfix]:
    """Set up as docs/how-to/behind-another-mail-server.md says."""
    ours = ("relayhost =", "relay_domains = example.test", f"relay_transport = {next_hop}", "lmtp_tls_security_level = may")
    with postfix(9, *ours, *settings) as made:
        yield made


@pytest.mark.parametrize("where", ["inet", "unix"])
def test_postfix_hears_of_each_recipient(door: Door, where: str) -> None:
    next_hop = f"lmtp:unix:{door.path}" if where == "unix" else f"lmtp:inet:127.0.0.1:{door.port}"
    with _postfix(next_hop) as sender:
        with smtplib.SMTP("127.0.0.1", sender.port) as client:
            to = [f"{name}@example.test" for name in NAMES]
            assert client.sendmail("a@sender.invalid", to, MESSAGE.replace(b"to several", f"postfix {where}".encode())) == {}
        fates = {"demo": "sent", "other": "sent", "strict": "bounced", "unknown": "bounced", "later": "deferred"}
        door.target.until(lambda: {name: _fate(sender.log(), name) for name in fates} == fates)
        log = sender.log()
        assert "554 5.7.1 Not for her" in log and "550 5.1.1" in log and "452 4.2.2 Full" in log
        assert sender.queued() >= 1  # for the one who was put off
    door.target.until(lambda: all(f"postfix {where}".encode() in door.subjects(name) for name in ("demo", "other")))
    assert door.subjects("strict") == door.subjects("later") == []


def test_postfix_asks_which_recipients_there_are(door: Door) -> None:
    ask = ("smtpd_recipient_restrictions = reject_unverified_recipient", "unverified_recipient_reject_code = 550")
    with (
        _postfix(f"lmtp:unix:{door.path}", *ask, "address_verify_poll_count = 10", "address_verify_map =") as sender,
        smtplib.SMTP("127.0.0.1", sender.port) as client,
    ):
        client.ehlo()
        client.mail("a@sender.invalid")
        assert client.rcpt("demo@example.test")[0] == 250
        assert client.rcpt("unknown@example.test")[0] == 550


def test_many_unknown_recipients_are_no_error_of_the_server_that_asks(door: Door) -> None:
    with door.unix() as client:
        read_reply(client)
        say(client, "LHLO c.example.net", "MAIL FROM:<a@sender.invalid>")
        for number in range(50):
            assert say(client, f"RCPT TO:<nobody{number}@example.test>").startswith("550 5.1.1")
        assert say(client, "RCPT TO:<demo@example.test>").startswith("250 ")


def test_t_tls_04_plain_text_behind_starttls_of_lmtp_is_never_carried_out(door: Door) -> None:
    with socket.create_connection(("127.0.0.1", door.port), 20) as client:
        read_reply(client)
        say(client, "LHLO c.example.net")
        client.sendall(b"STARTTLS\r\nMAIL FROM:<a@sender.invalid>\r\n")
        assert read_all(client).startswith("554 5.5.0 ")


def _fate(log: str, name: str) -> str:
    """What Postfix says last of a recipient."""
    lines = [line for line in log.splitlines() if f"to=<{name}@example.test>" in line and " status=" in line]
    return lines[-1].partition(" status=")[2].partition(" ")[0] if lines else ""


def test_prdr_gives_each_recipient_a_reply(door: Door) -> None:
    with socket.create_connection(("127.0.0.1", door.target.port("mx")), 20) as client:
        read_reply(client)
        assert "250-PRDR\r\n" in say(client, "EHLO c.example.net")
        say(client, "MAIL FROM:<a@sender.invalid> PRDR", *(f"RCPT TO:<{name}@example.test>" for name in NAMES), "DATA")
        client.sendall(MESSAGE.replace(b"to several", b"prdr") + b".\r\n")
        got = [read_reply(client)[:9] for _ in range(6)]
    assert got == ["353 A rep", "250 2.0.0", "554 5.7.1", "452 4.2.2", "250 2.0.0", "250 2.0.0"]
    door.target.until(lambda: b"prdr" in door.subjects("other"))
    shown = door.target.decision()
    assert [(r["recipient"], r["verdict"]) for r in shown["recipients"]] == [
        ("demo@example.test", "accept"),
        ("strict@example.test", "reject"),
        ("later@example.test", "tempfail"),
        ("other@example.test", "accept"),
    ]


def test_exim_hears_of_each_recipient_by_prdr(door: Door) -> None:
    folder = open_folder("mailward-exim-")
    try:
        exim = Exim(folder, door.target.port("mx"), ("hosts_try_prdr = *",))
        to = [f"{name}@example.test" for name in NAMES]
        log = exim.send(MESSAGE.replace(b"to several", b"exim"), "a@sender.invalid", *to)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    marks = {"demo": "=>", "strict": "**", "unknown": "**", "later": "==", "other": "->"}
    for name, mark in marks.items():
        assert f" {mark} {name}@example.test " in log, log
    assert "PRDR error after" in log and "554 5.7.1 Not for her" in log and "452 4.2.2 Full" in log
    door.target.until(lambda: all(b"exim" in door.subjects(name) for name in ("demo", "other")))
    assert door.subjects("strict") == door.subjects("later") == []
