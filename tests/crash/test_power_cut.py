"""A power cut behind every change of every file, SQLite's own included: what was acknowledged comes to its end all the same.

A life is run once and written down (power.c); then the medium is made as each cut would leave it, as badly as POSIX allows, and the
next start goes on from there. The short form cuts behind the first change of each kind and every so many of all; `make crash` behind
each, in every way, and also while the next start mends what a killed process left.
"""

import os
import re
from collections.abc import Iterator, Sequence
from typing import get_args

import pytest

from support.faults import Action, Fault
from support.lives import RECIPIENTS, Lives, Recording, kind_of
from support.power import Survival
from support.server import server

IS_LONG = "CRASH_KILLS" in os.environ
SHORT_STEP = 40
KILLS_STEP = 9


@pytest.fixture(scope="module")
def lives(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lives]:
    with server(start=False) as made:
        made.add_account("second@example.test")
        running = Lives(made.folder, tmp_path_factory.mktemp("lives"))
        try:
            yield running
        finally:
            running.close()


def cuts(recording: Recording, how: Survival) -> Sequence[int]:
    """Behind which changes: all, or the first of each kind and every so many of all; and behind the last."""
    numbers = range(len(recording.entries))
    if IS_LONG:
        return numbers
    kinds = [kind_of(f"{recording.entries[number].kind} {recording.entries[number].path}") for number in numbers]
    first = {kind: number for kind, number in zip(reversed(kinds), reversed(numbers), strict=True)}
    return sorted({*(first.values() if how == "synced" else ()), *numbers[::SHORT_STEP], numbers[-1]})


@pytest.mark.timeout(36_000)
@pytest.mark.parametrize("how", get_args(Survival))
def test_t_q_02_03_power_cut_behind_every_change_loses_and_doubles_nothing_acknowledged(lives: Lives, how: Survival) -> None:
    recording = lives.recorded()
    assert any(entry.path.endswith("index.sqlite-wal") and entry.kind == "e" for entry in recording.entries)
    acknowledged = [lives.after_cut(recording, at, how).acknowledged for at in cuts(recording, how)]
    assert acknowledged[0] == 0 and acknowledged[-1] == RECIPIENTS and acknowledged == sorted(acknowledged)


@pytest.mark.timeout(36_000)
def test_t_q_01_02_killed_before_a_sync_and_then_power_cut_loses_and_doubles_nothing_acknowledged(lives: Lives) -> None:
    """What a killed process had written and not synced is there for the next one to see, and is not on the medium."""
    syncs = [number for number, name in enumerate(lives.names, 1) if re.match("f(data)?sync ", name)]
    for kill_at in syncs if IS_LONG else [number for number in syncs if "-wal" in lives.names[number - 1]][::KILLS_STEP]:
        recording = lives.recorded(Fault(Action.KILL, kill_at))
        mending = range(recording.mending_at, len(recording.entries))
        for at in [number for number in mending if recording.entries[number].kind == "e"]:
            if IS_LONG or "/spool/" in recording.entries[at].path:
                lives.after_cut(recording, at, "synced")
