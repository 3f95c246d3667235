"""`kill -9` of every process of a working server, again and again: what was answered 250 is there (T-Q-01).

Each message goes to two mailboxes and into the quarantine, many to another server too. Locally each is there exactly once; over
there a kill may add one copy at most, of the message that was under way on the one connection.
"""

import random
import re
import smtplib
import threading
import time
from collections.abc import Callable

import pytest

from mailward.disk import Disk
from mailward.quarantine import Quarantine
from support.relayed import QUIET, relay_to
from support.server import Server, server
from support.smtp_peer import Peer, peer

ROUNDS = 100
SENDERS = 4
MAILBOXES = ("demo@example.test", "second@example.test")
HELD = "demo+held@example.test"
FAR = "somebody@far.test"
POLICY = QUIET + "rules: [{name: hold, when: recipient.tag == 'held', then: quarantine}]\n"


class Load:
    """Clients that send until told to stop and remember which messages were answered 250."""

    def __init__(self, target: Server) -> None:
        self._target = target
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._count = 0
        self.acknowledged: set[str] = set()
        self.relayed: set[str] = set()

    def _next_token(self) -> str:
        with self._lock:
            self._count += 1
            return f"token-{self._count:06d}-{random.getrandbits(32):08x}"

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                with self._target.smtp() as client:
                    while not self._stop.is_set():
                        token = self._next_token()
                        big = "x" * 70 + "\r\n"
                        padding = big * random.choice((1, 20, 5000))
                        body = f"From: a@sender.invalid\r\nTo: both\r\nSubject: {token}\r\n\r\n{padding}"
                        goes_far = random.random() < 0.3
                        recipients = (*MAILBOXES, HELD, FAR) if goes_far else (*MAILBOXES, HELD)
                        client.sendmail("a@sender.invalid", recipients, body.encode())
                        with self._lock:
                            self.acknowledged.add(token)
                            if goes_far:
                                self.relayed.add(token)
            except (OSError, smtplib.SMTPException):
                if not self._stop.is_set():
                    self._stop.wait(0.02)

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


@pytest.mark.timeout(1200)
def test_t_q_01_kill_9_of_all_processes_loses_nothing_and_doubles_nothing_here() -> None:
    chance = random.Random(20261124)
    with peer() as far, server(policy=POLICY, start=False) as target:
        relay_to(target, {"far.test": far.port}, "connections_per_domain: 1")
        target.start()
        target.add_account(MAILBOXES[1])
        load = Load(target)
        for _ in range(ROUNDS):
            load.start()
            time.sleep(chance.uniform(0.05, 0.4))
            target.kill_all()
            load.stop()
            target.start()
        expected = load.acknowledged
        assert len(load.relayed) > ROUNDS, "the load was too small to prove anything"
        for account in MAILBOXES:
            _check("mailbox", expected, lambda account=account: _subjects(target.messages(account=account)))
        _wait_relayed(target, far, load.relayed)
        target.terminate()
        kept = Quarantine(target.folder / "data/quarantine", Disk())
        _check("quarantine", expected, lambda: [held.subject for held in kept.list(limit=1_000_000)])
        kept.close()
        over_there = _subjects([taken.octets for taken in far.taken])
        assert len(over_there) - len(set(over_there)) <= ROUNDS, "more than one copy too many for each kill"


def _wait_relayed(target: Server, far: Peer, expected: set[str]) -> None:
    """Mail in whose attempts a process died three times is held for the admin to look at (T-Q-08), who lets it go."""
    deadline = time.monotonic() + 180
    while expected - set(_subjects([taken.octets for taken in far.taken])):
        waiting = target.json("queue", "list")
        assert time.monotonic() < deadline, waiting
        if any(recipient["state"] == "held" for item in waiting for recipient in item["recipients"]):
            target.run("queue", "release", "--all", check=False)  # another pass may have been quicker
        time.sleep(1)


def _check(place: str, expected: set[str], look: Callable[[], list[str]]) -> None:
    """Everything that was acknowledged is there, soon, and nothing of it twice."""
    deadline = time.monotonic() + 120
    while expected - set(found := look()) and time.monotonic() < deadline:
        time.sleep(0.5)
    assert expected - set(found) == set(), f"acknowledged and lost: {place}"
    assert len(found) == len(set(found)), f"delivered twice: {place}"


def _subjects(messages: list[bytes]) -> list[str]:
    found = []
    for octets in messages:
        match = re.search(rb"^Subject: (token-[0-9a-f-]+)\r\n", octets, re.MULTILINE)
        assert match is not None
        found.append(match[1].decode())
    return found
