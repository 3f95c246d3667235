"""How much of large messages is in memory at once? They wait for room, first come first served; without that a hundred messages
would be mapped and decoded side by side. Small ones are in memory anyway and need no room.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator

SMALL_OCTETS = 256 << 10


class NoRoomError(Exception):
    """Others have taken the room for too long."""


class Room:
    """For so many octets. What is larger than all of it has it alone. Belongs to one event loop.

    small_octets: what is not larger never waits. wait_s: so long one waits, None for ever.
    """

    def __init__(self, octets: int, *, small_octets: int = SMALL_OCTETS, wait_s: float | None = None) -> None:
        self._all = self._left = octets
        self._small_octets = small_octets
        self._wait_s = wait_s
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    def is_needed(self, octets: int) -> bool:
        """False for what is small."""
        return octets > self._small_octets

    @contextlib.asynccontextmanager
    async def of(self, octets: int) -> AsyncIterator[None]:
        """Enter once there is room for so many. Raises NoRoomError."""
        needed = min(octets, self._all) if self.is_needed(octets) else 0
        if needed:
            await self._wait(needed)
        try:
            yield
        finally:
            self._free(needed)

    async def _wait(self, needed: int) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((needed, turn))
        self._give()
        try:
            async with asyncio.timeout(self._wait_s):
                await turn
        except (asyncio.CancelledError, TimeoutError) as error:
            if turn.cancelled():
                self._give()
            else:
                self._free(needed)
            if isinstance(error, TimeoutError):
                raise NoRoomError from None
            raise

    def _free(self, octets: int) -> None:
        self._left += octets
        self._give()

    def _give(self) -> None:
        while self._waiting and (self._waiting[0][1].cancelled() or self._waiting[0][0] <= self._left):
            needed, turn = self._waiting.popleft()
            if not turn.cancelled():
                self._left -= needed
                turn.set_result(None)
