"""A retro-action whose process is killed outright, at each of its steps, and then settled (T-Q-10)."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mailward.model.ids import AccountId, QueueId
from support.retros import ANN, RetroPlace

ROOT = Path(__file__).parents[2]

TAKE = """
import asyncio, os, signal, sys
from pathlib import Path
from mailward.disk import Disk
from mailward.model.ids import AccountId, QueueId
from support.retros import RetroPlace

countdown = int(sys.argv[2])

def counted(function):
    def call(*given, **named):
        global countdown
        countdown -= 1
        if countdown == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*given, **named)
    return call

for name in ("write", "sync", "sync_folder", "rename", "unlink"):
    setattr(Disk, name, counted(getattr(Disk, name)))

async def main():
    place, account = RetroPlace(Path(sys.argv[1])), AccountId(sys.argv[3])
    parts = {
        "log": ("begin_item", "end_item"), "quarantine": ("add", "find"), "decisions": ("get", "add_event"),
    }
    for part, names in parts.items():
        for name in names:
            setattr(getattr(place, part), name, counted(getattr(getattr(place, part), name)))
    store = place.store.open(account)
    store.apply = counted(store.apply)
    await place.actions.act(place.begin(), place.target(place.decisions.get(QueueId("q1")), account))
    await place.close()

asyncio.run(main())
"""


def attempt(folder: Path, steps: int, account: AccountId) -> int:
    path = os.pathsep.join(str(ROOT / name) for name in ("core", "plugins", "tests"))
    child = subprocess.run(
        [sys.executable, "-c", TAKE, str(folder), str(steps), account],
        env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert child.returncode in (0, -signal.SIGKILL), child.stderr
    return child.returncode


@pytest.mark.timeout(600)
async def test_t_q_10_killed_at_any_step_the_copy_is_in_its_mailbox_or_in_quarantine_and_never_in_both_for_long(
    tmp_path: Path,
) -> None:
    for step in range(1, 60):
        folder = tmp_path / str(step)
        folder.mkdir()
        before = RetroPlace(folder)
        ann = before.account(ANN)
        record = before.deliver(ann, id=QueueId("q1"))
        await before.close()
        killed = attempt(folder, step, ann)
        between = RetroPlace(folder)
        assert len(between.quarantine.list()) + len(between.mail(ann)) >= 1, f"step {step}"
        await between.actions.settle()
        kept, delivered = len(between.quarantine.list()), len(between.mail(ann))
        assert kept + delivered == 1, f"step {step}"
        events = between.story(record.id)
        assert events == ["taken into quarantine by retro-action R1"] * kept, f"step {step}"
        await between.close()
        if killed == 0:
            break
    assert kept == 1 and step > 8, "it was killed at every step before this one"
