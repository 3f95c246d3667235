"""How long are records kept? The oldest are deleted, a few at a time, so that no message waits for it."""

import asyncio
from datetime import timedelta

from mailward.api.services import Clock
from mailward.decisions.store import DecisionStore

AT_ONCE = 200
PAUSE_S = 0.1


class Retention:
    """Deletes what is older than it is to be kept. Of all processes one does this."""

    def __init__(self, store: DecisionStore, clock: Clock, keep_s: float) -> None:
        self._store = store
        self._clock = clock
        self._keep_s = keep_s

    async def forget_due(self) -> int:
        """Delete all that is due; how many records. Raises StorageError."""
        before = self._clock.now() - timedelta(seconds=self._keep_s)
        total = 0
        while count := await asyncio.to_thread(self._store.forget, before, AT_ONCE):
            total += count
            await asyncio.sleep(PAUSE_S)
        return total
