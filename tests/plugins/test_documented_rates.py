"""The page on hooks shows how a plugin allows something so many times in a period; it does what the page says."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

from mailward import api
from mailward.testing import FakeServices
from support.reader import blocks


def shown() -> Callable[[api.Services, str, int, int], Awaitable[bool]]:
    (code,) = blocks("explanation/hooks.md", "python")
    names: dict[str, object] = {"Services": api.Services}
    exec(code, names)
    return names["may"]  # type: ignore[return-value]


async def test_so_many_times_in_a_period_and_then_again_in_the_next() -> None:
    may, world = shown(), FakeServices()
    services = world.of("own")
    assert [await may(services, "192.0.2.1", 2, 3600) for _ in range(4)] == [True, True, False, False]
    assert await may(services, "192.0.2.2", 2, 3600)
    world.clock.advance(timedelta(minutes=59))
    assert not await may(services, "192.0.2.1", 2, 3600)
    world.clock.advance(timedelta(minutes=1))
    assert await may(services, "192.0.2.1", 2, 3600)


async def test_what_is_over_is_forgotten() -> None:
    may, world = shown(), FakeServices()
    for _ in range(48):
        await may(world.of("own"), "192.0.2.1", 2, 3600)
        world.clock.advance(timedelta(hours=1))
    assert len(world.kv["own"].counts) == 0
