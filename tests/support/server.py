"""A whole Mailward, started the way an admin starts it: `quickstart`, then `serve`, as real processes on random ports."""

import atexit
import contextlib
import functools
import imaplib
import json
import os
import random
import re
import shutil
import signal
import smtplib
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyotp
from prometheus_client.parser import text_string_to_metric_families

from mailward.app.config_file import load_config
from support import forking
from support.processes import WORKER, ends_within, members

COMMAND = str(Path(sys.executable).with_name("mailward"))
STARTUP_S = 90.0
PASSWORD = "correct horse battery staple"
PORTS = {
    "mx": 25,
    "submission": 587,
    "submissions": 465,
    "imap": 143,
    "imaps": 993,
    "pop3": 110,
    "pop3s": 995,
    "managesieve": 4190,
}


def open_folder(prefix: str = "mailward-test-", place: Path | None = None) -> Path:
    """A new folder that the unprivileged service user can reach too (pytest's own are closed when root runs the tests)."""
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=place))
    folder.chmod(0o755)
    return folder


_GIVEN = deque[int](maxlen=10 * len(PORTS))


def free_offset() -> int:
    """A port offset whose ports are all free now and were not given to one of the last servers, which may not have started yet.

    They are below those that the system gives to clients meanwhile. The widths are such that ManageSieve's port, far above the
    others, falls between those of the next process of tests.
    """
    for _ in range(1000):
        offset = random.randrange(10000 + 2500 * WORKER, 10600 + 2500 * WORKER)
        if any(port + offset in _GIVEN for port in PORTS.values()):
            continue
        with contextlib.ExitStack() as stack:
            try:
                for port in PORTS.values():
                    probe = stack.enter_context(socket.socket())
                    probe.bind(("127.0.0.1", port + offset))
            except OSError:
                continue
        _GIVEN.extend(port + offset for port in PORTS.values())
        return offset
    raise AssertionError("no free ports found")


