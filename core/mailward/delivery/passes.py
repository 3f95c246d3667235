"""The rhythm of the queue process: take over what has no owner, then let each manager begin what is due."""

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Protocol

import structlog

from mailward.queue.agenda import Agenda

ADOPT_EVERY_S = 0.25

log = structlog.get_logger("mailward.delivery")


class Manager(Protocol):
    """Serves some of the routes."""

    async def run_pass(self, agenda: Agenda) -> None:
        """Begin what is due, without waiting for how it goes."""
        ...


class Passes:
    """Runs on the loop it is started on."""

    def __init__(self, agenda: Agenda, managers: Sequence[Manager]) -> None:
        self._agenda = agenda
        self._managers = managers
        self._running: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin with the first pass at once."""
        self._running = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """No further pass."""
        if self._running is not None:
            self._running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._running

    async def run_once(self) -> bool:
        """One pass. Returns whether there may be more to take over: a long queue is taken over in steps, and served meanwhile."""
        is_more = await asyncio.to_thread(self._agenda.adopt)
        for manager in self._managers:
            await manager.run_pass(self._agenda)
        return is_more

    async def _run(self) -> None:
        while True:
            is_more = False
            try:
                is_more = await self.run_once()
            except Exception:  # whatever one pass met, the mail is in the spool and the next pass comes
                log.exception("pass over the spool failed")
            await asyncio.sleep(0 if is_more else ADOPT_EVERY_S)
