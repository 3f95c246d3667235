"""How much mail is judged at once? Messages in files take memory while they are read, so they wait for room, first come first
served; without that a hundred sessions would have a hundred messages mapped and decoded side by side.

Small messages are in memory anyway while they come, and need no room.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

JUDGED_OCTETS = 8 << 20
"""In one process. A message that is larger has all the room for itself."""
SMALL_OCTETS = 256 << 10
WAIT_S = 120.0
"""Together with the time for judging it is well within the ten minutes that a client waits (RFC 5321 section 4.5.3.2.6): one that
gives up sends its message a second time."""


class NoRoomError(Exception):
    """Others have taken the room for too long."""


class Room:
    """octets: of all messages that are in it at once. wait_s: so long one waits for a place."""

    def __init__(self, octets: int = JUDGED_OCTETS, wait_s: float = WAIT_S) -> None:
        self._wait_s = wait_s
        self._octets = self._free = octets
        self._turn = asyncio.Lock()  # whoever wants much is not passed by those who want little
        self._left = asyncio.Event()

    @asynccontextmanager
    async def with_place_for(self, octets: int) -> AsyncIterator[None]:
        """A place for a message of so many octets, once there is one. Raises NoRoomError."""
        share = 0 if octets <= SMALL_OCTETS else min(octets, self._octets)
        if share:
            try:
                async with asyncio.timeout(self._wait_s), self._turn:
                    while self._free < share:
                        self._left.clear()
                        await self._left.wait()
                    self._free -= share
            except TimeoutError:
                raise NoRoomError from None
        try:
            yield
        finally:
            self._free += share
            self._left.set()