@dataclass
class Server:
    """One installation in `folder`, with the account demo@DOMAIN. Stop it before removing the folder.

    command: which `mailward` it is, of this environment unless given. environment: of it and of all commands, beside ours.
    """

    folder: Path
    offset: int
    domain: str = "example.test"
    command: str = COMMAND
    process: subprocess.Popen[bytes] | forking.Forked | None = None
    accounts: list[str] = field(default_factory=list)
    passwords: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def demo(self) -> str:
        """The first account."""
        return f"demo@{self.domain}"

    def numbers(self) -> dict[tuple[str, ...], float]:
        """What Prometheus reads in `mailward metrics`: name and label values, sorted by the labels' names -> number."""
        found = {}
        for family in text_string_to_metric_families(self.run("metrics").stdout):
            for sample in family.samples:
                found[sample.name, *(value for _, value in sorted(sample.labels.items()))] = sample.value
        return found

    def configure(self, old: str, new: str) -> None:
        """Change mailward.yaml; `old` must be in it."""
        text = self.config.read_text()
        assert old in text, text
        self.config.write_text(text.replace(old, new))

    @property
    def config(self) -> Path:
        return self.folder / "mailward.yaml"

    def port(self, listener: str) -> int:
        return PORTS[listener] + self.offset

    def run(self, *arguments: str, stdin: str = "", check: bool = True) -> subprocess.CompletedProcess[str]:
        """One `mailward` command against this installation."""
        environment = {**os.environ, **self.environment, "MAILWARD_CONFIG": str(self.config), "COLUMNS": "200"}
        words = [self.command, *arguments]
        if self._forked(environment):
            done = forking.run(words, environment, stdin, 3600)
        else:
            done = subprocess.run(words, input=stdin, capture_output=True, text=True, env=environment, timeout=3600, check=False)
        assert not check or done.returncode == 0, f"{arguments}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def json(self, *arguments: str) -> Any:
        return json.loads(self.run(*arguments, "--json").stdout)

    def explain(self, which: str = "last") -> str:
        """What `mailward explain` says of a message, by its id or of the last one: it is known within moments of the 250."""
        self._until_known(which)
        return self.run("explain", which).stdout

    def decision(self, which: str = "last") -> Any:
        """What `mailward explain --json` says."""
        self._until_known(which)
        return self.json("explain", which)

    def _until_known(self, which: str) -> None:
        id = re.findall(r"event=verdict id=(\S+)", self.log_octets().decode(errors="replace"))[-1] if which == "last" else which

        def is_known() -> bool:
            said = self.run("explain", which, "--json", check=False)
            return said.returncode == 0 and json.loads(said.stdout)["id"] == id

        self.until(is_known)

    def policy(self, text: str) -> None:
        """Replace policies/inbound.yaml."""
        (self.folder / "policies/inbound.yaml").write_text(text)

    def add_account(self, address: str) -> None:
        self.run("account", "add", address, "--new-domain", "--password-stdin", stdin=PASSWORD + "\n")
        self.accounts.append(address)

    def password(self, account: str) -> str:
        """What a mail program logs in with."""
        return self.passwords.get(account, PASSWORD)

    def give_second_factor(self, account: str) -> tuple[str, str]:
        """Enrol and confirm TOTP, and make an app password, which mail programs use from now on. Returns it and the TOTP secret."""
        enrolled = self.json("account", "totp", "enrol", account)
        self.run("account", "totp", "confirm", account, pyotp.TOTP(enrolled["secret"]).now())
        made = self.json("account", "app-password", "add", account, "programs")
        self.passwords[account] = made["password"]
        return made["password"], enrolled["secret"]

    def start(self) -> None:
        with (self.folder / "server.log").open("ab") as log:
            begun = log.tell()
            environment = {**os.environ, **self.environment}
            words = [self.command, "serve", "-c", str(self.config)]
            if self._forked(environment):
                self.process = forking.start(words, environment, log.fileno())
            else:
                self.process = subprocess.Popen(
                    words, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=environment, start_new_session=True
                )
        self.wait_ready()
        self.until(lambda: self._lines("worker ready", begun) == self._lines("worker started", begun))

    def _forked(self, environment: Mapping[str, str]) -> bool:
        return self.command == COMMAND and forking.can_fork(environment)

    def _lines(self, event: str, begun: int) -> int:
        return self.log_octets()[begun:].count(f'event="{event}"'.encode())

    def worker_pids(self, role: str) -> list[int]:
        """Of all workers of a role that were ever started, the latest last."""
        return [int(pid) for pid in re.findall(rb'event="worker started" role=%b pid=(\d+)' % role.encode(), self.log_octets())]

    def wait_ready(self) -> None:
        """Until SMTP and IMAP both greet."""
        assert self.process is not None
        deadline = time.monotonic() + STARTUP_S
        for listener, greeting in (("mx", b"220"), ("imap", b"* OK")):
            while True:
                assert self.process.poll() is None, f"the server ended, {self.process.returncode}:\n{self.log()}"
                assert time.monotonic() < deadline, f"no greeting on {listener}:\n{self.log()}"
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port(listener)), 2) as probe:
                    probe.settimeout(2)
                    if probe.recv(200).startswith(greeting):
                        break
                time.sleep(0.05)

    @property
    def password_file(self) -> str:
        """A file with the accounts' password, for commands."""
        path = self.folder.parent / "password"
        path.write_text(PASSWORD + "\n")
        return str(path)

    def wait_delivered(self, queue_id: str, count: int = 1, timeout_s: float = 90.0) -> None:
        """Until so many recipients of a message are served: the first attempt follows the 250 within moments."""
        self.until(lambda: self.log_octets().count(f"delivered id={queue_id} ".encode()) >= count, timeout_s)

    def until(self, true: Callable[[], bool], timeout_s: float = 90.0) -> None:
        """Until something is so; what the log says when it does not become so."""
        deadline = time.monotonic() + timeout_s
        while not true():
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.05)

    def log_octets(self) -> bytes:
        return (self.folder / "server.log").read_bytes()

    def log(self) -> str:
        return (self.folder / "server.log").read_text(errors="replace")[-8000:]

    def workers(self) -> int:
        """How many processes read policies anew when told to."""
        return 3 + load_config(self.config).smtp_processes

    def reload(self, *, expect: str = "reloaded") -> None:
        """SIGHUP, then until the log says how it went."""
        assert self.process is not None
        seen = (self.folder / "server.log").stat().st_size
        self.process.send_signal(signal.SIGHUP)
        # Each worker reports for itself; a refusal comes from the supervisor.
        wanted = self.workers() if expect == "reloaded" else 1
        deadline = time.monotonic() + 90
        while (self.folder / "server.log").read_bytes()[seen:].count(expect.encode()) < wanted:
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.05)

    def terminate(self) -> int:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=40)

    def kill_all(self) -> None:
        """`kill -9` of the supervisor and every worker at once."""
        assert self.process is not None
        group = [os.pidfd_open(pid) for pid in members(self.process.pid)]
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(timeout=10)
        for pidfd in group:  # a worker holds ports and locks until the last of it is gone
            assert ends_within(pidfd, 10)

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            try:
                self.terminate()
            except subprocess.TimeoutExpired:
                self.kill_all()

    def tls(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.folder / "tls/certificate.pem"))
        context.check_hostname = False
        return context

    def smtp(self) -> smtplib.SMTP:
        return smtplib.SMTP("127.0.0.1", self.port("mx"), local_hostname="client.example.net", timeout=60)

    def send(
        self, octets: bytes, *, sender: str = "sender@sender.invalid", to: Sequence[str] = ("demo@example.test",)
    ) -> tuple[int, str]:
        """One mail over SMTP; the reply to the first command that failed, or to the end of data."""
        with self.smtp() as client:
            client.ehlo()
            return _transaction(client, octets, sender, to)

    def submission(self, account: str = "demo@example.test", password: str | None = None) -> smtplib.SMTP:
        """A client that has logged in on the implicit TLS port."""
        port, name = self.port("submissions"), "client.example.net"
        client = smtplib.SMTP_SSL("127.0.0.1", port, local_hostname=name, timeout=60, context=self.tls())
        client.login(account, password or self.password(account))
        return client

    def submit(self, octets: bytes, *to: str, account: str = "demo@example.test", sender: str | None = None) -> tuple[int, str]:
        """One mail as an account sends it; the reply to the first command that failed, or to the end of data."""
        with self.submission(account) as client:
            return _transaction(client, octets, account if sender is None else sender, to or ("demo@example.test",))

    def imap(self, account: str = "demo@example.test") -> imaplib.IMAP4_SSL:
        client = imaplib.IMAP4_SSL("127.0.0.1", self.port("imaps"), ssl_context=self.tls(), timeout=60)
        client.login(account, self.password(account))
        return client

    def messages(self, mailbox: str = "INBOX", account: str = "demo@example.test") -> list[bytes]:
        """The octets of every message of a mailbox, in UID order."""
        with self.imap(account) as client:
            client.select(mailbox, readonly=True)
            found: list[bytes] = []
            _, answer = client.uid("FETCH", "1:*", "(BODY.PEEK[])")
            found = [part[1] for part in answer if isinstance(part, tuple)]
        return found

    def wait_for(
        self, count: int, mailbox: str = "INBOX", account: str = "demo@example.test", timeout_s: float = 90.0
    ) -> list[bytes]:
        """The messages of a mailbox once there are at least `count`: delivery follows the 250 within moments."""
        deadline = time.monotonic() + timeout_s
        while True:
            found = self.messages(mailbox, account)
            if len(found) >= count or time.monotonic() > deadline:
                assert len(found) >= count, f"{len(found)} of {count} messages in {mailbox}\n{self.log()}"
                return found
            time.sleep(0.1)


