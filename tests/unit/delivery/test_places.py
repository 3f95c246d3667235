"""Of places that are limited one sender has a share, and next hops are looked up in turns."""

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailward.delivery.lanes import Key
from mailward.delivery.lookups import MOST_LOOKUPS, Lookups, Way
from mailward.delivery.places import Places


@pytest.mark.parametrize(("most", "alone"), [(50, 40), (500, 400), (5, 4), (2, 2), (1, 1)])
def test_who_is_alone_has_all_but_what_is_kept_for_others(most: int, alone: int) -> None:
    places = Places(most)
    while places.may("eve"):
        places.take("eve")
    assert places.taken == alone
    for _ in range(most - alone):
        assert places.may("bob")
        places.take("bob")
    assert not places.may("bob") and not places.are_left
    places.free("eve")
    assert places.may("bob") and places.may("eve") is (most < 5)


@given(st.integers(1, 60), st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=300))
def test_t_q_16_no_more_than_all_and_a_newcomer_finds_a_place(most: int, steps: Sequence[tuple[str, bool]]) -> None:
    places, held = Places(most), dict.fromkeys("abc", 0)
    for sender, comes in steps:
        if comes and places.may(sender):
            places.take(sender)
            held[sender] += 1
        elif not comes and held[sender]:
            places.free(sender)
            held[sender] -= 1
        assert places.taken == sum(held.values()) <= most
        if sum(count > 0 for count in held.values()) == 1 and most >= 5:
            assert places.may("new")


class Names:
    """Name servers that let us wait where the test says so, and the lookups that ask them."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.found: list[str] = []
        self.wanted = 0
        self.all_found = asyncio.Event()
        self.answering = asyncio.Event()
        self.tasks: set[asyncio.Task[None]] = set()
        self.lookups: Lookups[str] = Lookups(self.look_up, self.tell, self.begin)

    async def look_up(self, way: Way) -> Key:
        self.asked.append(way[0])
        if way[0].startswith("slow"):
            await self.answering.wait()
        return f"hop of {way[0]}"

    def tell(self, way: Way, key: Key, waiting: Sequence[str]) -> None:
        assert key == f"hop of {way[0]}"
        self.found += waiting
        if len(self.found) == self.wanted:
            self.all_found.set()

    def begin(self, work) -> asyncio.Task[None]:  # type: ignore[no-untyped-def]
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        return task


async def test_t_q_16_name_servers_of_one_sender_hold_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    names = Names()
    for number in range(10 * MOST_LOOKUPS):
        names.lookups.add((f"slow{number}.test", None), (0, "eve"), f"eve{number}")
    names.lookups.add(("good.test", None), (0, "bob"), "bob")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert names.found == ["bob"] and len(names.asked) < MOST_LOOKUPS
    names.lookups.add(("slow1999.test", None), (0, "carl"), "carl")  # eve's turn of it is far away
    await asyncio.sleep(0)
    assert names.asked[-1] == "slow1999.test"
    names.answering.set()
    names.wanted = 10 * MOST_LOOKUPS + 2
    async with asyncio.timeout(30):
        await names.all_found.wait()
    assert len(names.asked) == len(set(names.asked)) == 10 * MOST_LOOKUPS + 1
    assert sorted(names.found) == sorted([*(f"eve{number}" for number in range(10 * MOST_LOOKUPS)), "bob", "carl"])


async def test_after_a_stop_nothing_is_looked_up_or_told() -> None:
    names = Names()
    for number in range(2 * MOST_LOOKUPS):
        names.lookups.add((f"slow{number}.test", None), (0, f"sender{number}"), "x")
    await asyncio.sleep(0)
    names.lookups.stop()
    await asyncio.gather(*names.tasks, return_exceptions=True)
    assert len(names.asked) == MOST_LOOKUPS and not names.found
