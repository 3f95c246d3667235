"""How long does the queue process need to take over a long queue, and how much memory for each message?

Each message has one recipient elsewhere, one failed attempt in the journal and 2 kB of octets. A process of its own takes over what
another left, as after a crash: to the first messages it can serve, and to the last. Memory is what the process grew by.
"""

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from mailward.disk import Disk
from mailward.model.ids import new_queue_id
from mailward.queue.agenda import Agenda
from mailward.queue.item import QueuedRecipient
from mailward.queue.spool import Spool
from mailward.services.clock import SystemClock
from support.spooling import flush, item_for

OCTETS = b"Subject: a message of usual size\r\n\r\n" + b"a line of a message of usual size, with its end\r\n" * 40
DOMAINS = 10_000
TOGETHER = 500


async def _leave(folder: Path, count: int) -> None:
    """What a queue process that was killed leaves."""
    spool = Spool(folder, Disk(), owner="before")

    async def receive(number: int) -> None:
        to = QueuedRecipient(f"user{number}@d{number % DOMAINS}.example.org", "relay")
        item = item_for(OCTETS, [to], queue_id=new_queue_id())
        incoming = spool.begin(item.id, kept=True)
        incoming.write(OCTETS)
        await incoming.commit(item)
        spool.begin_attempts([(item.id, 0)])
        spool.failed_attempt(item.id, 0, "451 4.7.1 mx.example.org: try again later", datetime(2030, 1, 1, tzinfo=UTC))

    for start in range(0, count, TOGETHER):
        await asyncio.gather(*(receive(number) for number in range(start, min(count, start + TOGETHER))))
    flush(spool)
    await spool.close()


def _resident_octets() -> int:
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:")) * 1024


def take_over(folder: Path) -> None:
    """In a process of its own: prints what was measured."""
    before = _resident_octets()
    started, processor_s = time.monotonic(), time.process_time()
    spool = Spool(folder, Disk(), owner="queue")
    agenda = Agenda(spool, SystemClock())
    is_more = agenda.adopt()
    first_s = time.monotonic() - started
    while is_more:
        is_more = agenda.adopt()
    whole_s = time.monotonic() - started
    count = len(spool.ids())
    processor_s = time.process_time() - processor_s
    print(json.dumps([count, first_s, whole_s, processor_s, (_resident_octets() - before) / count]))


def run(rounds: int, count: int) -> None:
    """Print a line for each round."""
    with tempfile.TemporaryDirectory(prefix="mailward-bench-") as folder:
        spool = Path(folder) / "spool"
        asyncio.run(_leave(spool, count))
        octets = sum(path.stat().st_size for path in spool.iterdir())
        print(f"{count:,} messages, {octets / 1e6:,.0f} MB in {len(list(spool.iterdir()))} segments")
        for _ in range(rounds):
            command = [sys.executable, __file__, str(spool)]
            output = subprocess.run(command, env={"PYTHONPATH": ":".join(sys.path)}, capture_output=True, text=True, check=True)
            found, first_s, whole_s, processor_s, octets_each = json.loads(output.stdout.splitlines()[-1])
            assert found == count, f"{found} of {count} messages taken over"
            print(
                f"  serving after {first_s:.2f} s, all taken over after {whole_s:.2f} s, {processor_s:.2f} s of them on a processor;"
                f" {octets_each:,.0f} octets of memory each"
            )


if __name__ == "__main__":
    take_over(Path(sys.argv[1]))
