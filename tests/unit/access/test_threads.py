"""Threads are shared out by account."""

import asyncio
import threading
from functools import partial

import pytest

from mailward.access.threads import OF_ACCOUNT, Threads
from mailward.model.ids import AccountId

MALLORY, ANN = AccountId("mallory"), AccountId("ann")


async def test_t_dos_07_whoever_has_many_calls_going_on_leaves_threads_to_others() -> None:
    threads, goes_on, running = Threads(most=OF_ACCOUNT + 1), threading.Event(), list[int]()

    def call() -> None:
        running.append(1)
        assert goes_on.wait(90)

    calls = [asyncio.create_task(threads.run(MALLORY, call)) for _ in range(10)]
    assert await threads.run(ANN, lambda: "done") == "done"
    assert len(running) <= OF_ACCOUNT
    goes_on.set()
    await asyncio.gather(*calls)
    assert len(running) == 10


async def test_t_dos_07_a_session_that_has_ended_keeps_its_thread_until_the_call_has() -> None:
    threads, goes_on, begun = Threads(of_account=1), threading.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def call() -> None:
        loop.call_soon_threadsafe(begun.set)
        assert goes_on.wait(90)

    first = asyncio.create_task(threads.run(MALLORY, call))
    await begun.wait()
    first.cancel()
    await asyncio.wait([first])
    second = asyncio.create_task(threads.run(MALLORY, lambda: goes_on.is_set()))
    await threads.run(ANN, lambda: None)
    assert not second.done()
    goes_on.set()
    assert await second, "it began when the first call had ended"


async def test_t_dos_06_accounts_take_turns_at_what_is_done_alone_however_many_sessions_they_have() -> None:
    threads, goes_on, begun, order = Threads(), threading.Event(), asyncio.Event(), list[str]()
    loop = asyncio.get_running_loop()

    def call(account: str) -> None:
        order.append(account)
        loop.call_soon_threadsafe(begun.set)
        assert goes_on.wait(90)

    accounts = (MALLORY, MALLORY, MALLORY, ANN)
    calls = [asyncio.create_task(threads.run_alone(account, partial(call, account))) for account in accounts]
    await begun.wait()
    assert order == [MALLORY]
    goes_on.set()
    await asyncio.gather(*calls)
    assert order == [MALLORY, ANN, MALLORY, MALLORY]


async def test_t_dos_07_whoever_keeps_his_threads_busy_has_no_turn_that_others_wait_for() -> None:
    threads, goes_on = Threads(), threading.Event()
    calls = [asyncio.create_task(threads.run(MALLORY, lambda: goes_on.wait(90))) for _ in range(OF_ACCOUNT)]
    calls.append(asyncio.create_task(threads.run_alone(MALLORY, goes_on.is_set)))
    done = asyncio.create_task(threads.run_alone(ANN, lambda: not goes_on.is_set()))
    assert await done, "it did not wait for mallory's"
    goes_on.set()
    assert all(await asyncio.gather(*calls))


async def test_t_dos_06_a_session_that_has_ended_keeps_its_turn_until_the_call_has_and_no_place_without_a_turn() -> None:
    threads, goes_on, begun = Threads(of_account=1), threading.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def call() -> None:
        loop.call_soon_threadsafe(begun.set)
        assert goes_on.wait(90)

    first = asyncio.create_task(threads.run_alone(MALLORY, call))
    await begun.wait()
    second = asyncio.create_task(threads.run_alone(ANN, goes_on.is_set))
    await asyncio.sleep(0)
    first.cancel()
    second.cancel()
    await asyncio.wait([first, second])
    third = asyncio.create_task(threads.run_alone(ANN, goes_on.is_set))
    fourth = asyncio.create_task(threads.run_alone(AccountId("bob"), goes_on.is_set))
    await threads.run(AccountId("carol"), lambda: None)
    assert not third.done() and not fourth.done()
    third.cancel()
    await asyncio.wait([third])
    assert await threads.run(ANN, lambda: "done") == "done", "ann's only place was given back"
    goes_on.set()
    assert await fourth


async def test_before_a_login_nothing_blocks() -> None:
    with pytest.raises(AssertionError, match="not logged in"):
        await Threads().run(None, lambda: None)


async def test_what_a_call_raises_is_raised_and_gives_its_thread_back() -> None:
    threads = Threads(of_account=1)

    def call() -> None:
        raise KeyError("x")

    for _ in range(3):
        (outcome,) = await asyncio.gather(threads.run(MALLORY, call), return_exceptions=True)
        assert isinstance(outcome, KeyError)


async def test_threads_end_with_whoever_gave_them_work() -> None:
    threads = Threads()
    ran = [
        await asyncio.gather(*(threads.run(account, threading.current_thread) for account in (MALLORY, ANN))) for _ in range(2)
    ]
    assert len({*ran[0], *ran[1]}) <= 2, "whoever has ended a call is given the next"
    del threads
    for thread in ran[0]:
        thread.join(90)
        assert not thread.is_alive()
