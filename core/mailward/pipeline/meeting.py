"""What do plugins find of a client before its first mail? They look while it talks; MAIL waits for them at the latest.

Nothing is answered here: a greeting or EHLO that was refused would tell neither whose mail it was nor whom it was for.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from mailward.model.session import Session
from mailward.pipeline.called import Called
from mailward.pipeline.chain import Chain
from mailward.pipeline.stages import COMMAND_STAGE_S

MEETING_HOOKS = ("inspect_connect", "inspect_helo")

Found = tuple[Called[object], ...]
SessionSoon = Callable[[], Awaitable[Session]]
"""Gives the session, once the peer's name is known."""


@dataclass(frozen=True, slots=True)
class Met:
    """What came of it. former: the name that was given before the present one, None when there was none."""

    connect: Found = ()
    helo: Found = ()
    former: str | None = None


class Meeting:
    """One client. chain: the plugins of the policy that will judge its mail. Calls come in the order connected, greeted, met.

    former: the name it gave before its present one, None when there was none.
    """

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        self.former: str | None = None
        self._name: str | None = None
        self._connect: asyncio.Task[Found] | None = None
        self._helo: asyncio.Task[Found] | None = None

    def connected(self, session: SessionSoon) -> None:
        """The client is there."""
        if self._is_asked("inspect_connect"):
            self._connect = asyncio.create_task(self._look("inspect_connect", session, {}), name="inspect_connect")

    def greeted(self, session: SessionSoon, name: str) -> None:
        """It gave its name; what was found of another it gave before counts no more."""
        if name != self._name:
            self.former, self._name = self._name, name
        if self._helo is not None:
            self._helo.cancel()
        if self._is_asked("inspect_helo"):
            self._helo = asyncio.create_task(self._look("inspect_helo", session, {"former": self.former}), name="inspect_helo")

    def forget_name(self) -> None:
        """What was said in clear counts no more (RFC 3207 section 4.2)."""
        self.former = self._name = None
        if self._helo is not None:
            self._helo.cancel()
            self._helo = None

    def end(self) -> None:
        """The client is gone."""
        for task in (self._connect, self._helo):
            if task is not None:
                task.cancel()

    async def met(self) -> Met:
        """Waits until all have looked. Any number of times."""
        return Met(await _result(self._connect), await _result(self._helo), self.former)

    def _is_asked(self, hook: str) -> bool:
        return bool(self.chain.enforced(hook))

    async def _look(self, hook: str, session: SessionSoon, more: Mapping[str, object]) -> Found:
        deadline = time.monotonic() + COMMAND_STAGE_S  # MAIL may be waiting already, for this and for what it waits for
        arguments = {"session": await session(), **more}
        earlier = () if hook == "inspect_connect" else await _result(self._connect)
        return await self.chain.inspect(hook, arguments, earlier, deadline)


async def _result(task: asyncio.Task[Found] | None) -> Found:
    """Who gives up waiting does not end it."""
    return () if task is None else await asyncio.shield(task)


def meeting_of(chain: Chain, session: Session) -> Meeting:
    """Of a client that has said its name already, if ever."""

    async def soon() -> Session:
        return session

    made = Meeting(chain)
    made.connected(soon)
    if session.helo is not None:
        made.greeted(soon, session.helo)
    return made
