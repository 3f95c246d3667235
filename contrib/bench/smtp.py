"""SMTP accept, synced before 250, beside Postfix; load by smtp-source, one message a connection.

"discard": into a discard route, beside Postfix's discard transport. "mailbox": into an account's mailbox, beside a virtual Maildir.
"sink" is smtp-sink, which reads and forgets: what the generator can do at most.
"""

import contextlib
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from measure import Subject, compare, peak_octets

from support.postfix import Postfix, postfix
from support.postfix_mailboxes import home_of
from support.processes import RunningProgram, free_port, program
from support.server import Server, server

POLICY = "version: 1\nplugins: {}\n"
LOAD_DOMAIN = "load.example.test"
CELLS = ((2048, 1), (2048, 10), (2048, 100), (20_480, 10), (20_480, 100), (204_800, 10), (2_097_152, 10), (2_097_152, 100))
MAILBOX_CELLS = ((2048, 10), (20_480, 10), (204_800, 10))
OCTETS_A_RUN = 40_000_000


def run(rounds: int) -> None:
    discard = ("transport_maps = static:discard:", f"relay_domains = {LOAD_DOMAIN}")
    with _mailward() as mailward:
        with _postfix(*discard) as peer, _sink() as sink:
            print("  into a discard route")
            for octets, sessions in CELLS:
                _cell(octets, sessions, rounds, f"to@{LOAD_DOMAIN}", mailward, peer, sink)
            assert mailward.process is not None
            print(f"  mailward's peak memory, all processes: {peak_octets(mailward.process.pid) / 1e6:.0f} MB")
        with tempfile.TemporaryDirectory(prefix="mailward-maildir-") as folder:
            Path(folder).chmod(0o777)
            with _postfix(*home_of(mailward.domain, Path(folder))) as peer:
                print("  into a mailbox")
                for octets, sessions in MAILBOX_CELLS:
                    _cell(octets, sessions, rounds, mailward.demo, mailward, peer, None)


@contextlib.contextmanager
def _mailward() -> Iterator[Server]:
    with server(policy=POLICY, start=False) as made:
        made.configure("routes: {} ", f"routes: {{{LOAD_DOMAIN}: discard}}\nrelay_domains: [{LOAD_DOMAIN}] ")
        made.config.write_text(made.config.read_text() + "limits: {exempt: [127.0.0.0/8]}\n")
        made.start()
        yield made


def _postfix(*settings: str) -> contextlib.AbstractContextManager[Postfix]:
    return postfix(9, "smtpd_client_connection_count_limit = 0", "message_size_limit = 60000000", *settings)


@contextlib.contextmanager
def _sink() -> Iterator[tuple[int, int]]:
    """Its port and pid."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="mailward-sink-") as folder:
        as_user = ["-u", "nobody"] if os.geteuid() == 0 else []
        running = RunningProgram([program("smtp-sink", "postfix"), *as_user, f"127.0.0.1:{port}", "512"], Path(folder) / "log")
        time.sleep(0.5)
        try:
            yield port, running.pid
        finally:
            running.stop()


def _cell(
    octets: int, sessions: int, rounds: int, to: str, mailward: Server, peer: Postfix, sink: tuple[int, int] | None
) -> None:
    count = max(sessions * 2, min(1500, OCTETS_A_RUN // octets))
    assert mailward.process is not None
    master = int(next(Path(peer.folder).glob("queue/pid/master.pid")).read_text())
    servers = [("mailward", mailward.process.pid, mailward.port("mx")), ("postfix", master, peer.port)]
    if sink is not None:
        servers.append(("sink", sink[1], sink[0]))
    subjects = [Subject(name, pid, _Load(port, octets, sessions, count, to)) for name, pid, port in servers]
    for subject in subjects:
        subject.run()
    compare(f"{octets} octets, {sessions} sessions", subjects, rounds, count)


class _Load:
    """One run of smtp-source; returns seconds."""

    def __init__(self, port: int, octets: int, sessions: int, count: int, to: str) -> None:
        source = program("smtp-source", "postfix")
        self._command = [source, "-s", str(sessions), "-m", str(count), "-l", str(octets), "-f", "from@sender.invalid", "-t", to,
                         "-M", "load.sender.invalid", f"127.0.0.1:{port}"]  # fmt: skip

    def __call__(self) -> float:
        begun = time.perf_counter()
        done = subprocess.run(self._command, capture_output=True, text=True, timeout=300, check=False)
        if done.returncode != 0 or done.stderr:
            raise SystemExit(f"smtp-source: {done.stderr[-500:]}")
        return time.perf_counter() - begun
