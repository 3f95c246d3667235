"""A process for the crash tests: `python spool_worker.py commit|deliver FOLDER`; it is meant to be killed.

commit: takes messages for ever and prints the id and size of each after its commit. deliver: one pass of the queue
process over FOLDER/spool into the files of FOLDER/delivered, and the mail of "poison@example.org" kills the process.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from mailward.delivery.manager import DeliveryManager
from mailward.delivery.mda import Copy
from mailward.delivery.passes import Passes
from mailward.disk import Disk
from mailward.queue.agenda import Agenda
from mailward.queue.spool import Spool
from support.spooling import Clock, Ledger, commit


class Folder(Ledger):
    """Keeps what it delivers as files."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        folder.mkdir(exist_ok=True)
        self._folder = folder

    def deliver(self, copies: Sequence[Copy]) -> tuple[str, ...]:
        for copy in copies:
            if copy.recipient.forward_path == "poison@example.org":
                os.kill(os.getpid(), signal.SIGKILL)
            (self._folder / copy.delivery_key).write_bytes(copy.octets)
        return tuple("delivered to INBOX" for _ in copies)


async def take_for_ever(folder: Path) -> None:
    spool = Spool(folder / "spool", Disk(), owner="smtp", segment_octets=200_000)

    async def take(size_octets: int) -> None:
        while True:
            item = await commit(spool, os.urandom(size_octets), 2)
            print(item.id, size_octets, flush=True)

    await asyncio.gather(take(100), take(2000), take(20_000), take(400_000))


def deliver_once(folder: Path) -> None:
    spool = Spool(folder / "spool", Disk(), owner="queue")
    ledger = Folder(folder / "delivered")
    clock = Clock()
    manager = DeliveryManager(spool, ledger, ledger, clock, threads=1)
    agenda = Agenda(spool, clock, clock.monotonic_s)
    asyncio.run(Passes(agenda, (manager,)).run_once())
    manager.wait_idle()
    asyncio.run(manager.stop())
    asyncio.run(spool.close())


if __name__ == "__main__":
    if sys.argv[1] == "commit":
        asyncio.run(take_for_ever(Path(sys.argv[2])))
    else:
        deliver_once(Path(sys.argv[2]))
