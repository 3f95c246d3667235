"""`kill -9` of the queue process while it relays, again and again: nothing is lost, and little is sent twice.

A kill can double what is between our dot and our mark: one message a connection. There are two: the domain's, limited to one
here, and that of the suspects (recipients whose last attempt never ended).
"""

import os
import random
import signal
import threading
import time
from collections.abc import Callable

import pytest

from support.oracle import ClientLog, Copy, judge, token_of
from support.relayed import QUIET, relay_to
from support.server import server
from support.smtp_peer import Peer, peer

KILLS = 5
MESSAGES = 400
CONNECTIONS = 2
TO = "b@far.test"


def slowly(may_begin: threading.Event) -> Callable[[Peer], bytes]:
    """Nothing is taken before it may begin; then so slowly that a kill often falls between our dot and its reply, or right behind."""

    def answer(other: Peer) -> bytes:
        may_begin.wait(60)
        time.sleep(random.uniform(0, 0.03))
        return b"250 2.0.0 taken\r\n"

    return answer


@pytest.mark.timeout(300)
def test_t_q_10_kill_9_of_the_queue_process_loses_nothing_and_doubles_one_message_a_connection() -> None:
    chance = random.Random(20261127)
    all_sent = threading.Event()
    with peer({"MESSAGE": slowly(all_sent)}) as far, server(policy=QUIET, start=False) as made:
        relay_to(made, {"far.test": far.port}, "connections_per_domain: 1")
        made.start()
        log = ClientLog(made.folder / "clients.log")
        with made.smtp() as client:
            for n in range(MESSAGES):
                client.sendmail("a@sender.invalid", [TO], log.sending(f"token-{n}", 1, [TO]))
                log.acknowledged(f"token-{n}")
        all_sent.set()
        kills = 0
        while kills < KILLS and len(far.taken) < MESSAGES - 50:
            seen = len(far.taken)
            far.wait_for(seen + chance.randrange(5, 40), limit_s=60)
            os.kill(made.worker_pids("queue")[-1], signal.SIGKILL)
            kills += 1
        far.wait(lambda: len({token_of(taken.octets) for taken in far.taken}) == MESSAGES, limit_s=120)
        time.sleep(2)  # a copy too many would come now
        assert kills >= KILLS // 2
        copies = [Copy("relayed", TO, token_of(taken.octets) or "", taken.octets) for taken in far.taken]
        assert judge(log, copies, marked=False).require(most_extra=CONNECTIONS * kills).acknowledged == MESSAGES
