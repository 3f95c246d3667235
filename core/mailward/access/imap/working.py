"""Whose session it is, and how its commands work: what blocks in threads, long answers as the client reads them."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

from mailward.access.connection import Connection
from mailward.access.imap.desk import Desk
from mailward.access.imap.reach import Reach, Reached
from mailward.access.imap.selected import Selected
from mailward.access.imap.voice import Voice
from mailward.model.identity import Identity
from mailward.model.ids import AccountId
from mailward.protocol.imap.arguments import BadSyntax
from mailward.store.base import AccountStore

T = TypeVar("T")

PIECE_OCTETS = 256 * 1024
"""So much of an answer is made in a thread before it is sent."""
MANY = 1000
"""So many changed messages, or lines about them, the loop takes in one turn; more are made in a thread."""
PROGRESS_S = 10.0
"""How often a client that waits for an answer hears from us."""


class No(Exception):
    """The command fails: NO [code] text."""

    def __init__(self, text: str, code: str = "") -> None:
        super().__init__(text)
        self.code = code


@dataclass(slots=True)
class Progress:
    """How far a command is: of at most `goal` steps, 0 where that is not known, so many are done. Counted in its thread."""

    done: int = 0
    goal: int = 0


class Working(Voice):
    """A voice with an account and, at times, a mailbox. progress: of the command under way. _goodbye: why the session ends behind
    it."""

    def __init__(self, desk: Desk, connection: Connection, capabilities_off: frozenset[str]) -> None:
        super().__init__(desk, connection, capabilities_off)
        self.progress = Progress()
        self.identity: Identity | None = None
        self.selected: Selected | None = None
        self._reach: Reach | None = None
        self._here: Reached | None = None
        self._goodbye: str | None = None
        self._progress_timer: asyncio.TimerHandle | None = None
        self._progress_told: asyncio.Task[None] | None = None

    @property
    def account(self) -> AccountId | None:
        return None if self.identity is None else self.identity.account

    @property
    def reach(self) -> Reach:
        if self._reach is None:
            raise No("Log in first")
        return self._reach

    @property
    def own(self) -> AccountStore:
        """The account's own store; the selected mailbox may be in another."""
        return self.reach.own

    @property
    def here(self) -> Reached:
        """Where the selected mailbox is, and what may be done with it."""
        if self._here is None:
            raise BadSyntax("Select a mailbox first")
        return self._here

    def has_selected(self, reached: Reached) -> bool:
        return self._here is not None and self._here.place == reached.place

    @property
    def store(self) -> AccountStore:
        """That of the selected mailbox."""
        return self.here.store

    @property
    def mailbox(self) -> Selected:
        if self.selected is None:
            raise BadSyntax("Select a mailbox first")
        return self.selected

    async def blocking(self, function: Callable[[], T], *, alone: bool = False) -> T:
        """Run a blocking store call in a thread. alone: it takes much memory, as of `Threads.run_alone`.

        A client that waits long for it hears every while how far it is (RFC 9585).
        """
        self._progress_timer = asyncio.get_running_loop().call_later(PROGRESS_S, self._tell_progress)
        try:
            run = self.desk.threads.run_alone if alone else self.desk.threads.run
            return await run(self.account, function)
        finally:
            self._progress_timer.cancel()

    async def worked_out(self, function: Callable[[], T], count: int) -> T:
        """What a function makes of so many messages without asking the store: of many in a thread (T-DOS-08)."""
        return function() if self.is_few(count) else await self.blocking(function)

    def is_few(self, count: int) -> bool:
        """The loop takes so many messages, or lines about them, in one turn."""
        return count <= MANY

    def _tell_progress(self) -> None:
        """Now, and again every while. By a timer, which costs the many calls that are over soon less than a task does."""
        loop = asyncio.get_running_loop()
        self._progress_timer = loop.call_later(PROGRESS_S, self._tell_progress)
        if self.offers("INPROGRESS"):
            done = f"{self.progress.done} {self.progress.goal}" if self.progress.goal else "NIL NIL"
            self.untagged(f'OK [INPROGRESS ("{self.tag.decode("ascii")}" {done})] Still at it')
            self._progress_told = loop.create_task(self._flush_if_it_can())

    async def _flush_if_it_can(self) -> None:
        with suppress(ConnectionError, TimeoutError):  # whoever flushes behind the call meets it again
            await self.flush()

    async def tell_lines(self, lines: Iterator[bytes], count: int) -> None:
        """So many at most: few at once, of many so much at a time as the client reads (T-DOS-08)."""
        if not self.is_few(count):
            await self.send_pieces(lines)
        else:
            for line in filter(None, lines):
                self.write(line)

    async def send_pieces(self, pieces: Iterator[bytes]) -> None:
        """Send what an iterator that blocks makes, so much at a time as the client reads; the last of it with what follows."""

        def some() -> tuple[bytes, bool]:
            taken: list[bytes] = []
            octets = 0
            for piece in pieces:
                taken.append(piece)
                octets += len(piece)
                if octets >= PIECE_OCTETS:
                    return b"".join(taken), True
            return b"".join(taken), False

        octets, is_more = await self.blocking(some)
        if is_more:
            await self.flush()
        while is_more:
            await self.connection.send(octets)
            # In silence: what has been sent may end in the middle of a literal.
            octets, is_more = await self.desk.threads.run(self.account, some)
        if octets:
            self.write(octets)
