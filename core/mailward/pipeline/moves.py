"""Who is told that a person moved a message? The `on_moved` hooks of the enabled plugins, after the fact and out of the way."""

import asyncio
import time

import structlog

from mailward.api.hooks import MessageMoved
from mailward.pipeline.chain import Called, Chain
from mailward.pipeline.judge import ServicesOf, enabled_plugins
from mailward.pipeline.plugins import PluginHost
from mailward.pipeline.stages import WATCHER_S
from mailward.policy import Policy

MAX_WAITING = 1000
"""Moves that are not yet worked off; further ones are counted and left out, since learning is never worth the memory."""

STOP_S = 5.0

_log = structlog.get_logger()


class Moves:
    """Shadowed plugins are not told: what they learnt would count later. failed, left_out: counters for monitoring."""

    def __init__(self, policy: Policy, host: PluginHost, services_of: ServicesOf) -> None:
        self._chain = Chain(enabled_plugins(policy, host, services_of))
        self._running: set[asyncio.Task[None]] = set()
        self.failed = 0
        self.left_out = 0

    def moved(self, moved: MessageMoved) -> None:
        """Note one move and return at once; plugins are told one after another in the background."""
        if not self._chain.enforced("on_moved"):
            return
        if len(self._running) >= MAX_WAITING:
            self.left_out += 1
            _log.warning("move_left_out", account=moved.account, waiting=len(self._running))
            return
        task = asyncio.get_running_loop().create_task(self._tell(moved), name="on_moved")
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def stop(self) -> None:
        """Let what runs come to its end, for a few seconds; then give it up."""
        if not self._running:
            return
        _, late = await asyncio.wait(self._running, timeout=STOP_S)
        for task in late:
            task.cancel()

    async def _tell(self, moved: MessageMoved) -> None:
        for one in self._chain.enforced("on_moved"):
            called: Called = await self._chain.watch(one, "on_moved", {"moved": moved}, time.monotonic() + WATCHER_S)
            self.failed += called.failed
