"""How long is mail kept in the quarantine? What is older is dropped, a few at a time, so that no message waits for it."""

import asyncio
from datetime import datetime, timedelta

import structlog

from mailward.api.services import Clock
from mailward.delivery.release import Release
from mailward.formats.duration import duration_text
from mailward.quarantine import Held, Quarantine

AT_ONCE = 100
PAUSE_S = 0.1

log = structlog.get_logger("mailward.delivery")


def expires_at(held: Held, kept_s: float) -> datetime:
    """When an entry is due to be dropped; aware."""
    return datetime.fromisoformat(held.kept_at) + timedelta(seconds=kept_s)


class Expiry:
    """Drops what is older than it is to be kept. Of all processes one does this."""

    def __init__(self, quarantine: Quarantine, release: Release, clock: Clock, kept_s: float) -> None:
        self._quarantine = quarantine
        self._release = release
        self._clock = clock
        self._kept = timedelta(seconds=kept_s)

    async def drop_due(self) -> int:
        """Drop all that is due; how many entries. Raises StorageError."""
        before = self._clock.now() - self._kept
        outcome = f"dropped from quarantine, where it was kept for {duration_text(self._kept)}"
        total = 0
        while due := await asyncio.to_thread(self._quarantine.oldest, before, AT_ONCE):
            await asyncio.to_thread(self._release.drop, due, outcome)
            total += len(due)
            await asyncio.sleep(PAUSE_S)
        if total:
            log.info("quarantine expired", entries=total)
        return total
