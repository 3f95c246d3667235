"""The quarantine with all that a release needs, for commands beside a running server."""

import contextlib
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

from mailward.api.learning import MessageClassified
from mailward.app.accounts import store_of
from mailward.app.config import Config
from mailward.app.learning import Learning
from mailward.decisions import DecisionStore
from mailward.delivery.digest import DigestWriter
from mailward.delivery.release import Release, Released
from mailward.directory import Directory
from mailward.disk import Disk
from mailward.model.errors import ConfigError
from mailward.quarantine import Held, Quarantine
from mailward.queue.spool import Spool
from mailward.services.clock import SystemClock
from mailward.store.changes import Hints


@contextmanager
def opened_quarantine(config: Config) -> Iterator[Quarantine]:
    """To look into it."""
    quarantine = Quarantine(config.data / "quarantine", Disk())
    try:
        yield quarantine
    finally:
        quarantine.close()


def digest_writer(config: Config) -> DigestWriter:
    return DigestWriter(config.hostname, config.quarantine.kept_s, config.quarantine.users_release)


@asynccontextmanager
async def opened_release(config: Config, quarantine: Quarantine) -> AsyncIterator[Release]:
    """To let messages go. What goes to the queue is left to the queue process when the block ends."""
    disk = Disk()
    async with contextlib.AsyncExitStack() as stack:
        hints = Hints(config.data / "hints")
        stack.callback(hints.close)
        directory = Directory(config.directory_file)
        stack.callback(directory.close)
        store = store_of(config, directory, hints)
        stack.callback(store.close)
        decisions = DecisionStore(config.decisions_file)
        stack.callback(decisions.close)
        spool = Spool(config.data / "spool", disk, owner=f"admin{os.getpid()}")
        stack.push_async_callback(spool.close)
        yield Release(quarantine, store, spool, directory, decisions, SystemClock())


@dataclass(slots=True)
class Teacher:
    """Tells the plugins that learn of what was released. problem: why it could not, "" while it can."""

    config: Config
    problem: str = ""
    _learning: Learning | None = None

    async def released(self, held: Held, released: Released) -> None:
        """What a person lets through is ham, malware aside. Whatever goes wrong, the release stands."""
        if held.infected or self.problem:
            return
        try:
            self._learning = self._learning or Learning(self.config)
        except ConfigError as error:
            self.problem = str(error)
            return
        if not await self._learning.classified(MessageClassified(released.account, released.octets, "ham", "release")):
            self.problem = "a plugin failed to learn it"

    async def close(self) -> None:
        if self._learning is not None:
            await self._learning.close()
