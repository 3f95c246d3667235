"""Calls that were under way in a process when it ended, and nobody knows which of them ended it: each is made once more, alone.

Otherwise one message that makes a filter crash would defer all that are looked at in the same moment, and their failures together
would have the plugin suspended for everybody.
"""

import asyncio
from collections.abc import Mapping

from mailward.pipeline.isolation.process import IsolatedPlugin


class Suspects:
    """Of one plugin. process: theirs alone, so that the plugin's other calls go on; it ends with the last of them."""

    def __init__(self, process: IsolatedPlugin) -> None:
        self._process = process
        self._turn = asyncio.Lock()
        self._left = 0

    async def call(self, hook: str, values: Mapping[str, object], limit_s: float) -> object:
        """What the hook answers, not yet checked. Raises Crashed (by its own fault), HookFailed and TimeoutError.

        limit_s: of the call, from the moment that its turn has come and the process is ready.
        """
        self._left += 1
        try:
            async with self._turn:
                await self._process.ready()
                async with asyncio.timeout(limit_s):
                    return await self._process.call(hook, values)
        finally:
            self._left -= 1
            if not self._left:
                self._process.close()

    def close(self) -> None:
        """End the process."""
        self._process.close()
