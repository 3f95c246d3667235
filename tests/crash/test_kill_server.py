"""`kill -9` of every process of a working server, again and again: what was answered 250 is there, once (T-Q-01)."""

import random
import re
import smtplib
import threading
import time

import pytest

from support.server import Server, server

ROUNDS = 50
SENDERS = 4
RECIPIENTS = ("demo@example.test", "second@example.test")

POLICY = """\
version: 1
extends: mailward/inbound
plugins:
  antivirus: {engine: test-file}
  spam: {mode: off}
"""


class Load:
    """Clients that send until told to stop and remember which messages were answered 250."""

    def __init__(self, target: Server) -> None:
        self._target = target
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._count = 0
        self.acknowledged: set[str] = set()

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
                        client.sendmail("a@sender.invalid", RECIPIENTS, body.encode())
                        with self._lock:
                            self.acknowledged.add(token)
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


@pytest.mark.timeout(900)
def test_t_q_01_kill_9_of_all_processes_loses_and_doubles_nothing() -> None:
    chance = random.Random(20261124)
    with server(policy=POLICY) as target:
        target.add_account(RECIPIENTS[1])
        load = Load(target)
        for _ in range(ROUNDS):
            load.start()
            time.sleep(chance.uniform(0.05, 0.6))
            target.kill_all()
            load.stop()
            target.start()
        expected = load.acknowledged
        assert len(expected) > ROUNDS, "the load was too small to prove anything"
        for account in RECIPIENTS:
            found = _subjects(target.wait_for(len(expected), account=account, timeout_s=60))
            deadline = time.monotonic() + 60
            while expected - set(found) and time.monotonic() < deadline:
                time.sleep(0.5)
                found = _subjects(target.messages(account=account))
            assert expected - set(found) == set(), "acknowledged and lost"
            doubled = {token for token in expected if found.count(token) > 1}
            assert doubled == set(), "delivered twice"


def _subjects(messages: list[bytes]) -> list[str]:
    found = []
    for octets in messages:
        match = re.search(rb"^Subject: (token-[0-9a-f-]+)\r\n", octets, re.MULTILINE)
        assert match is not None
        found.append(match[1].decode())
    return found
