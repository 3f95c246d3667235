"""Threads of plugins: bounded, given up when stuck, taken back when they return."""

import asyncio
import subprocess
import sys
import threading

import pytest

from mailward.pipeline.threads import AllStuck, DaemonThreads, Escaped


async def test_no_more_threads_than_allowed_and_every_job_is_done() -> None:
    threads = DaemonThreads("t", 10.0, 3)
    running: set[int] = set()
    most = 0
    lock = threading.Lock()

    def job(number: int) -> int:
        nonlocal most
        with lock:
            running.add(number)
            most = max(most, len(running))
        with lock:
            running.discard(number)
        return number

    assert await asyncio.gather(*(threads.run(lambda n=n: job(n)) for n in range(200))) == list(range(200))  # type: ignore[misc]
    assert most <= 3


async def test_a_stuck_thread_is_counted_and_taken_back_when_it_returns() -> None:
    threads = DaemonThreads("t", 0.0, 1)
    release, entered = threading.Event(), threading.Event()

    def stay() -> None:
        entered.set()
        release.wait(10)

    task = asyncio.create_task(threads.run(stay))
    await asyncio.to_thread(entered.wait, 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert threads.stuck == 1
    with pytest.raises(AllStuck):
        await threads.run(lambda: 1)
    release.set()
    while threads.stuck:  # noqa: ASYNC110  the thread has no way to tell us
        await asyncio.sleep(0)
    assert await threads.run(lambda: 1) == 1


async def test_t_plug_03_who_goes_away_makes_nobody_elses_call_fail() -> None:
    """A client that says EHLO and hangs up, again and again; the next one waits for a thread, as for any that is busy."""
    threads = DaemonThreads("t", 60.0, 2)
    release, entered = threading.Event(), threading.Semaphore(0)

    def look() -> None:
        entered.release()
        release.wait(10)

    for number in range(30):
        task = asyncio.create_task(threads.run(look))
        if number < 2:
            await asyncio.to_thread(entered.acquire, timeout=10)
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert threads.stuck == 0
    waiting = asyncio.create_task(threads.run(lambda: "looked"))
    await asyncio.sleep(0)
    release.set()
    assert await waiting == "looked"


async def test_a_job_given_up_before_it_began_is_never_run() -> None:
    threads = DaemonThreads("t", 10.0, 1)
    release, ran = threading.Event(), threading.Event()
    first = asyncio.create_task(threads.run(lambda: release.wait(10)))
    second = asyncio.create_task(threads.run(ran.set))
    await asyncio.sleep(0)
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    release.set()
    await first
    assert await threads.run(lambda: 3) == 3
    assert not ran.is_set()
    assert threads.stuck == 0


@pytest.mark.parametrize("error", [SystemExit(1), KeyboardInterrupt(), StopIteration(2)])
async def test_what_would_end_more_than_the_job_arrives_wrapped(error: BaseException) -> None:
    def job() -> None:
        raise error

    with pytest.raises(Escaped) as caught:
        await DaemonThreads("t", 10.0).run(job)
    assert caught.value.original is error


def test_a_stuck_thread_does_not_keep_the_process_from_ending() -> None:
    program = """
import asyncio, threading
from mailward.pipeline.threads import DaemonThreads

async def main():
    entered = threading.Event()
    def stay():
        entered.set()
        threading.Event().wait()
    task = asyncio.create_task(DaemonThreads("t", 10.0).run(stay))
    await asyncio.to_thread(entered.wait)
    task.cancel()

asyncio.run(main())
"""
    assert subprocess.run([sys.executable, "-c", program], timeout=30, check=False).returncode == 0
