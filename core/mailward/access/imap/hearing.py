"""What a session hears: the octets of its client, and news of its account, which it tells while it waits for them (RFC 2177)."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

import structlog

from mailward.access.connection import Connection
from mailward.access.imap.desk import Desk
from mailward.access.imap.telling import Telling
from mailward.access.imap.watches import Watches
from mailward.model.errors import StorageError
from mailward.protocol.imap.events import CommandRefused, LineReceived
from mailward.protocol.imap.framing import Framer

log = structlog.get_logger("mailward.imap")

STILL_HERE_S = 120.0
"""How often a client that is told of news hears from us, so that neither side keeps a dead connection."""
QUIET_S = 10.0
"""So long after news a session keeps in memory what its mailbox holds; one that begins to idle gives it back at once."""


class Notifier(Protocol):
    """What a client asked to be told of, whenever it happens."""

    async def tell(self, *, idle: bool) -> None:
        """All news; `idle` while the client is in IDLE."""
        ...


class Hearing(Telling):
    """framer: what the client has sent and is not yet dealt with. notifier: tells of news between commands, too; None when the
    client did not ask for that. watches: of whose news."""

    def __init__(self, desk: Desk, connection: Connection, capabilities_off: frozenset[str]) -> None:
        super().__init__(desk, connection, capabilities_off)
        self.framer = Framer(room=self)
        self.notifier: Notifier | None = None
        self._news: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.watches = Watches(desk.watch, self.note_news)

    def has_room(self, octets: int) -> bool:
        """Whether so much more of messages could come now."""
        return self.desk.incoming.has_room(self, octets, self.desk.append_octets)

    def claim(self, octets: int) -> bool:
        """Whether there is room in memory for so much more of messages, until the command has been carried out."""
        return self.desk.incoming.claim(self, octets, self.desk.append_octets)

    def give_back(self) -> None:
        """The messages of the last command are no longer in memory."""
        self.desk.incoming.give_back(self)

    @property
    def is_sending(self) -> bool:
        """A message is still coming."""
        return self.framer.is_within_append

    def give_up(self) -> None:
        """Others need the room of a message that is still coming."""
        self.framer.give_up()

    def note_news(self) -> None:
        """Something is to be told, to a client that waits for it."""
        if not self._news.done():
            self._news.set_result(None)

    def say_goodbye(self, text: str) -> None:
        """End the session with BYE behind the command under way, or now when it is idle."""
        self._goodbye = text
        self.note_news()

    async def continuation(self, text: str = "") -> bytes | None:
        """Send "+ text" and wait for the client's line; None when the client is gone."""
        self.write(f"+ {text}\r\n".encode("ascii"))
        await self.flush()
        return await self._line(self.connection.receive)

    async def idle(self) -> bytes | None:
        """Tell changes until the client sends a line; that line, None when the client is gone."""
        return await self._line(lambda: self._octets_and_news(idle=True))

    async def receive(self) -> bytes:
        """What the client sends next, b"" when it is gone. Between commands it is told meanwhile what it asked to be told."""
        if self.notifier is None or not self.framer.is_between_commands:
            return await self.connection.receive(within_command=not self.framer.is_between_commands)
        try:
            return await self._octets_and_news(idle=False)
        except StorageError as error:
            log.error("storage error", command="NOTIFY", account=self.account, error=str(error))
            self._goodbye = "Temporary problem, please try again later"
            raise TimeoutError from error

    async def _line(self, receive: Callable[[], Awaitable[bytes]]) -> bytes | None:
        self.framer.plain_line = True
        try:
            while True:
                event = self.framer.next_event()
                if isinstance(event, LineReceived):
                    return event.octets
                if isinstance(event, CommandRefused):
                    return None
                if event is None:
                    octets = await receive()
                    if not octets:
                        return None
                    self.framer.receive_data(octets)
        finally:
            self.framer.plain_line = False

    async def _octets_and_news(self, *, idle: bool) -> bytes:
        """What the client sends next; until then it is told of news. Raises TimeoutError when the session is to end."""
        receiving = asyncio.ensure_future(self.connection.receive())
        quiet_s = 0.0 if idle else STILL_HERE_S
        try:
            while True:
                if self._news.done():
                    self._news = asyncio.get_running_loop().create_future()
                if self.notifier is not None:
                    await self.notifier.tell(idle=idle)
                elif idle:
                    await self.tell_changes(expunge=True, may_rest=True)
                await self._until_news(receiving, quiet_s)
                quiet_s = max(quiet_s, QUIET_S)
                if receiving.done():
                    if self.selected is not None and self.selected.rests:
                        await self.tell_changes(expunge=True)
                    return receiving.result()
        finally:
            receiving.cancel()

    async def _until_news(self, receiving: "asyncio.Future[bytes]", quiet_s: float) -> None:
        """Wait for either; after quiet_s, where that is short, with little in memory."""
        wait_s = quiet_s
        while True:
            await self.flush()
            if self._goodbye is not None:
                raise TimeoutError
            done, _ = await asyncio.wait((receiving, self._news), timeout=wait_s, return_when=asyncio.FIRST_COMPLETED)
            if done:
                return
            if wait_s == STILL_HERE_S:
                self.untagged("OK Still here")
            elif self.selected is not None:
                self.selected.rest()
            wait_s = STILL_HERE_S
