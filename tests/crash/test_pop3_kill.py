"""`kill -9` in the middle of QUIT: either all that was marked is deleted or nothing, and +OK means all (T-POP-03, T-POP-04)."""

import os
import random
import ssl
import subprocess
import sys
import threading
from pathlib import Path
from socket import create_connection

import pytest

from support.pop3 import Office
from support.pop3_server import LOGIN

ROOT = Path(__file__).parents[2]
ROUNDS = 20
MESSAGES = 400
STAYS = 5


def worker(folder: Path) -> "subprocess.Popen[str]":
    path = os.pathsep.join(str(ROOT / name) for name in ("core", "plugins", "tests"))
    return subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("pop3_worker.py")), str(folder)],
        env={**os.environ, "PYTHONPATH": path},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def talk(port: int, folder: Path, delay_s: float, child: "subprocess.Popen[str]") -> bytes:
    """Mark all but the last few, QUIT, and kill the server so long after that was sent; all that it said."""
    context = ssl.create_default_context(cafile=str(folder / "c.pem"))
    context.check_hostname = False
    said = b""
    with create_connection(("127.0.0.1", port), 20) as plain, context.wrap_socket(plain) as client:
        marks = b"".join(b"DELE %d\r\n" % number for number in range(1, MESSAGES - STAYS + 1))
        client.sendall(LOGIN + marks + b"STAT\r\n")
        while b"+OK %d " % STAYS not in said:
            said += client.recv(65536)
        client.sendall(b"QUIT\r\n")
        timer = threading.Timer(delay_s, child.kill)
        timer.start()
        try:
            while more := client.recv(65536):
                said += more
        except OSError:
            pass
        timer.join()
    return said


@pytest.mark.timeout(900)
def test_t_pop_03_killed_in_the_middle_of_quit(tmp_path: Path) -> None:
    chance = random.Random(20261207)
    outcomes = []
    for _ in range(ROUNDS):
        office = Office(tmp_path)
        missing = MESSAGES - len(office.flags())
        office.deliver(*[b"Subject: %d\r\n\r\nbody\r\n" % number for number in range(missing)])
        office.store.close()
        child = worker(tmp_path)
        assert child.stdout is not None
        said = talk(int(child.stdout.readline()), tmp_path, chance.uniform(0, 0.02), child)
        child.communicate()
        left = len(office.flags())
        office.store.close()
        assert b"+OK Marked as deleted" in said, "the killed server before held no lock"
        acknowledged = b"Until next time" in said
        assert left == STAYS if acknowledged else left in (STAYS, MESSAGES), "some deleted, some not"
        outcomes.append((acknowledged, left))
    assert len(set(outcomes)) > 1, f"every kill came at the same moment: {set(outcomes)}"
