"""Behind a real HAProxy, and with swaks and curl as balancers: everything sees the client, and nobody else can claim to be one."""

import contextlib
import imaplib
import smtplib
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.processes import RunningProgram, free_port, program
from support.server import Server, server
from support.smtp_service import read_all, read_reply, say, trusting

LISTENERS = {
    "balanced-mx": "{protocol: smtp, tls: starttls",
    "balanced-submissions": "{protocol: submission, tls: implicit",
    "balanced-imaps": "{protocol: imap, tls: implicit",
    "balanced-pop3": "{protocol: pop3, tls: starttls",
}


class Balanced:
    """target: the server. own: ports of its listeners that want a header. front: HAProxy's ports, by (listener, version)."""

    def __init__(self, target: Server, own: dict[str, int], front: dict[tuple[str, int], int]) -> None:
        self.target, self.own, self.front = target, own, front

    def connect(self, listener: str, version: int) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.front[listener, version]), 20, source_address=("127.0.0.7", 0))


@pytest.fixture(scope="module")
def balanced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Balanced]:
    folder: Path = tmp_path_factory.mktemp("haproxy")
    with contextlib.ExitStack() as stack:
        target = stack.enter_context(server(policy="version: 1\nplugins: {}\n", start=False))
        own = {name: free_port() for name in LISTENERS}
        front = {(name, version): free_port() for name in LISTENERS for version in (1, 2)}
        lines = "".join(
            f'  {name}: {settings}, address: 127.0.0.1, port: {own[name]}, proxy_from: ["127.0.0.1/32"]}}\n'
            for name, settings in LISTENERS.items()
        )
        target.configure("listeners:\n", f"listeners:\n{lines}")
        target.start()
        sections = "".join(
            f"listen {name}-{version}\n  bind 127.0.0.1:{port}\n"
            f"  server mailward 127.0.0.1:{own[name]} {'send-proxy' if version == 1 else 'send-proxy-v2'}\n"
            for (name, version), port in front.items()
        )
        file = folder / "haproxy.cfg"
        file.write_text(f"defaults\n  mode tcp\n  timeout connect 5s\n  timeout client 30s\n  timeout server 30s\n{sections}")
        haproxy = RunningProgram([program("haproxy", "haproxy"), "-db", "-f", str(file)], folder / "log")
        stack.callback(haproxy.stop)
        last = front["balanced-pop3", 2]
        haproxy.wait_until(lambda: _answers(last))
        yield Balanced(target, own, front)


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 2) as client:
        return client.recv(3) == b"+OK"
    return False


@pytest.mark.parametrize("version", [1, 2])
def test_mail_through_haproxy_is_the_clients_own(balanced: Balanced, version: int) -> None:
    with balanced.connect("balanced-mx", version) as client:
        read_reply(client)
        say(client, "EHLO c.example.net", "MAIL FROM:<a@sender.invalid>", f"RCPT TO:<{balanced.target.demo}>", "DATA")
        client.sendall(b"From: a@sender.invalid\r\nSubject: through\r\n\r\nx\r\n.\r\n")
        assert read_reply(client).startswith("250")
    shown = balanced.target.decision()
    assert shown["session"]["peer.ip"] == "127.0.0.7"


@pytest.mark.parametrize("version", [1, 2])
def test_tls_from_the_first_octet_begins_behind_the_header(balanced: Balanced, version: int) -> None:
    target = balanced.target
    with balanced.connect("balanced-submissions", version) as plain, trusting().wrap_socket(plain) as client:
        assert read_reply(client).startswith("220")
    with smtplib.SMTP_SSL("127.0.0.1", balanced.front["balanced-submissions", version], context=trusting()) as login:
        login.login(target.demo, target.password(target.demo))
        login.sendmail(target.demo, [target.demo], f"From: {target.demo}\r\n\r\nx\r\n")
    with imaplib.IMAP4_SSL("127.0.0.1", balanced.front["balanced-imaps", version], ssl_context=trusting()) as mailbox:
        mailbox.login(target.demo, target.password(target.demo))
        assert mailbox.select("INBOX")[0] == "OK"


@pytest.mark.parametrize("version", [1, 2])
def test_swaks_speaks_for_another_client(balanced: Balanced, version: int) -> None:
    proxy = ["--proxy-version", str(version), "--proxy-family", "TCP4" if version == 1 else "AF_INET"]
    proxy += [
        "--proxy-source",
        "192.0.2.77",
        "--proxy-source-port",
        "4000",
        "--proxy-dest",
        "127.0.0.1",
        "--proxy-dest-port",
        "25",
    ]
    done = subprocess.run(
        [program("swaks", "swaks"), "--server", f"127.0.0.1:{balanced.own['balanced-mx']}", *proxy,
         "--from", "a@sender.invalid", "--to", balanced.target.demo, "--silent", "2"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert balanced.target.decision()["session"]["peer.ip"] == "192.0.2.77"


def test_curl_speaks_for_itself(balanced: Balanced) -> None:
    done = subprocess.run(
        [program("curl", "curl"), "--silent", "--show-error", "--insecure", "--haproxy-protocol",
         f"imaps://127.0.0.1:{balanced.own['balanced-imaps']}/INBOX", "-X", "NOOP",
         "--user", f"{balanced.target.demo}:{balanced.target.password(balanced.target.demo)}"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_t_relay_10_who_is_no_balancer_is_not_served_whatever_he_claims(balanced: Balanced) -> None:
    claim = b"PROXY TCP4 192.0.2.1 127.0.0.1 1 2\r\n"
    for listener, port in balanced.own.items():
        with socket.create_connection(("127.0.0.1", port), 20, source_address=("127.0.0.66", 0)) as client:
            client.sendall(claim)
            with contextlib.suppress(ConnectionResetError):
                assert read_all(client) == "", listener


@pytest.mark.parametrize(
    "octets", [b"EHLO c.example.net\r\n", b"PROXY TCP4 nonsense\r\n" + b" " * 100, b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff"]
)
def test_t_relay_10_a_balancer_that_says_nothing_of_its_client_is_sent_away(balanced: Balanced, octets: bytes) -> None:
    with socket.create_connection(("127.0.0.1", balanced.own["balanced-mx"]), 20) as client:
        client.sendall(octets)
        with contextlib.suppress(ConnectionResetError):
            assert read_all(client) == ""


def test_t_relay_10_a_header_where_none_is_wanted_is_no_command(balanced: Balanced) -> None:
    with socket.create_connection(("127.0.0.1", balanced.target.port("mx")), 20) as client:
        read_reply(client)
        assert say(client, "PROXY TCP4 192.0.2.1 127.0.0.1 1 2").startswith("500 5.5.1")
