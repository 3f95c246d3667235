"""Who removes what plugins' values have expired? One process for all of them, those of plugins that are off, too.

Nobody waits for it, since nobody sees what has expired.
"""

import asyncio
from pathlib import Path

import structlog

from mailward.api.services import Clock
from mailward.model.errors import StorageError
from mailward.services.kv import SqliteKeyValue

PAUSE_S = 0.1
"""Between two steps in one file, so that whoever writes there has his turn."""

_log = structlog.get_logger()


class Forgetting:
    """folder: of the key-value files."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._folder = folder
        self._clock = clock

    async def forget(self, pause_s: float = PAUSE_S) -> None:
        """Remove all that has expired. A file that cannot be read is left to its plugin, and said in the log."""
        for path in sorted(self._folder.glob("*.sqlite")):
            try:
                kept = await asyncio.to_thread(SqliteKeyValue, path, self._clock)
                try:
                    is_more = True
                    while is_more:
                        is_more = await kept.forget_expired()
                        await asyncio.sleep(pause_s)
                finally:
                    await asyncio.to_thread(kept.close)
            except StorageError as error:
                _log.error("expired values not removed", problem=str(error))
