"""How long are records kept? The oldest are deleted, a few at a time, so that no message waits for it."""

import asyncio
import contextlib
from datetime import timedelta

import structlog

from mailward.api.services import Clock
from mailward.decisions.store import DecisionStore
from mailward.model.errors import StorageError

EVERY_S = 600.0
AT_ONCE = 200
PAUSE_S = 0.1

_log = structlog.get_logger()


class Retention:
    """Deletes what is older than it is to be kept. Of all processes one does this."""

    def __init__(self, store: DecisionStore, clock: Clock, keep_s: float) -> None:
        self._store = store
        self._clock = clock
        self._keep_s = keep_s
        self._running: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._running = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        if self._running is not None:
            self._running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._running

    async def forget_due(self) -> int:
        """Delete all that is due; how many records. Raises StorageError."""
        before = self._clock.now() - timedelta(seconds=self._keep_s)
        total = 0
        while count := await asyncio.to_thread(self._store.forget, before, AT_ONCE):
            total += count
            await asyncio.sleep(PAUSE_S)
        return total

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(EVERY_S)
            try:
                await self.forget_due()
            except StorageError as error:
                _log.error("old records not deleted", problem=str(error))
            except Exception:  # noqa: BLE001  a fault of ours must not fill the disk for good
                _log.exception("old records not deleted")
