"""A wait ends when it is told, or at its time, whichever waits there were before on the same timer."""

import asyncio
import time

import pytest

from mailward.net.arrival import Arrival

TICK_S = 0.02


def now() -> float:
    return asyncio.get_running_loop().time()


async def test_it_waits_until_it_is_told() -> None:
    arrival = Arrival()
    asyncio.get_running_loop().call_later(TICK_S, arrival.tell)
    begun = time.monotonic()
    await arrival.wait(now() + 60)
    assert time.monotonic() - begun >= TICK_S / 2
    arrival.close()


async def test_what_is_told_while_nobody_waits_is_not_kept() -> None:
    arrival = Arrival()
    arrival.tell()
    with pytest.raises(TimeoutError):
        await arrival.wait(now() + TICK_S)


@pytest.mark.parametrize("first_s", [TICK_S / 2, 60.0], ids=["shorter before", "longer before"])
async def test_t_imap_15_a_wait_ends_at_its_own_time(first_s: float) -> None:
    arrival = Arrival()
    first = asyncio.ensure_future(arrival.wait(now() + first_s))
    await asyncio.sleep(0)
    arrival.tell()
    await first
    begun = now()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(30):
            await arrival.wait(begun + 5 * TICK_S)
    assert 5 * TICK_S <= now() - begun < 30


async def test_a_wait_whose_time_is_over_ends_at_once_unless_it_was_told() -> None:
    arrival = Arrival()
    with pytest.raises(TimeoutError):
        await arrival.wait(now() - 1)
    asyncio.get_running_loop().call_soon(arrival.tell)
    await arrival.wait(now() - 1)
    arrival.close()


async def test_a_wait_that_is_cancelled_leaves_nothing_behind() -> None:
    arrival = Arrival()
    waiting = asyncio.ensure_future(arrival.wait(now() + TICK_S))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    asyncio.get_running_loop().call_later(3 * TICK_S, arrival.tell)
    await arrival.wait(now() + 60)  # behind the moment that the first would have ended at
    arrival.close()


async def test_t_dos_06_a_wait_that_begins_when_another_was_cancelled_is_told() -> None:
    """Its cancellation runs in the next turn of the loop only."""
    arrival = Arrival()
    cancelled = asyncio.ensure_future(arrival.wait(now() + 60))
    await asyncio.sleep(0)
    cancelled.cancel()
    asyncio.get_running_loop().call_later(TICK_S, arrival.tell)
    async with asyncio.timeout(30):
        await arrival.wait(now() + 60)
    cancelled = asyncio.ensure_future(arrival.wait(now() + 60))
    await asyncio.sleep(0)
    cancelled.cancel()
    with pytest.raises(TimeoutError, match=r"^$"):
        await arrival.wait(now() + TICK_S)
