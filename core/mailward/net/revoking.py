"""Is the secret that opened a session still good? Asked every few seconds for all that live; the others end (T-2FA-06).

While nobody can tell, sessions stay: what ends them is an answer, not its absence.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

import structlog

from mailward.auth.exchange import Authenticator
from mailward.model.errors import LoginUnavailable
from mailward.net.stream import StreamListener

EVERY_S = 2.0

log = structlog.get_logger("mailward.auth")


class Revoking:
    """Watches the sessions of some listeners, from `start` to `stop`. every_s: given by tests."""

    def __init__(self, authenticator: Authenticator, listeners: Sequence[StreamListener], every_s: float = EVERY_S) -> None:
        self._authenticator = authenticator
        self._listeners = listeners
        self._every_s = every_s
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def look(self) -> None:
        """Ask once, and end the sessions whose secret is no longer good."""
        identities = frozenset(identity for listener in self._listeners for identity in listener.identities)
        try:
            revoked = await self._authenticator.revoked(identities)
        except LoginUnavailable as error:
            log.warning("nobody can tell which logins are revoked", why=str(error))
            return
        for listener in self._listeners:
            listener.end_sessions_of(revoked)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._every_s)
            try:
                await self.look()
            except Exception:
                log.exception("unforeseen failure")
