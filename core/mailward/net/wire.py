"""The client's end of a connection as asyncio gives it: octets that came wait in an inbox, writing waits for room."""

import asyncio
from typing import cast

_INBOX_OCTETS = 65_536
"""Above so many octets that nobody has taken, reading pauses."""


class Wire(asyncio.Protocol):
    """One transport. A handshake gets a new wire, so that plain text and decrypted octets never meet in one inbox."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.ended = False
        self._inbox = bytearray()
        self._is_full = False  # what was written is not on its way yet
        self._waiter: asyncio.Future[None] | None = None

    # What asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's own is not derived from it

    def data_received(self, data: bytes) -> None:
        self._inbox += data
        if len(self._inbox) >= _INBOX_OCTETS and self.transport is not None:
            self.transport.pause_reading()
        self._wake()

    def eof_received(self) -> None:
        self.ended = True
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended = True
        self._wake()

    def pause_writing(self) -> None:
        self._is_full = True

    def resume_writing(self) -> None:
        self._is_full = False
        self._wake()

    # What the hop calls

    def __bool__(self) -> bool:
        """True while octets wait."""
        return bool(self._inbox)

    def take(self) -> bytes:
        """All octets that wait."""
        octets = bytes(self._inbox)
        self._inbox.clear()
        if self.transport is not None and not self.ended:
            self.transport.resume_reading()
        return octets

    async def write(self, octets: bytes, until: float) -> None:
        """Returns when there is room for more, or the connection ended. until: time of the loop. Raises TimeoutError."""
        if self.transport is not None and not self.ended:
            self.transport.write(octets)
        while self._is_full and not self.ended:
            await self._something(until)

    async def readable(self, until: float) -> None:
        """Returns when octets wait or the connection ended. until: time of the loop. Raises TimeoutError."""
        while not self._inbox and not self.ended:
            await self._something(until)

    def abort(self) -> None:
        """End it now."""
        self.ended = True
        if self.transport is not None:
            self.transport.abort()

    async def _something(self, until: float) -> None:
        """Wait until something happens here. Not asyncio.timeout: of the time that a reply costs, it took a large part."""
        loop = asyncio.get_running_loop()
        if until <= loop.time():  # however quickly octets that end nothing follow each other
            raise TimeoutError
        waiter = self._waiter = loop.create_future()
        timer = loop.call_at(until, self._give_up, waiter)
        try:
            await waiter
        finally:
            timer.cancel()
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _give_up(self, waiter: "asyncio.Future[None]") -> None:
        if not waiter.done():
            waiter.set_exception(TimeoutError())
