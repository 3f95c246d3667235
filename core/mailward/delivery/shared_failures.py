"""Mail that shares the failure of other mail, since its next hop is down: noted when no living host waits for a connection.

Noting it costs about a quarter of what sending does, and nobody waits for it. One task does it for all next hops that are down,
many messages at once: were there one for each, a thousand of them would be busy looking whether it is time (T-Q-16).
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from typing import Any

from mailward.delivery.fate import Fate
from mailward.delivery.lanes import Waiting

LOOK_S = 0.2
"""How often it is looked whether living hosts still wait."""
LATEST_S = 60.0
"""After the failure; then it is noted whoever waits. Little, beside the five minutes until the next attempt."""
TOGETHER = 100
"""In one go."""

Shared = tuple[Waiting, Fate]
"""Mail for which nobody was asked, and what it came to all the same."""


class SharedFailures:
    """Belongs to one event loop. fail: notes it; does not raise. is_busy: do living hosts wait? begin: makes a task that is
    waited for when the server stops. monotonic_s: a clock that never jumps.
    """

    def __init__(
        self,
        fail: Callable[[Sequence[Shared]], Awaitable[None]],
        is_busy: Callable[[], bool],
        begin: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]],
        monotonic_s: Callable[[], float],
    ) -> None:
        self._fail = fail
        self._is_busy = is_busy
        self._begin = begin
        self._monotonic_s = monotonic_s
        self._failed: deque[tuple[float, Shared]] = deque()
        self._noting: asyncio.Task[None] | None = None

    def add(self, waiting: Iterable[Waiting], fate: Fate) -> None:
        """They share this failure."""
        latest_s = self._monotonic_s() + LATEST_S
        self._failed.extend((latest_s, (one, fate)) for one in waiting)
        if self._failed and self._noting is None:
            self._noting = self._begin(self._note())

    async def _note(self) -> None:
        try:
            while self._failed:
                if self._is_busy() and self._monotonic_s() < self._failed[0][0]:
                    await asyncio.sleep(LOOK_S)
                    continue
                await self._fail([self._failed.popleft()[1] for _ in range(min(TOGETHER, len(self._failed)))])
        finally:
            self._noting = None
