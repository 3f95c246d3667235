"""A release from the quarantine whose process is killed outright, at each of its steps, and then repeated (T-Q-10)."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from support.releasing import Place

ROOT = Path(__file__).parents[2]

RELEASE = """
import asyncio, os, signal, sys
from pathlib import Path
from mailward.disk import Disk
from support.releasing import Place

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
    place = Place(Path(sys.argv[1]))
    for part, names in (("quarantine", ("begin_release", "end", "_select")), ("decisions", ("get", "add_event"))):
        for name in names:
            setattr(getattr(place, part), name, counted(getattr(getattr(place, part), name)))
    (held,) = place.quarantine.list()
    await place.release.release(held)
    await place.close()

asyncio.run(main())
"""


def attempt(folder: Path, steps: int) -> int:
    path = os.pathsep.join(str(ROOT / name) for name in ("core", "plugins", "tests"))
    child = subprocess.run(
        [sys.executable, "-c", RELEASE, str(folder), str(steps)],
        env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert child.returncode in (0, -signal.SIGKILL), child.stderr
    return child.returncode


async def test_t_q_10_killed_at_any_step_the_mail_is_in_quarantine_or_delivered_once(tmp_path: Path) -> None:
    for step in range(1, 60):
        folder = tmp_path / str(step)
        folder.mkdir()
        before = Place(folder)
        ann = before.account("ann@example.org")
        held = before.hold()
        await before.close()
        killed = attempt(folder, step)
        between = Place(folder)
        kept, delivered = len(between.quarantine.list()), len(between.inbox(ann))
        assert kept + delivered >= 1 and delivered <= 1, f"step {step}"
        if kept:
            await between.release.release(held)
        assert len(between.inbox(ann)) == 1, f"step {step}"
        assert between.quarantine.list() == ()
        await between.close()
        if killed == 0:
            break
    assert step > 8, "it was killed at every step before this one"
