"""How much of large messages is in memory at once, where each is held as a whole."""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator


class Room:
    """For so many octets, first come, first served; small_octets: what is not larger needs none, so that it never waits.

    What is larger than all of it has it alone. Belongs to one event loop.
    """

    def __init__(self, octets: int, small_octets: int) -> None:
        self._all = self._left = octets
        self._small_octets = small_octets
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @contextlib.asynccontextmanager
    async def of(self, octets: int) -> AsyncIterator[None]:
        """Enter once there is room for so many."""
        needed = min(octets, self._all) if octets > self._small_octets else 0
        if needed:
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append((needed, turn))
            self._give()
            try:
                await turn
            except asyncio.CancelledError:
                if turn.cancelled():
                    self._give()
                else:
                    self._free(needed)
                raise
        try:
            yield
        finally:
            self._free(needed)

    def _free(self, octets: int) -> None:
        self._left += octets
        self._give()

    def _give(self) -> None:
        while self._waiting and (self._waiting[0][1].cancelled() or self._waiting[0][0] <= self._left):
            needed, turn = self._waiting.popleft()
            if not turn.cancelled():
                self._left -= needed
                turn.set_result(None)