def _transaction(client: smtplib.SMTP, octets: bytes, sender: str, to: Sequence[str]) -> tuple[int, str]:
    code, text = client.mail(sender)
    for recipient in to:
        if code < 400:
            code, text = client.rcpt(recipient)
    if code < 400:
        code, text = client.data(octets)
    return code, text.decode("ascii", "replace")


@functools.cache
def _installation(domain: str, command: str) -> Server:
    """What `quickstart` writes for a domain: run once in each process of tests, and copied for every server."""
    folder = open_folder()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    made = Server(folder / "mail", free_offset(), domain, command)
    arguments = [
        "quickstart", str(made.folder), "--domain", domain, "--account", made.demo,
        "--port-offset", str(made.offset), "--password-stdin",
    ]  # fmt: skip
    made.run(*arguments, stdin=PASSWORD + "\n")
    return made


def _install(made: Server) -> None:
    """A fresh installation in `made.folder`. Only the ports in mailward.yaml depend on where it is and for whom."""
    first = _installation(made.domain, made.command)
    subprocess.run(["cp", "-a", str(first.folder), str(made.folder)], check=True)  # with owners, unlike shutil.copytree
    moved = made.offset - first.offset
    text = re.sub(r"(?<=port: )\d+", lambda found: str(int(found[0]) + moved), first.config.read_text())
    made.config.write_text(text)


@contextlib.contextmanager
def server(
    *, policy: str | None = None, start: bool = True, domain: str = "example.test", command: str = COMMAND
) -> Iterator[Server]:
    """A fresh installation, started unless told otherwise, stopped and removed at the end."""
    folder = open_folder()
    offset = free_offset()
    made = Server(folder / "mail", offset, domain, command)
    made.accounts.append(made.demo)
    try:
        _install(made)
        if policy is not None:
            made.policy(policy)
        if start:
            made.start()
        yield made
    finally:
        made.stop()
        shutil.rmtree(folder, ignore_errors=True)
