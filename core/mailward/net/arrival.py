"""What one task waits for again and again, each time until some moment: as `asyncio.Event` within `asyncio.timeout_at`.

A client's session waits before each of its commands, and nearly every wait ends long before its time. So one timer serves all
waits: it looks when the first of them would have ended, and goes on to the end of the one that there is by then.
"""

import asyncio


class Arrival:
    """On one event loop."""

    def __init__(self) -> None:
        self._waiter: asyncio.Future[None] | None = None
        self._until = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0

    async def wait(self, until: float) -> None:
        """For the next `tell`. until: by the loop's clock. Raises TimeoutError."""
        loop = asyncio.get_running_loop()
        waiter = self._waiter = loop.create_future()
        self._until = until
        if self._timer is None or until < self._timer_at:
            self._set_timer(loop)
        try:
            await waiter
        finally:
            if self._waiter is waiter:  # a wait that was cancelled may come to its end when the next has begun
                self._waiter = None

    def tell(self) -> None:
        """It is here. Nothing where nobody waits."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def close(self) -> None:
        """Nobody waits any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _set_timer(self, loop: asyncio.AbstractEventLoop) -> None:
        self.close()
        self._timer, self._timer_at = loop.call_at(self._until, self._look, loop), self._until

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        if self._waiter is None or self._waiter.done():
            return
        if loop.time() < self._until:
            self._set_timer(loop)
        else:
            self._waiter.set_exception(TimeoutError())
