"""Room for large messages: never more than there is, in the order of those who asked, and all of it comes back."""

import asyncio
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailward.services.room import SMALL_OCTETS, NoRoomError, Room

LARGE = SMALL_OCTETS + 1
ALL, SMALL = 100, 10


async def settle() -> None:
    """Until every task has come as far as it can."""
    for _ in range(20):
        await asyncio.sleep(0)


class Judging:
    """Messages that are judged until they are let go."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self.inside: list[str] = []
        self._ends: dict[str, asyncio.Event] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def begin(self, name: str, octets: int) -> None:
        self._ends[name] = asyncio.Event()
        self._tasks[name] = asyncio.create_task(self._judge(name, octets))
        await settle()

    async def _judge(self, name: str, octets: int) -> None:
        async with self._room.of(octets):
            self.inside.append(name)
            await self._ends[name].wait()
            self.inside.remove(name)

    async def end(self, name: str) -> None:
        self._ends[name].set()
        await settle()

    async def cancel(self, name: str) -> None:
        self._tasks[name].cancel()
        await settle()


async def test_only_so_many_octets_are_judged_at_once() -> None:
    judging = Judging(Room(3 * LARGE))
    for name in "abcd":
        await judging.begin(name, LARGE)
    assert judging.inside == ["a", "b", "c"]
    await judging.end("b")
    assert judging.inside == ["a", "c", "d"]


async def test_a_small_message_waits_for_nobody() -> None:
    judging = Judging(Room(LARGE))
    await judging.begin("a", LARGE)
    await judging.begin("b", SMALL_OCTETS)
    assert judging.inside == ["a", "b"]


async def test_a_message_larger_than_the_room_has_it_for_itself_and_is_not_passed() -> None:
    judging = Judging(Room(2 * LARGE))
    await judging.begin("a", LARGE)
    await judging.begin("huge", 100 * LARGE)
    await judging.begin("b", LARGE)
    assert judging.inside == ["a"]
    await judging.end("a")
    assert judging.inside == ["huge"]
    await judging.end("huge")
    assert judging.inside == ["b"]


async def test_who_gives_up_waiting_or_fails_leaves_no_place_taken() -> None:
    room = Room(LARGE)
    judging = Judging(room)
    await judging.begin("a", LARGE)
    await judging.begin("b", LARGE)
    await judging.begin("c", LARGE)
    await judging.cancel("b")  # while it waits
    await judging.cancel("a")  # while it is judged
    assert judging.inside[-1] == "c"
    await judging.end("c")
    async with contextlib.AsyncExitStack() as stack, asyncio.timeout(30):
        await stack.enter_async_context(room.of(LARGE))


async def test_who_has_waited_long_is_told_to_come_again_and_takes_no_place() -> None:
    room = Room(LARGE, wait_s=0.01)
    async with room.of(LARGE):
        for _ in range(2):
            with pytest.raises(NoRoomError):
                async with room.of(LARGE):
                    raise AssertionError("there was no room")
    async with room.of(LARGE):
        pass


@given(st.lists(st.tuples(st.integers(0, 150), st.booleans(), st.integers(0, 3)), max_size=40))
def test_t_q_17_no_more_than_there_is_room_for_is_held_and_nobody_is_forgotten(asked: list[tuple[int, bool, int]]) -> None:
    """Each: octets, whether whoever asks is cancelled meanwhile, and for how many turns of the loop it is held."""
    room, held, most, served = Room(ALL, small_octets=SMALL), 0, 0, []

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
