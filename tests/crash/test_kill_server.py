"""`kill -9` of a working server, of one process or all, again and again, and processes that are stopped for a while (T-Q-01).

Each message goes to two mailboxes and into the quarantine, some to another server too. The oracle holds what clients were told.
CRASH_KILLS says how often to kill (`make crash`).
"""

import contextlib
import os
import random
import signal
import smtplib
import threading
import time
from collections.abc import Iterable, Iterator

import pytest

from mailward.disk import Disk
from mailward.quarantine import Quarantine
from support.oracle import MARK_FIELD, ClientLog, Copy, Findings, judge, token_of
from support.relayed import QUIET, relay_to
from support.server import Server, server
from support.smtp_peer import Peer, peer

KILLS = int(os.environ.get("CRASH_KILLS", "40"))
STOPS = 4
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
    """Clients that send until told to stop."""

    def __init__(self, target: Server, log: ClientLog) -> None:
        self._target = target
        self._log = log
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
        recipients = (*MAILBOXES, HELD, FAR) if random.random() < 0.3 else (*MAILBOXES, HELD)
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


def one_round(target: Server, load: Load, chance: random.Random) -> int:
    """Under load: one process is stopped for a while or killed, then all are killed. Returns the number of kills."""
    load.start()
    time.sleep(chance.uniform(0.05, 0.4))
    victim = target.worker_pids(chance.choice(ROLES))[-1]
    if stops := chance.random() < 0.3:
        os.kill(victim, signal.SIGSTOP)
        time.sleep(chance.uniform(0.05, 0.5))
        os.kill(victim, signal.SIGCONT)
    else:
        os.kill(victim, signal.SIGKILL)
    time.sleep(chance.uniform(0.05, 0.4))
    target.kill_all()
    load.stop()
    target.start()
    return 1 if stops else 2


def relayed(far: Peer) -> Iterable[Copy]:
    for taken in tuple(far.taken):
        token = token_of(taken.octets)
        assert token is not None
        end = "relayed" if taken.reverse_path else "returned"
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
def campaign() -> Iterator[tuple[Server, Peer, ClientLog]]:
    """A server with two accounts, another one that it relays to, and the oracle's log."""
    with peer() as far, server(policy=POLICY, start=False) as target:
        (target.folder / "plugins/judged.py").write_text(JUDGED)
        relay_to(target, {"far.test": far.port, "sender.invalid": far.port}, "connections_per_domain: 1")
        target.start()
        target.add_account(MAILBOXES[1])
        yield target, far, ClientLog(target.folder / "clients.log")


@pytest.mark.timeout(600)
def test_t_q_20_stopped_under_load_it_ends_in_time_loses_nothing_and_doubles_nothing_anywhere() -> None:
    with campaign() as (target, far, log):
        load = Load(target, log)
        for _ in range(STOPS):
            load.start()
            time.sleep(0.5)
            assert target.terminate() == 0
            load.stop()
            assert b"did not drain" not in target.log_octets()
            target.start()
        findings = until_all_arrived(target, far, log, 180)
        findings.require(why=target.log())
        assert findings.acknowledged > STOPS, "the load was too small to prove anything"


@pytest.mark.timeout(1200 + 30 * KILLS)
def test_t_q_01_10_kill_9_loses_nothing_doubles_nothing_here_and_no_filter_is_left_out() -> None:
    chance = random.Random(20261124)
    with campaign() as (target, far, log):
        load = Load(target, log)
        kills = 0
        while kills < KILLS:
            kills += one_round(target, load, chance)
        findings = until_all_arrived(target, far, log, 180 + 0.1 * KILLS)
        findings.require(most_extra=kills, why=target.log())
        assert findings.acknowledged > kills, "the load was too small to prove anything"
        sent, told = log.read()
        print(
            f"\n{kills} kills, {len(told)} messages acknowledged to {findings.acknowledged} recipients, {len(sent) - len(told)} not; "
            f"lost 0, doubled here 0, relayed twice {findings.extra_relayed}"
        )
