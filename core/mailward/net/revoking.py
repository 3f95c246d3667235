"""Is the secret that opened a session still good? Asked every few seconds for all that live; the others end (T-2FA-06).

While nobody can tell, sessions stay: what ends them is an answer, not its absence.
"""

from collections.abc import Sequence

import structlog

from mailward.auth.exchange import Authenticator
from mailward.model.errors import LoginUnavailable
from mailward.net.stream import StreamListener

EVERY_S = 2.0

log = structlog.get_logger("mailward.auth")


class Revoking:
    """Watches the sessions of some listeners."""

    def __init__(self, authenticator: Authenticator, listeners: Sequence[StreamListener]) -> None:
        self._authenticator = authenticator
        self._listeners = listeners

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
