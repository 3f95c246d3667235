"""`kill -9` of the queue process while it relays, again and again: nothing is lost, and little is sent twice.

A kill can double what is between our dot and our mark: one message a connection. There are two: the domain's, limited to one
here, and that of the suspects (recipients whose last attempt never ended). By LMTP each recipient has a reply of its own, and a
kill may fall between two of them.
"""

import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable

import pytest

from support.oracle import ClientLog, Copy, judge, token_of
from support.relayed import QUIET, relay_to
from support.server import server
from support.smtp_peer import Peer, peer

KILLS = 5
MESSAGES = 200
CONNECTIONS = 2
IMPATIENT = f"""\
#!{sys.executable}
from mailward.app import daemon
from mailward.cli import main
daemon.RESTART_DELAYS_S = (0.1,)
main()
"""
"""`mailward`, but that a process that ends again and again is followed by another at once."""


def slowly(may_begin: threading.Event) -> Callable[[Peer], bytes]:
    """Nothing is taken before it may begin; then so slowly that a kill often falls between our dot and its reply, or right behind."""

    def answer(other: Peer) -> bytes:
        may_begin.wait(60)
        time.sleep(random.uniform(0, 0.03))
        return b"250 2.0.0 taken\r\n"

    return answer


@pytest.mark.parametrize(("protocol", "to"), [("smtp", ["b@far.test"]), ("lmtp", ["b@far.test", "c@far.test"])])
def test_t_q_10_kill_9_of_the_queue_process_loses_nothing_and_doubles_one_message_a_connection(
    protocol: str, to: list[str]
) -> None:
    count = MESSAGES // len(to)
    copies_in_all = count * len(to)
    chance = random.Random(20261127)
    all_sent = threading.Event()
    with peer({"MESSAGE": slowly(all_sent)}, is_lmtp=protocol == "lmtp") as far, server(policy=QUIET, start=False) as made:
        relay_to(made, {"far.test": far.port}, "connections_per_domain: 1", protocol=protocol)
        command = made.folder / "impatient"
        command.write_text(IMPATIENT)
        command.chmod(0o755)
        made.command = str(command)
        made.start()
        log = ClientLog(made.folder / "clients.log")
        with made.smtp() as client:
            for n in range(count):
                client.sendmail("a@sender.invalid", to, log.sending(f"token-{n}", 1, to))
                log.acknowledged(f"token-{n}")
        all_sent.set()
        kills = 0
        while kills < KILLS and len(far.taken) < copies_in_all - 50:
            seen = len(far.taken)
            far.wait_for(seen + chance.randrange(5, 40), limit_s=60)
            os.kill(made.worker_pids("queue")[-1], signal.SIGKILL)
            kills += 1
        far.wait(lambda: len({(token_of(t.octets), *t.forward_paths) for t in far.taken}) == copies_in_all, limit_s=120)
        time.sleep(2)  # a copy too many would come now
        assert kills >= KILLS // 2
        copies = [Copy("relayed", path, token_of(t.octets) or "", t.octets) for t in far.taken for path in t.forward_paths]
        assert judge(log, copies, marked=False).require(most_extra=CONNECTIONS * kills * len(to)).acknowledged == copies_in_all
