"""Hints reach every process that listens, and never block or fail the one that sends."""

import asyncio
import subprocess
import sys
from pathlib import Path

from mailward.model.ids import AccountId
from mailward.store.changes import Hints

SENDER = "import sys, pathlib; from mailward.store.changes import Hints; Hints(pathlib.Path(sys.argv[1])).publish(sys.argv[2])"


async def test_a_hint_of_another_process_arrives(tmp_path: Path) -> None:
    seen: asyncio.Queue[AccountId] = asyncio.Queue()
    hints = Hints(tmp_path)
    hints.listen(seen.put_nowait)
    await asyncio.to_thread(subprocess.run, [sys.executable, "-c", SENDER, str(tmp_path), "a1"], check=True)
    assert await asyncio.wait_for(seen.get(), 10) == "a1"
    hints.publish(AccountId("a2"))
    assert await asyncio.wait_for(seen.get(), 10) == "a2"
    hints.close()


async def test_the_socket_of_a_dead_process_is_cleaned_up(tmp_path: Path) -> None:
    script = f"import asyncio, os, pathlib\nfrom mailward.store.changes import Hints\nasync def f():\n Hints(pathlib.Path({str(tmp_path)!r})).listen(print)\n os._exit(0)\nasyncio.run(f())"
    await asyncio.to_thread(subprocess.run, [sys.executable, "-c", script], check=True)
    assert len(list(tmp_path.iterdir())) == 1
    Hints(tmp_path).publish(AccountId("a1"))
    assert list(tmp_path.iterdir()) == []


async def test_a_full_buffer_never_blocks_the_sender(tmp_path: Path) -> None:
    seen: list[AccountId] = []
    hints = Hints(tmp_path)
    hints.listen(seen.append)
    for number in range(5000):
        hints.publish(AccountId(f"a{number}"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert seen
    hints.close()
