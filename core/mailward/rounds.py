"""The one way to do something again and again beside all else: it begins, goes on when a round fails, and ends."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import structlog

from mailward.model.errors import StorageError

_log = structlog.get_logger("mailward.worker")


class Rounds:
    """One job, on the loop it is started on. what: for the log, when a round has failed: "deleting old records".

    job: a round; it returns True where the next is to follow at once. every_s: between two others. first_after_s: from the start
    on to the first.
    """

    def __init__(self, what: str, job: Callable[[], Awaitable[object]], *, every_s: float, first_after_s: float) -> None:
        self._what = what
        self._job = job
        self._every_s = every_s
        self._first_after_s = first_after_s
        self._running: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._running = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """No further round; one under way is cancelled."""
        if self._running is not None:
            self._running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._running

    async def _run(self) -> None:
        await asyncio.sleep(self._first_after_s)
        while True:
            goes_on: object = False
            try:
                goes_on = await self._job()
            except StorageError as error:
                _log.error("round failed", of=self._what, problem=str(error))
            except Exception:  # noqa: BLE001  whatever a round met, the next one comes
                _log.exception("round failed", of=self._what)
            await asyncio.sleep(0 if goes_on is True else self._every_s)
