"""Rewritten reverse-paths: held against Debian's postsrsd, and on the way out and back through a real server."""

import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mailward.formats.address import parse_mailbox
from mailward.formats.srs import Srs
from support.processes import RunningProgram, free_port, program
from support.relayed import QUIET, relay_to
from support.server import server
from support.smtp_peer import peer

KEYS = (b"the first key", b"an older key")
DAY = int(time.time() // 86_400) % 1024
TT = "".join("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[part] for part in (DAY >> 5, DAY & 31))
"""Today, as those write it who rewrite addresses."""
SENDERS = [
    "ann@example.net", "Ann.Lee+news@Mail.Example.NET", "x=y@example.net", f"SRS0=HHHH={TT}=example.com=bob@first.example",
    f"SRS0+HHHH={TT}=example.com=bob@first.example", f"SRS1=HHHH=first.example==HHHH={TT}=example.com=bob@second.example",
    "bounces-0102018c2f7d3a5e-8a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9-000000@eu-west-1.amazonses.example",
]  # fmt: skip


class PostSrsd:
    """postsrsd rewriting for example.org. Its TCP tables: `get KEY`, answered by `200 VALUE` or `500 reason`."""

    def __init__(self, folder: Path) -> None:
        (folder / "keys").write_bytes(b"".join(key + b"\n" for key in KEYS))
        self._ports = free_port(), free_port()
        arguments = ["-s", str(folder / "keys"), "-d", "example.org", "-f", str(self._ports[0]), "-r", str(self._ports[1]), "-4"]
        self._running = RunningProgram([program("postsrsd", "postsrsd"), *arguments], folder / "log")
        self._running.wait_until(self._answers)

    def _answers(self) -> bool:
        try:
            return bool(self._get(1, "x@example.net"))
        except OSError:
            return False

    def _get(self, table: int, key: str) -> str:
        with socket.create_connection(("127.0.0.1", self._ports[table]), 10) as asking:
            asking.sendall(f"get {key}\n".encode())
            return asking.makefile().readline().strip()

    def forwarded(self, address: str) -> str:
        return self._get(0, address).removeprefix("200 ")

    def original(self, address: str) -> str:
        return self._get(1, address).removeprefix("200 ")

    def stop(self) -> None:
        self._running.stop()


@pytest.fixture
def postsrsd(tmp_path: Path) -> Iterator[PostSrsd]:
    made = PostSrsd(tmp_path)
    yield made
    made.stop()


@pytest.mark.parametrize("sender", SENDERS)
def test_postsrsd_makes_the_same_addresses_and_reads_ours(postsrsd: PostSrsd, sender: str) -> None:
    ours = Srs(KEYS, lambda: int(time.time() // 86400))
    made = ours.forwarded(parse_mailbox(sender), "example.org")
    assert made is not None and str(made).lower() == postsrsd.forwarded(sender).lower()
    back = ours.original(made)
    assert back is not None and str(back).lower() == postsrsd.original(str(made)).lower()
    assert ours.original(parse_mailbox(postsrsd.forwarded(sender))) is not None


@pytest.mark.parametrize(
    "change", [lambda text: text.replace("SRS0=", "SRS0=x"), lambda text: text.replace("net=ann", "net=bob")]
)
def test_t_relay_01_postsrsd_and_we_refuse_what_was_changed(postsrsd: PostSrsd, change: object) -> None:
    assert callable(change)
    ours = Srs(KEYS, lambda: int(time.time() // 86400))
    changed = change(str(ours.forwarded(parse_mailbox("ann@example.net"), "example.org")))
    assert ours.original(parse_mailbox(changed)) is None
    assert postsrsd.original(changed).startswith("500")


MAIL = b"From: a@sender.test\r\nSubject: x\r\n\r\nbody\r\n"


def test_forwarded_mail_comes_from_us_and_only_its_report_goes_back() -> None:
    with server(policy=QUIET, start=False) as made, peer() as far, peer() as home:
        relay_to(made, {"far.test": far.port, "sender.test": home.port})
        made.start()
        made.run("alias", "add", "ann@example.test", "ann@far.test")
        made.run("alias", "add", "@example.test", "demo@example.test")
        assert made.send(MAIL, sender="a@sender.test", to=["ann@example.test"])[0] == 250
        (sent,) = far.wait_for(1)
        found = re.fullmatch(r"SRS0=\S{4}=\S\S=sender\.test=a@example\.test", sent.reverse_path)
        assert found is not None, sent.reverse_path

        report = MAIL.replace(b"x", b"not delivered", 1)
        assert made.send(report, sender="", to=[sent.reverse_path])[0] == 250
        (returned,) = home.wait_for(1)
        assert (returned.reverse_path, returned.forward_paths) == ("", ("a@sender.test",))

        with made.smtp() as stranger:  # T-RELAY-01
            stranger.ehlo()
            stranger.mail("spammer@sender.test")
            assert stranger.rcpt(sent.reverse_path)[0] == 550
            stranger.rset()
            stranger.mail("")
            forged = sent.reverse_path.replace("=a@", "=victim@")
            assert stranger.rcpt(forged)[0] == 550
        made.run("alias", "add", "own@example.test", "ann@far.test")
        made.submit(MAIL.replace(b"a@sender.test", b"demo@example.test"), "own@example.test")
        assert far.wait_for(2)[1].reverse_path == "demo@example.test"
