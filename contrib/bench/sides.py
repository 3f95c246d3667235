"""The servers that take mail in a benchmark, each as it comes but for what makes them comparable: no filters, no limits on the
one client, and mail synced to the disk before 250.

Each has its own folder, ports and queue, and is stopped and removed at the end.
"""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from load import DISCARD_DOMAIN
from mailbox_count import ImapCount, count_maildir

from support.dovecot import USER, dovecot
from support.haraka import PROGRAM
from support.postfix import Postfix, postfix
from support.postfix_mailboxes import home_of
from support.processes import RunningProgram, free_port, greets, program
from support.server import COMMAND, Server, server

POLICY = "version: 1\nplugins: {}\n"
_POSTFIX = (
    "smtpd_client_connection_count_limit = 0",
    "message_size_limit = 60000000",
    "mailbox_size_limit = 0",
    "virtual_mailbox_limit = 0",
)
_HARAKA_PLUGIN = """'use strict';
exports.hook_rcpt = (next, connection) => { connection.relaying = true; next(OK); };
exports.hook_get_mx = (next) => next(DENY, 'discarded');
exports.hook_bounce = (next) => next(OK);
"""
"""What Haraka's queue holds is given up at once, and no bounce follows: a discard route."""


@dataclass(frozen=True, slots=True)
class Side:
    """One server. to: whom the load is for. readable: how many messages its mailbox shows by now; None where it has none."""

    name: str
    pids: tuple[int, ...]
    port: int
    to: str = f"to@{DISCARD_DOMAIN}"
    readable: Callable[[], int] | None = None


@contextlib.contextmanager
def mailward_server(command: str = COMMAND) -> Iterator[Server]:
    with server(policy=POLICY, start=False, command=command) as made:
        made.configure("routes: {} ", f"routes: {{{DISCARD_DOMAIN}: discard}}\nrelay_domains: [{DISCARD_DOMAIN}] ")
        made.config.write_text(made.config.read_text() + "limits: {exempt: [127.0.0.0/8]}\n")
        made.start()
        yield made


@contextlib.contextmanager
def mailward() -> Iterator[Side]:
    """Into a discard route."""
    with mailward_server() as made:
        assert made.process is not None
        yield Side("mailward", (made.process.pid,), made.port("mx"))


@contextlib.contextmanager
def mailward_mailbox() -> Iterator[Side]:
    with mailward_server() as made:
        assert made.process is not None
        context = made.tls()
        with ImapCount(made.port("imap"), tls=context) as messages:
            yield Side("mailward", (made.process.pid,), made.port("mx"), made.demo, messages)


@contextlib.contextmanager
def postfix_discard() -> Iterator[Side]:
    """Its queue on the disk, and its discard transport."""
    with postfix(9, *_POSTFIX, "transport_maps = static:discard:", f"relay_domains = {DISCARD_DOMAIN}") as made:
        yield Side("postfix", (_master(made),), made.port)


@contextlib.contextmanager
def postfix_for_relaying(next_port: int) -> Iterator[tuple[int, int]]:
    """Its port and its first process. It relays everything to a port on loopback, and takes mail no slower when its queue is full."""
    with postfix(next_port, *_POSTFIX, "in_flow_delay = 0") as made:
        yield made.port, _master(made)


@contextlib.contextmanager
def postfix_maildir() -> Iterator[Side]:
    """Its virtual delivery agent; a message counts as readable once its file is in the Maildir, without any IMAP."""
    with _folder("mailward-maildir-") as folder:
        folder.chmod(0o777)
        domain = USER.partition("@")[2]
        with postfix(9, *_POSTFIX, *home_of(domain, folder)) as made:
            yield Side("postfix, Maildir", (_master(made),), made.port, USER, lambda: count_maildir(folder / "all"))


@contextlib.contextmanager
def postfix_dovecot() -> Iterator[Side]:
    """Postfix hands over to Dovecot by LMTP, Dovecot stores in a Maildir and serves it over IMAP."""
    domain = USER.partition("@")[2]
    with dovecot("maildir", lmtp=True) as store:
        transport = (f"virtual_mailbox_domains = {domain}", f"virtual_transport = lmtp:unix:{store.lmtp_socket}")
        with postfix(9, *_POSTFIX, *transport) as made, ImapCount(store.port) as messages:
            yield Side("postfix, Dovecot LMTP", (_master(made), store.pid), made.port, USER, messages)


@contextlib.contextmanager
def haraka() -> Iterator[Side]:
    """Its outbound queue: a message is written to a file and synced before 250. One process for each processor."""
    if not PROGRAM.exists():
        raise SystemExit("the benchmark needs Haraka: contrib/dev/test-packages.sh installs it with npm")
    port = free_port()
    with _folder("mailward-haraka-") as folder:
        files = {
            "plugins/discarding.js": _HARAKA_PLUGIN,
            "config/plugins": "discarding\n",
            "config/me": "relay.example.net\n",
            "config/smtp.ini": f"listen=127.0.0.1:{port}\nnodes=cpus\n",
            "config/connection.ini": (PROGRAM.parents[1] / "config/connection.ini").read_text(),
            "config/log.ini": "level=notice\n",
        }
        for name in ("config", "plugins", "queue"):
            (folder / name).mkdir()
        for name, text in files.items():
            (folder / name).write_text(text)
        running = RunningProgram([program("node", "npm"), str(PROGRAM), "-c", str(folder)], folder / "log")
        try:
            running.wait_until(lambda: greets(port), limit_s=60)
            yield Side("haraka", (running.pid,), port)
        finally:
            running.stop()


@contextlib.contextmanager
def sink() -> Iterator[Side]:
    """smtp-sink, which reads and forgets: what the generator can do at most."""
    port = free_port()
    with _folder("mailward-sink-") as folder:
        as_user = ["-u", "nobody"] if os.geteuid() == 0 else []
        running = RunningProgram([program("smtp-sink", "postfix"), *as_user, f"127.0.0.1:{port}", "512"], folder / "log")
        try:
            running.wait_until(lambda: greets(port))
            yield Side("smtp-sink", (running.pid,), port)
        finally:
            running.stop()


def _master(made: Postfix) -> int:
    return int((made.folder / "queue/pid/master.pid").read_text())


@contextlib.contextmanager
def _folder(prefix: str) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix=prefix))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
