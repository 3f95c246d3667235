"""How much of large messages is in memory at once? They wait for room; without that a hundred of them would be mapped and decoded
side by side. Small ones are in memory anyway and need no room.

Whoever has large messages may also be slow on purpose. So the sharer who has the least goes next, and has no more than what is
left free then: one takes half of the room at most, two three quarters, and there is some for the next. Those who have equally
little take turns, so that nobody's queue is in the way of anybody's one.
"""

import asyncio
import contextlib
from collections import Counter, deque
from collections.abc import AsyncIterator
from itertools import count

SMALL_OCTETS = 256 << 10


class NoRoomError(Exception):
    """Others have taken the room for too long."""


class Room:
    """For so many octets. What is larger than half of it counts as half. Belongs to one event loop.

    small_octets: what is not larger never waits. wait_s: so long one waits, None for ever.
    """

    def __init__(self, octets: int, *, small_octets: int = SMALL_OCTETS, wait_s: float | None = None) -> None:
        self._all = self._left = octets
        self._small_octets = small_octets
        self._wait_s = wait_s
        self._has: Counter[str] = Counter()
        self._waiting: dict[str, deque[tuple[int, asyncio.Future[None]]]] = {}
        self._ranks: dict[str, int] = {}
        self._tickets = count()

    def is_needed(self, octets: int) -> bool:
        """False for what is small."""
        return octets > self._small_octets

    @contextlib.asynccontextmanager
    async def of(self, octets: int, sharer: str) -> AsyncIterator[None]:
        """Enter once there is room for so many. sharer: on whose account. Raises NoRoomError."""
        needed = min(octets, self._all // 2) if self.is_needed(octets) else 0
        if not needed:
            yield
            return
        await self._wait(needed, sharer)
        try:
            yield
        finally:
            self._free(needed, sharer)

    async def _wait(self, needed: int, sharer: str) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if sharer not in self._waiting:
            self._waiting[sharer], self._ranks[sharer] = deque(), next(self._tickets)
        self._waiting[sharer].append((needed, turn))
        self._give()
        try:
            async with asyncio.timeout(self._wait_s):
                await turn
        except (asyncio.CancelledError, TimeoutError) as error:
            if turn.cancelled():
                self._give()
            else:
                self._free(needed, sharer)
            if isinstance(error, TimeoutError):
                raise NoRoomError from None
            raise

    def _free(self, octets: int, sharer: str) -> None:
        self._left += octets
        self._has[sharer] -= octets
        if not self._has[sharer]:
            del self._has[sharer]
        self._give()

    def _give(self) -> None:
        while (sharer := self._next()) is not None:
            needed, turn = self._waiting[sharer].popleft()
            self._ranks[sharer] = next(self._tickets)
            self._left -= needed
            self._has[sharer] += needed
            turn.set_result(None)

    def _next(self) -> str | None:
        """Who may enter now. One who has nothing yet is passed by nobody, however much he needs."""
        for sharer, turns in list(self._waiting.items()):
            while turns and turns[0][1].cancelled():
                turns.popleft()
            if not turns:
                del self._waiting[sharer], self._ranks[sharer]
        for sharer in sorted(self._waiting, key=lambda sharer: (self._has[sharer], self._ranks[sharer])):
            needed, has = self._waiting[sharer][0][0], self._has[sharer]
            if not has:
                return sharer if needed <= self._left else None
            if has + needed <= self._left - needed:
                return sharer
        return None
