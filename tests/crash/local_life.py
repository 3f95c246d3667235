"""A program for the crash tests, with faults.so preloaded: from commit to mailbox and quarantine, in real files and databases.

It reads orders as lines of JSON and carries out each in a fork of itself, so that a fault costs no start of Python:
live FOLDER FAULT JOURNAL: take mail as a worker does, deliver some of it, hand over the rest, take over and deliver that; with a fault.
mend FOLDER null JOURNAL: a queue process without faults delivers what is left, and writes what is at each end to FOLDER/ends.
With a journal, power.so writes down what changes in the data folder. It answers with a line of JSON: the exit code, negative for a signal.
"""

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from mailward.app.build.common import Delivering
from mailward.app.config import Config
from mailward.app.config_file import load_config
from mailward.delivery.passes import Passes
from mailward.directory import Directory
from mailward.formats.address import parse_mailbox
from mailward.model.errors import StorageError
from mailward.queue.item import QueuedRecipient
from support import power
from support.faults import Fault, arm
from support.logs import log_plainly
from support.oracle import ClientLog, token_of
from support.spooling import flush, item_for

HELD = "held@example.test"
LARGE_LINES = 6000
REFUSED = 3
"""Exit code of a life whose worker could not begin: the supervisor starts another, and nothing is lost meanwhile."""


class CannotStart(Exception):
    """A worker could not begin."""


def start(config: Config, owner: str, directory: Directory) -> Delivering:
    try:
        return Delivering(config, owner, directory)
    except (StorageError, OSError) as error:
        raise CannotStart(owner) from error


def addresses(config: Config) -> dict[str, str]:
    """Account by address."""
    directory = Directory(config.directory_file)
    try:
        return {
            f"{one}@example.test": directory.resolve(parse_mailbox(f"{one}@example.test")) or "" for one in ("demo", "second")
        }
    finally:
        directory.close()


async def take(delivering: Delivering, log: ClientLog, accounts: dict[str, str], token: str, lines: int) -> None:
    octets = log.sending(token, lines, [*accounts, HELD])
    recipients = [QueuedRecipient(address, "mailbox", account=account) for address, account in accounts.items()]
    item = item_for(octets, [*recipients, QueuedRecipient(HELD, "quarantine", reason="a test")])
    item = replace(item, decision=replace(item.decision, message_id=token))
    incoming = delivering.spool.begin(item.id)
    try:
        incoming.write(octets[:100_000])
        incoming.write(octets[100_000:])
        assert bytes(incoming.octets) == octets
        await incoming.commit(item)
    except (StorageError, OSError):  # 451 in the server
        incoming.abort()
        return
    log.acknowledged(token)
    if not token.endswith("left"):
        delivering.manager.offer(item)


async def live(config: Config, log: ClientLog, accounts: dict[str, str]) -> None:
    try:
        directory = Directory(config.directory_file)
    except StorageError as error:
        raise CannotStart("smtp") from error
    worker = start(config, "smtp", directory)
    await asyncio.gather(*(take(worker, log, accounts, f"token-{n}", 10 + n) for n in range(3)))
    await take(worker, log, accounts, "token-large", LARGE_LINES)
    await take(worker, log, accounts, "token-4-left", 20)
    await take(worker, log, accounts, "token-large-left", LARGE_LINES)
    await asyncio.to_thread(worker.manager.wait_idle)
    await worker.stop()
    await serve(start(config, "queue", directory), passes=2)
    directory.close()


async def serve(queue: Delivering, passes: int) -> None:
    """As the queue process does."""
    rhythm = Passes(queue.agenda, (queue.manager,))
    for _ in range(passes):
        await rhythm.run_once()
        await asyncio.to_thread(queue.manager.wait_idle)
        with contextlib.suppress(StorageError):
            await asyncio.to_thread(flush, queue.spool)
    await queue.stop()


async def mend(config: Config, accounts: dict[str, str], tokens: Iterable[str], ends: Path) -> None:
    directory = Directory(config.directory_file)
    queue = Delivering(config, "mender", directory)
    for _ in range(3):
        queue.agenda.adopt()
        for queue_id in queue.spool.ids():  # what failed is due later; nobody waits for that here
            indexes = queue.spool.open_recipients(queue_id)
            for recipient in queue.spool.retry_now([(queue_id, index) for index in indexes]):
                queue.agenda.plan(*recipient)
        await Passes(queue.agenda, (queue.manager,)).run_once()
        await asyncio.to_thread(queue.manager.wait_idle)
        await asyncio.to_thread(flush, queue.spool)
    found = []
    for address, account in accounts.items():
        store = queue.store.open(account)  # type: ignore[arg-type]
        for message in store.view(store.mailbox("INBOX").id).messages:
            found.append(("mailbox", address, store.read(message)))
    found += [("quarantine", held.recipient, queue.quarantine.read(held.delivery_key)) for held in queue.quarantine.list()]
    open_recipients = [str(queue_id) for queue_id in queue.spool.ids()]
    lines = [json.dumps([end, to, token_of(octets), octets.decode("latin-1")]) for end, to, octets in found]
    explained = [token for token in tokens if queue.decisions.find(message_id=token)]
    ends.write_text("\n".join([json.dumps({"open": open_recipients, "explained": explained}), *lines]))
    await queue.stop()
    directory.close()


def in_child(folder: Path, what: str, fault: dict[str, object] | None, journal: Path | None) -> int:
    output = os.open(folder / "output", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    config = load_config(folder / "mail/mailward.yaml")
    accounts = addresses(config)
    log = ClientLog(folder / "log", journal)
    if journal is not None:
        power.record(config.data, journal)
    if what == "mend":
        asyncio.run(mend(config, accounts, log.read()[0], folder / "ends"))
        return 0
    assert fault is not None
    arm(config.data, Fault(**fault), trace=folder / "trace")  # type: ignore[arg-type]
    try:
        asyncio.run(live(config, log, accounts))
    except CannotStart:
        return REFUSED
    return 0


def main() -> None:
    log_plainly()
    for line in sys.stdin:
        what, folder, fault, journal = json.loads(line)
        child = os.fork()
        if child == 0:
            code = 70
            try:
                code = in_child(Path(folder), what, fault, journal and Path(journal))
            except BaseException:
                import traceback

                traceback.print_exc()
            finally:
                os._exit(code)
        _, status = os.waitpid(child, 0)
        print(json.dumps(os.waitstatus_to_exitcode(status)), flush=True)


if __name__ == "__main__":
    main()
