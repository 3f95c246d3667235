"""What several ask for at the same time is done in one go, and nobody hears another's answer."""

import asyncio
import threading
from collections.abc import Sequence

import pytest

from mailward.delivery.together import MOST, Together


async def test_what_is_asked_while_one_batch_is_done_goes_with_the_next() -> None:
    begun, may_go_on = threading.Event(), threading.Event()
    batches: list[Sequence[int]] = []

    def double(some: Sequence[int]) -> list[int]:
        batches.append(some)
        begun.set()
        assert may_go_on.wait(30)
        return [one * 2 for one in some]

    together = Together(double)
    first = asyncio.create_task(together.ask(0))
    await asyncio.to_thread(begun.wait, 30)
    others = [asyncio.create_task(together.ask(number)) for number in range(1, MOST + 3)]
    await asyncio.sleep(0)
    may_go_on.set()
    assert await first == 0 and await asyncio.gather(*others) == [number * 2 for number in range(1, MOST + 3)]
    assert [len(batch) for batch in batches] == [1, MOST, 2]


async def test_a_failure_is_heard_by_all_who_asked_and_by_nobody_later() -> None:
    def refuse(some: Sequence[str]) -> Sequence[str]:
        if "bad" in some:
            raise OSError("disk")
        return some

    together = Together(refuse)
    heard = await asyncio.gather(together.ask("bad"), together.ask("good"), return_exceptions=True)
    assert [str(error) for error in heard] == ["disk", "disk"]
    assert await together.ask("good") == "good"


async def test_who_does_not_wait_any_more_takes_nobody_along() -> None:
    may_go_on = threading.Event()

    def same(some: Sequence[int]) -> Sequence[int]:
        assert may_go_on.wait(30)
        return some

    together = Together(same)
    impatient, patient = asyncio.create_task(together.ask(1)), asyncio.create_task(together.ask(2))
    await asyncio.sleep(0)
    impatient.cancel()
    may_go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await impatient
    assert await patient == 2
