"""Room for large messages: never more than there is, in the order of those who asked, and all of it comes back."""

import asyncio
import contextlib

from hypothesis import given
from hypothesis import strategies as st

from mailward.delivery.room import Room

ALL, SMALL = 100, 10


@given(st.lists(st.tuples(st.integers(0, 150), st.booleans(), st.integers(0, 3)), max_size=40))
def test_t_q_17_no_more_than_there_is_room_for_is_held_and_nobody_is_forgotten(asked: list[tuple[int, bool, int]]) -> None:
    """Each: octets, whether whoever asks is cancelled meanwhile, and for how many turns of the loop it is held."""
    room, held, most, served = Room(ALL, SMALL), 0, 0, []

    async def hold(number: int, octets: int, turns: int) -> None:
        nonlocal held, most
        async with room.of(octets):
            counted = min(octets, ALL) if octets > SMALL else 0
            held += counted
            most = max(most, held)
            served.append(number)
            try:
                for _ in range(turns):
                    await asyncio.sleep(0)
            finally:
                held -= counted

    async def all_of_them() -> None:
        tasks = [asyncio.ensure_future(hold(n, octets, turns)) for n, (octets, _, turns) in enumerate(asked)]
        await asyncio.sleep(0)
        for task, (_, is_cancelled, _) in zip(tasks, asked, strict=True):
            if is_cancelled:
                task.cancel()
                await asyncio.sleep(0)
        async with asyncio.timeout(10):
            for task in tasks:
                with contextlib.suppress(asyncio.CancelledError):
                    await task
            async with room.of(ALL):  # all of it came back
                pass

    asyncio.run(all_of_them())
    assert most <= ALL
    patient = [n for n in served if asked[n][0] > SMALL]
    assert patient == sorted(patient) and {n for n, one in enumerate(asked) if not one[1]} <= set(served)


async def test_what_is_small_never_waits() -> None:
    room = Room(ALL, SMALL)
    async with room.of(1000), asyncio.timeout(10), room.of(SMALL):
        pass
