"""Mail relayed to smtp-sink on loopback beside Postfix, and what dead destinations cost the living ones.

"one host": a queue of 20 kB messages for one domain, which begins to move all at once. Postfix's is filled while its queue manager is
stopped, ours before the server starts. Time and processor time count from the first message that arrives to the last; ours is
that of the queue process, Postfix's that of all its processes.
"destinations": each on an address of its own; a tenth of them dead, half of those refusing connections and half never answering.
The time is that until the last of the living has its mail, and the ratio that to the same without the dead ones.
"""

import asyncio
import contextlib
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from load import DISCARD_DOMAIN, smtp_source
from measure import Report, Spread
from processes import TICKS, cpu_s, tree, wait_until_idle
from sides import POLICY, postfix_for_relaying

from mailward.app.config_file import load_config
from mailward.decisions import DecisionStore
from mailward.disk import Disk
from mailward.model.decision import DecisionRecord, utc_text
from mailward.model.ids import new_queue_id
from mailward.queue.item import QueuedRecipient, QueueItem
from mailward.queue.spool import Spool
from mailward.services.clock import SystemClock
from support.processes import RunningProgram, free_port, greets, program
from support.server import COMMAND, Server, server
from support.silence import black_hole

OCTETS = 20_480
COUNT = 3_000
CONNECTIONS = 20
"""To one host at once, as Postfix comes."""
LIMIT_S = 900.0
POLL_S = 0.01
TOGETHER = 200


@dataclass(frozen=True, slots=True)
class Scale:
    """Of the cell "destinations"."""

    messages: int
    destinations: int


USUAL, FULL = Scale(5_000, 500), Scale(100_000, 10_000)


class Sink:
    """smtp-sink on all loopback addresses."""

    def __init__(self, port: int, log: Path) -> None:
        self.port = port
        self._log = log

    def count(self) -> int:
        """How many messages it has taken."""
        with self._log.open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - 200))
            found = log.read().rpartition(b"mesg=")[2].partition(b"\r")
        return int(found[0]) if found[1] else 0

    def wait_for(self, count: int) -> float:
        """Until it has so many; when that was seen."""
        deadline = time.perf_counter() + LIMIT_S
        while self.count() < count:
            if time.perf_counter() > deadline:
                raise SystemExit(f"smtp-sink has {self.count()} of {count} messages after {LIMIT_S:.0f} s")
            time.sleep(POLL_S)
        return time.perf_counter()


@contextlib.contextmanager
def sink() -> Iterator[Sink]:
    port = free_port()
    folder = Path(tempfile.mkdtemp(prefix="mailward-sink-"))
    as_user = ["-u", "nobody"] if os.geteuid() == 0 else []
    running = RunningProgram([program("smtp-sink", "postfix"), *as_user, "-c", f":{port}", "1024"], folder / "log")
    try:
        running.wait_until(lambda: greets(port))
        yield Sink(port, folder / "log")
    finally:
        running.stop()
        shutil.rmtree(folder, ignore_errors=True)


def run(rounds: int, report: Report, scale: Scale = USUAL) -> None:
    _one_host(rounds, report)
    _destinations(rounds, report, scale)


# One host


def _one_host(rounds: int, report: Report) -> None:
    rates: dict[str, list[float]] = {"mailward": [], "postfix": []}
    used: dict[str, list[float]] = {"mailward": [], "postfix": []}
    for number in range(rounds):
        sides = [("mailward", _mailward), ("postfix", _postfix)]
        for name, measured in sides if number % 2 == 0 else reversed(sides):
            seconds, processor_s = measured()
            rates[name].append(COUNT / seconds)
            used[name].append(processor_s / COUNT * 1e6)
    rows = {name: {"relayed/s": Spread(tuple(rates[name])), "CPU us each": Spread(tuple(used[name]))} for name in rates}
    ratios = {
        "mailward to it": Spread(tuple(a / b for a, b in zip(rates["mailward"], rates["postfix"], strict=True))),
        "its CPU": Spread(tuple(a / b for a, b in zip(used["mailward"], used["postfix"], strict=True))),
    }
    report.table(
        f"one host: {COUNT} of {OCTETS >> 10} kB",
        {"mailward": rows["mailward"], "postfix": rows["postfix"] | ratios},
        {"relayed/s": 0, "CPU us each": 0, "mailward to it": 2, "its CPU": 2},
    )


def _postfix() -> tuple[float, float]:
    with sink() as taking, postfix_for_relaying(taking.port) as (port, master):
        (manager,) = [pid for pid in tree([master]) if b"qmgr" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0]]
        os.kill(manager, signal.SIGSTOP)
        smtp_source(port, f"to@{DISCARD_DOMAIN}", OCTETS, 20, COUNT)
        wait_until_idle([master])
        os.kill(manager, signal.SIGCONT)
        begun = taking.wait_for(1)
        before_s = cpu_s([master])
        ended = taking.wait_for(COUNT)
        wait_until_idle([master])
        return ended - begun, cpu_s([master]) - before_s


