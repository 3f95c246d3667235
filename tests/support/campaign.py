"""A working server under the load of several clients, for tests that kill it, stop it or mislead it.

Each message goes to two mailboxes and into the quarantine, some to another server too. The oracle holds what clients were told.
"""

import contextlib
import random
import smtplib
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType

from mailward.disk import Disk
from mailward.quarantine import Quarantine
from support.oracle import MARK_FIELD, ClientLog, Copy, End, Findings, judge, token_of
from support.relayed import QUIET, relay_to
from support.server import Server, server
from support.smtp_peer import Peer, peer

SENDERS = 4
MAILBOXES = ("demo@example.test", "second@example.test")
HELD = "demo+held@example.test"
FAR = "somebody@far.test"
ROLES = ("smtp", "queue", "access", "auth")
POLICY = QUIET + "  judged: {}\nrules: [{name: hold, when: recipient.tag == 'held', then: quarantine}]\n"
JUDGED = f"""\
from mailward.api import AddHeader, MessageView, Plugin, hookimpl

plugin = Plugin(api=1, summary="Marks what was judged", capabilities=("body", "edits"))

@hookimpl
def edit_message(message: MessageView) -> AddHeader:
    return AddHeader("{MARK_FIELD}", message.subject)
"""


class Load:
    """Clients that send until told to stop. far_share: of messages that go to another server too."""

    def __init__(self, target: Server, log: ClientLog, far_share: float = 0.3) -> None:
        self._target = target
        self._log = log
        self._far_share = far_share
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                with self._target.smtp() as client:
                    while not self._stop.is_set():
                        self._send(client)
            except (OSError, smtplib.SMTPException):
                self._stop.wait(0.02)

    def _send(self, client: smtplib.SMTP) -> None:
        token = f"token-{random.getrandbits(64):016x}"
        recipients = (*MAILBOXES, HELD, FAR) if random.random() < self._far_share else (*MAILBOXES, HELD)
        octets = self._log.sending(token, random.choice((1, 20, 6000)), recipients)
        client.sendmail("sender@sender.invalid", recipients, octets)
        self._log.acknowledged(token)

    def start(self) -> None:
        self._stop.clear()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(SENDERS)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=70)
            assert not thread.is_alive()


def relayed(far: Peer) -> Iterable[Copy]:
    for taken in tuple(far.taken):
        token = token_of(taken.octets)
        assert token is not None
        end: End = "relayed" if taken.reverse_path else "returned"
        yield from (Copy(end, path, token, taken.octets) for path in taken.forward_paths)


def delivered(target: Server) -> Iterable[Copy]:
    for account in MAILBOXES:
        for octets in target.messages(account=account):
            yield Copy("mailbox", account, token_of(octets) or "", octets)


def quarantined(target: Server) -> Iterable[Copy]:
    """Read by itself, since a listing is no proof that the octets are there."""
    kept = Quarantine(target.folder / "data/quarantine", Disk())
    try:
        for held in kept.list(limit=10_000_000):
            octets = kept.read(held.delivery_key)
            yield Copy("quarantine", held.recipient, token_of(octets) or "", octets)
    finally:
        kept.close()


def until_all_arrived(target: Server, far: Peer, log: ClientLog, limit_s: float) -> Findings:
    """The findings once nothing is missing, or when the time is over.

    Mail in whose attempts a process died three times is held for the admin to look at (T-Q-08), who lets it go."""
    deadline = time.monotonic() + limit_s
    while True:
        findings = judge(log, [*relayed(far), *delivered(target), *quarantined(target)])
        if not findings.lost or time.monotonic() > deadline:
            return findings
        target.run("queue", "release", "--all", check=False)
        time.sleep(1)


@contextlib.contextmanager
def campaign(environment: Mapping[str, str] = MappingProxyType({})) -> Iterator[tuple[Server, Peer, ClientLog]]:
    """A server with two accounts, another one that it relays to, and the oracle's log. environment: of the server."""
    with peer() as far, server(policy=POLICY, start=False) as target:
        target.environment.update(environment)
        (target.folder / "plugins/judged.py").write_text(JUDGED)
        relay_to(target, {"far.test": far.port, "sender.invalid": far.port}, "connections_per_domain: 1")
        target.start()
        target.add_account(MAILBOXES[1])
        yield target, far, ClientLog(target.folder / "clients.log")
