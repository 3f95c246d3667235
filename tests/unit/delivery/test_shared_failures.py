"""Mail that shares a failure: noted together, late while living hosts wait, and never later than its time."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from mailward.delivery import shared_failures
from mailward.delivery.fate import local_problem
from mailward.delivery.lanes import Waiting
from mailward.delivery.shared_failures import LATEST_S, TOGETHER, Shared, SharedFailures
from mailward.model.ids import QueueId

FATE = local_problem("down")


@dataclass
class World:
    """looks: how often it was asked whether living hosts wait; busy_looks: for how many of these they do."""

    busy_looks: int = 0
    looks: int = 0
    now_s: float = 0.0
    noted: list[list[str]] = field(default_factory=list)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.failures = SharedFailures(self.fail, self.is_busy, self.begin, lambda: self.now_s)

    async def fail(self, some: Sequence[Shared]) -> None:
        self.noted.append([waiting.id for waiting, _ in some])
        await asyncio.sleep(0)

    def is_busy(self) -> bool:
        self.looks += 1
        return self.looks <= self.busy_looks

    def begin(self, work) -> asyncio.Task[None]:  # type: ignore[no-untyped-def]
        self.tasks.append(asyncio.get_running_loop().create_task(work))
        return self.tasks[-1]

    async def ended(self) -> None:
        for task in self.tasks:
            await task


def waiting(name: str) -> Waiting:
    return Waiting(None, QueueId(name), "dead.test", (0,), (0, "ann"))  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_failures, "LOOK_S", 0.0)


async def test_t_q_16_however_many_next_hops_are_down_one_task_looks_and_notes_for_all_of_them() -> None:
    world = World(busy_looks=10)
    for number in range(3 * TOGETHER):
        world.failures.add([waiting(f"m{number}")], FATE)
    await world.ended()
    assert len(world.tasks) == 1 and world.looks == 10 + 3
    assert world.noted == [[f"m{n}" for n in range(start, start + TOGETHER)] for start in range(0, 3 * TOGETHER, TOGETHER)]


async def test_while_living_hosts_always_wait_it_is_noted_when_its_time_has_come() -> None:
    world = World(busy_looks=1_000_000)
    world.failures.add([waiting("first")], FATE)
    world.now_s = LATEST_S - 1
    for _ in range(5):
        await asyncio.sleep(0)
    assert world.looks and not world.noted
    world.failures.add([waiting("with it")] * TOGETHER, FATE)
    world.now_s = LATEST_S
    for _ in range(5):
        await asyncio.sleep(0)
    assert world.noted == [["first"] + ["with it"] * (TOGETHER - 1)]
    world.busy_looks = 0
    await world.ended()
    assert world.noted[1:] == [["with it"]]


async def test_after_all_is_noted_the_next_failure_is_noted_too() -> None:
    world = World()
    for name in ("first", "second"):
        world.failures.add([waiting(name)], FATE)
        await world.ended()
    world.failures.add([], FATE)
    assert world.noted == [["first"], ["second"]] and len(world.tasks) == 2
