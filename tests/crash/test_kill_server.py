"""`kill -9` of a working server, of one process or all, again and again, and processes that are stopped for a while (T-Q-01).

CRASH_KILLS says how often to kill (`make crash`).
"""

import os
import random
import signal
import time

import pytest

from support.campaign import ROLES, Load, campaign, until_all_arrived
from support.server import Server

KILLS = int(os.environ.get("CRASH_KILLS", "40"))
STOPS = 4


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
