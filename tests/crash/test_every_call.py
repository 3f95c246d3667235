"""A worker and a queue process stopped, torn or failed at every file call from commit to mailbox, SQLite's own included.

The calls of a life without faults are its named crash points: a call and the kind of file it is on. The short form meets each of
these, and every so many of all calls; `make crash` meets all of them, with every error.
"""

import errno
import os
from collections.abc import Iterator

import pytest

from support.faults import Action, Fault
from support.lives import RECIPIENTS, Lives
from support.server import server

IS_LONG = "CRASH_KILLS" in os.environ
ERRORS = (errno.EIO, errno.ENOSPC, errno.EMFILE, errno.EROFS)
SHORT_STEP = 24


@pytest.fixture(scope="module")
def lives(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lives]:
    with server(start=False) as made:
        made.add_account("second@example.test")
        running = Lives(made.folder, tmp_path_factory.mktemp("lives"))
        try:
            yield running
        finally:
            running.close()


def calls(lives: Lives, name: str = "") -> list[int]:
    """Which calls to meet: all whose name holds this word, or the first of each name and every so many of all."""
    some = [number for number, called in enumerate(lives.names, 1) if name in called]
    if IS_LONG:
        return [*some, len(lives.names) + 5]
    first = {lives.names[number - 1]: number for number in reversed(some)}
    return sorted({*first.values(), *some[::SHORT_STEP], len(lives.names) + 5})


@pytest.mark.timeout(36_000)
def test_t_q_01_killed_at_every_file_call_nothing_acknowledged_is_lost_or_doubled(lives: Lives) -> None:
    assert len(set(lives.names)) > 80
    acknowledged = [lives.run(Fault(Action.KILL, at)).acknowledged for at in calls(lives)]
    assert acknowledged[0] == 0 and acknowledged[-1] == RECIPIENTS and len(set(acknowledged)) > 3


@pytest.mark.timeout(36_000)
def test_t_q_03_killed_in_the_middle_of_every_write_nothing_acknowledged_is_lost_or_doubled(lives: Lives) -> None:
    for at in calls(lives, "write"):
        lives.run(Fault(Action.TEAR, at))


@pytest.mark.timeout(36_000)
@pytest.mark.parametrize("for_good", [False, True], ids=["once", "for good"])
def test_t_q_04_05_06_failing_at_every_file_call_nothing_acknowledged_is_lost_or_doubled(lives: Lives, for_good: bool) -> None:
    for at in calls(lives):
        for error in ERRORS if IS_LONG else (ERRORS[at % len(ERRORS)],):
            lives.run(Fault(Action.FAIL, at, error, for_good))


@pytest.mark.timeout(36_000)
def test_t_q_05_a_write_cut_short_at_any_call_costs_nothing(lives: Lives) -> None:
    for at in calls(lives, "write"):
        assert lives.run(Fault(Action.SHORT, at)).acknowledged == RECIPIENTS
