"""Room for large messages: never more than there is, the next for whoever has the least of it, and all of it comes back."""

import asyncio
import contextlib
from collections import Counter

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
        """The sharer is the first letter of its name."""
        self._ends[name] = asyncio.Event()
        self._tasks[name] = asyncio.create_task(self._judge(name, octets))
        await settle()

    async def _judge(self, name: str, octets: int) -> None:
        async with self._room.of(octets, name[0]):
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
    judging = Judging(Room(2 * LARGE))
    for name, octets in (("a", LARGE), ("b", LARGE), ("c", LARGE), ("d", SMALL_OCTETS)):
        await judging.begin(name, octets)
    assert judging.inside == ["a", "b", "d"]


async def test_a_message_larger_than_half_of_the_room_counts_as_half_and_is_not_passed() -> None:
    judging = Judging(Room(2 * LARGE))
    for name, octets in (("a", LARGE), ("b", LARGE), ("huge", 100 * LARGE), ("c", LARGE)):
        await judging.begin(name, octets)
    assert judging.inside == ["a", "b"]
    await judging.end("a")
    assert judging.inside == ["b", "huge"]
    await judging.end("b")
    assert judging.inside == ["huge", "c"]


async def test_t_dos_14_a_queue_of_huge_messages_is_not_in_the_way_of_somebody_elses_one() -> None:
    judging = Judging(Room(2 * LARGE))
    for name in ("a1", "b1", "a2", "a3", "a4", "b2", "b3", "c1"):
        await judging.begin(name, 100 * LARGE)
    assert judging.inside == ["a1", "b1"]
    await judging.end("a1")
    assert judging.inside == ["b1", "a2"]  # who waits goes by turns
    await judging.end("b1")
    assert judging.inside == ["a2", "b2"]
    await judging.end("a2")
    assert judging.inside == ["b2", "c1"]  # before a3 and a4, which were there first
    await judging.end("b2")
    assert judging.inside == ["c1", "a3"]


async def test_who_gives_up_waiting_or_fails_leaves_no_place_taken() -> None:
    room = Room(2 * LARGE)
    judging = Judging(room)
    for name in "xabc":
        await judging.begin(name, LARGE)
    assert judging.inside == ["x", "a"]
    await judging.cancel("b")  # while it waits
    await judging.cancel("a")  # while it is judged
    assert judging.inside[-1] == "c"
    await judging.end("c")
    async with contextlib.AsyncExitStack() as stack, asyncio.timeout(30):
        await stack.enter_async_context(room.of(LARGE, "z"))


async def test_who_has_waited_long_is_told_to_come_again_and_takes_no_place() -> None:
    room = Room(2 * LARGE, wait_s=0.01)
    async with room.of(LARGE, "y"), room.of(LARGE, "x"):
        for _ in range(2):
            with pytest.raises(NoRoomError):
                async with room.of(LARGE, "z"):
                    raise AssertionError("there was no room")
    async with room.of(LARGE, "z"):
        pass


async def test_t_q_16_one_who_is_slow_leaves_half_of_the_room_and_goes_after_those_who_have_less() -> None:
    judging = Judging(Room(4 * LARGE))
    for name in ("a1", "a2", "a3", "a4", "b1", "b2"):
        await judging.begin(name, LARGE)
    assert judging.inside == ["a1", "a2", "b1"]  # what is left is for somebody new
    await judging.begin("c1", 2 * LARGE)
    assert judging.inside == ["a1", "a2", "b1"]
    await judging.end("b1")
    assert judging.inside == ["a1", "a2", "b2"]  # who has nothing goes before who has some, whoever asked first
    await judging.end("a1")
    assert judging.inside == ["a2", "b2", "c1"]
    await judging.end("b2")
    assert judging.inside == ["a2", "c1"]
    await judging.end("c1")
    assert judging.inside == ["a2", "a3"]
    await judging.end("a2")
    assert judging.inside == ["a3", "a4"]


async def test_what_one_needs_who_has_nothing_is_kept_free_for_him() -> None:
    judging = Judging(Room(4 * LARGE))
    for name, octets in (("a1", LARGE), ("d1", 2 * LARGE), ("b1", 2 * LARGE), ("c1", LARGE), ("a2", LARGE)):
        await judging.begin(name, octets)
    assert judging.inside == ["a1", "d1"]
    await judging.end("a1")
    assert judging.inside == ["d1", "b1"]
    await judging.end("d1")
    assert judging.inside == ["b1", "c1", "a2"]


@given(st.lists(st.tuples(st.integers(0, 150), st.sampled_from("abc"), st.integers(0, 3)), max_size=40))
def test_t_q_16_no_sharer_has_more_than_was_left_for_others_and_nobody_is_forgotten(asked: list[tuple[int, str, int]]) -> None:
    """Each: octets, whose, and for how many turns of the loop it is held."""
    room, has, served = Room(ALL, small_octets=0), Counter[str](), 0

    async def hold(octets: int, sharer: str, turns: int) -> None:
        nonlocal served
        async with room.of(octets, sharer):
            has[sharer] += min(octets, ALL // 2)
            assert has.total() <= ALL and has[sharer] <= ALL // 2
            served += 1
            for _ in range(turns):
                await asyncio.sleep(0)
            has[sharer] -= min(octets, ALL // 2)

    async def all_of_them() -> None:
        async with asyncio.timeout(10):
            await asyncio.gather(*(hold(*one) for one in asked))

    asyncio.run(all_of_them())
    assert served == len(asked)


@given(st.lists(st.tuples(st.integers(0, 150), st.booleans(), st.integers(0, 3)), max_size=40))
def test_t_q_17_no_more_than_there_is_room_for_is_held_and_nobody_is_forgotten(asked: list[tuple[int, bool, int]]) -> None:
    """Each: octets, whether whoever asks is cancelled meanwhile, and for how many turns of the loop it is held."""
    room, held, most, served = Room(ALL, small_octets=SMALL), 0, 0, []

    async def hold(number: int, octets: int, turns: int) -> None:
        nonlocal held, most
        async with room.of(octets, str(number)):
            counted = min(octets, ALL // 2) if octets > SMALL else 0
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
            async with room.of(ALL, "y"), room.of(ALL, "z"):  # all of it came back
                pass

    asyncio.run(all_of_them())
    assert most <= ALL
    patient = [n for n in served if asked[n][0] > SMALL]
    assert patient == sorted(patient) and {n for n, one in enumerate(asked) if not one[1]} <= set(served)
