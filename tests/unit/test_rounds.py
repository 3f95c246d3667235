"""What is done again and again goes on when a round fails, and ends when it is to."""

import asyncio
from collections.abc import Sequence

import pytest
from structlog.testing import capture_logs

from mailward.model.errors import StorageError
from mailward.rounds import Rounds


async def through(outcomes: Sequence[object], *, every_s: float = 0.0) -> list[int]:
    """The rounds that were made while these came of them, one each, and then nothing more; a last one is cancelled."""
    made: list[int] = []
    last = asyncio.Event()

    async def job() -> object:
        made.append(len(made))
        if len(made) > len(outcomes):
            last.set()
            await asyncio.Event().wait()
        outcome = outcomes[len(made) - 1]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    rounds = Rounds("the job", job, every_s=every_s, first_after_s=0.0)
    rounds.start()
    await asyncio.wait_for(last.wait(), 20)
    await rounds.stop()
    await rounds.stop()
    return made


async def test_a_round_that_fails_is_told_and_the_next_one_comes() -> None:
    with capture_logs() as lines:
        assert await through([None, StorageError("disk"), ValueError("of ours"), 7]) == [0, 1, 2, 3, 4]
    told = [(line["event"], line["of"], line["log_level"]) for line in lines]
    assert told == [("round failed", "the job", "error")] * 2
    assert lines[0]["problem"] == "disk" and lines[1]["exc_info"]


async def test_one_that_has_more_to_do_goes_on_at_once() -> None:
    assert await through([True, True], every_s=3600.0) == [0, 1, 2]


async def test_the_first_waits_and_what_never_began_can_be_stopped() -> None:
    async def never() -> None:
        pytest.fail("it was too early")

    rounds = Rounds("the job", never, every_s=3600.0, first_after_s=3600.0)
    await rounds.stop()
    rounds.start()
    await asyncio.sleep(0)
    await rounds.stop()