def _mailward() -> tuple[float, float]:
    with sink() as taking, filled([DISCARD_DOMAIN], {DISCARD_DOMAIN: f"[127.0.0.1]:{taking.port}"}, COUNT, OCTETS) as made:
        seen = taking.count()
        made.start()
        begun = taking.wait_for(seen + 1)
        (process,) = made.worker_pids("queue")[-1:]
        before_s = _own_cpu_s(process)
        ended = taking.wait_for(seen + COUNT)
        wait_until_idle([process])
        return ended - begun, _own_cpu_s(process) - before_s


def _own_cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


# Many destinations


def _destinations(rounds: int, report: Report, scale: Scale) -> None:
    times: dict[bool, list[float]] = {False: [], True: []}
    for number in range(rounds):
        for with_dead in (False, True) if number % 2 == 0 else (True, False):
            times[with_dead].append(_until_the_living_have_theirs(scale, with_dead=with_dead))
    ratios = tuple(dead / living for dead, living in zip(times[True], times[False], strict=True))
    report.table(
        f"{scale.messages} to {scale.destinations} destinations",
        {
            "without the dead": {"seconds": Spread(tuple(times[False]))},
            "with them": {"seconds": Spread(tuple(times[True])), "to without": Spread(ratios)},
        },
        {"seconds": 1, "to without": 2},
    )


def _until_the_living_have_theirs(scale: Scale, *, with_dead: bool) -> float:
    """Every tenth destination is dead, or not there at all."""
    with sink() as taking, black_hole("0.0.0.0") as (_, silent_port):
        closed_port = free_port()
        routes = {}
        for number in range(scale.destinations):
            port = taking.port if number % 10 else (silent_port if number % 20 else closed_port)
            if port == taking.port or with_dead:
                routes[f"d{number}.example.test"] = (
                    f"[127.{1 + number // 60_000}.{number // 250 % 240}.{1 + number % 250}]:{port}"
                )
        per_destination = scale.messages // scale.destinations
        living = sum(1 for number in range(scale.destinations) if number % 10) * per_destination
        with filled(list(routes), routes, per_destination * len(routes), 2048) as made:
            seen = taking.count()
            made.start()
            begun = taking.wait_for(seen + 1)
            return taking.wait_for(seen + living) - begun


# A queue that is full before the server starts


@contextlib.contextmanager
def filled(domains: Sequence[str], routes: dict[str, str], count: int, octets: int, command: str = COMMAND) -> Iterator[Server]:
    """A server that is not started, with so many messages in its spool, to the domains by turns. routes: domain -> [address]:port."""
    with server(policy=POLICY, start=False, command=command) as made:
        first = domains[1 % len(domains)]
        listed = "".join(f'  {domain}: "smtp:{host}"\n' for domain, host in routes.items())
        outbound = f"outbound: {{connections_per_domain: {CONNECTIONS}}}"
        made.configure("routes: {} ", f"routes:\n{listed}relay_domains: [{first}]\n{outbound}\n")
        made.start()
        made.send(b"Subject: the first\r\n\r\nIts decision record is that of all.\r\n", to=[f"to@{first}"])
        made.until(lambda: b"event=relayed" in made.log_octets())
        made.terminate()
        config = load_config(made.config)
        spool = config.data / "spool"
        decisions = DecisionStore(config.decisions_file)
        record = decisions.last()
        decisions.close()
        assert record is not None
        asyncio.run(_fill(spool, record, domains, count, octets))
        owner = spool.stat()
        for path in spool.iterdir():
            os.chown(path, owner.st_uid, owner.st_gid)
        yield made


async def _fill(folder: Path, record: DecisionRecord, domains: Sequence[str], count: int, octets: int) -> None:
    line = b"a line of a message of usual size, with its end\r\n"
    message = b"Subject: a message of usual size\r\n\r\n" + line * (octets // len(line))
    received_at = utc_text(SystemClock().now())
    trace = "Received: from a by b; Sun, 1 Mar 2026 12:00:00 +0000\r\n"
    spool = Spool(folder, Disk(), owner="bench")

    async def receive(number: int) -> None:
        to = QueuedRecipient(f"user{number}@{domains[number % len(domains)]}", "relay")
        known = replace(record, id=new_queue_id())
        item = QueueItem(known.id, received_at, "from@sender.invalid", len(message), trace, (), (to,), known)
        incoming = spool.begin(item.id, kept=True)
        incoming.write(message)
        await incoming.commit(item)

    for start in range(0, count, TOGETHER):
        await asyncio.gather(*(receive(number) for number in range(start, min(count, start + TOGETHER))))
    await spool.close()
