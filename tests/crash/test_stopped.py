"""A process that does not run for a while, of each kind, or all of them, under load: nothing is lost, and nothing doubled.

A worker that is stopped is ended after five seconds, and another takes its place. When the supervisor is stopped the workers work
on; when all were stopped, as with a machine that is paused, all go on. Seconds here, and a minute in `make crash`.
"""

import contextlib
import os
import signal
import time
from collections.abc import Iterator, Sequence

import pytest

from support.campaign import ROLES, Load, campaign, until_all_arrived
from support.server import Server

IS_LONG = "CRASH_KILLS" in os.environ
STOPPED_S = 60 if IS_LONG else 8
LIMIT_S = 60


@contextlib.contextmanager
def stopped(pid: int) -> Iterator[None]:
    """SIGSTOP, and SIGCONT unless somebody has ended the process meanwhile."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def ended(target: Server) -> list[bytes]:
    """The lines that say that a worker was ended for not being alive."""
    return [line for line in target.log_octets().splitlines() if b'event="worker killed"' in line]


@pytest.mark.timeout(900)
@pytest.mark.parametrize("roles", [ROLES, *([role] for role in ROLES if IS_LONG)], ids="-".join)
def test_t_q_01_workers_stopped_under_load_are_ended_and_replaced_and_that_costs_nothing(roles: Sequence[str]) -> None:
    with campaign() as (target, far, log):
        load = Load(target, log)
        load.start()
        time.sleep(0.5)
        victims = {role: target.worker_pids(role)[-1] for role in roles}
        with contextlib.ExitStack() as stops:
            for pid in victims.values():
                stops.enter_context(stopped(pid))
            time.sleep(STOPPED_S)
            target.until(lambda: all(target.worker_pids(role)[-1] != pid for role, pid in victims.items()), LIMIT_S)
        before = len(log.read()[1])
        target.until(lambda: len(log.read()[1]) > before + 5, LIMIT_S)
        load.stop()
        lines = b"\n".join(ended(target))
        assert all(f"role={role} pid={pid} reason=blocked".encode() in lines for role, pid in victims.items())
        assert lines.count(b"worker killed") == len(victims), "those that were not stopped live on"
        until_all_arrived(target, far, log, 180).require(most_extra=2, why=target.log())


@pytest.mark.timeout(900)
@pytest.mark.parametrize("all_stop", [False, True], ids=["supervisor", "all"])
def test_t_q_01_where_the_supervisor_was_stopped_no_worker_is_ended_for_it(all_stop: bool) -> None:
    with campaign() as (target, far, log):
        assert target.process is not None
        load = Load(target, log)
        load.start()
        time.sleep(0.5)
        workers = [target.worker_pids(role)[-1] for role in ROLES] if all_stop else []
        with contextlib.ExitStack() as stops:
            for pid in (*workers, target.process.pid):  # who was stopped last goes on first
                stops.enter_context(stopped(pid))
            time.sleep(STOPPED_S)
        before = len(log.read()[1])
        target.until(lambda: len(log.read()[1]) > before + 10, LIMIT_S)
        load.stop()
        assert not ended(target)
        until_all_arrived(target, far, log, 180).require(why=target.log())
