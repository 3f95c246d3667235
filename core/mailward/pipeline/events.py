"""Who is told of what has happened? The `on_*` hooks of the enabled plugins, after the fact and out of the way."""

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext

import structlog

from mailward.api.learning import MessageClassified, MessageMoved
from mailward.api.logins import LoginAttempt, LoginOutcome
from mailward.api.relaying import RelayingAttempt
from mailward.pipeline.chain import Chain
from mailward.pipeline.stages import WATCHER_S

MAX_WAITING = 1000
"""Events that are not yet worked off; further ones are counted and left out: none is worth the memory."""

STOP_S = 5.0

_LESSONS = frozenset(("on_moved", "on_classified"))

_log = structlog.get_logger()


class Events:
    """Shadowed plugins are not told: what they learnt would count later. failed, left_out: counters for monitoring.

    chain: asked at each event, so that after a reload the new plugins are told; events under way keep the old ones.

    Every method but `drain` and `stop` notes one event and returns at once; the plugins hear of it one after another. They hear
    of one lesson (moved, classified) at a time: of two about the same message the later must count, and none twice (T-PLUG-13).
    """

    def __init__(self, chain: Callable[[], Chain]) -> None:
        self._chain = chain
        self._running: set[asyncio.Task[None]] = set()
        self._lessons = asyncio.Lock()
        self.failed = 0
        self.left_out = 0

    def moved(self, moved: MessageMoved) -> None:
        """A person moved a message."""
        self._note("on_moved", {"moved": moved})

    def classified(self, classified: MessageClassified) -> None:
        """A person said what a message is."""
        self._note("on_classified", {"classified": classified})

    def login_ended(self, attempt: LoginAttempt, outcome: LoginOutcome) -> None:
        """An attempt to log in was answered."""
        self._note("on_auth", {"attempt": attempt, "outcome": outcome})

    def attempted(self, attempt: RelayingAttempt) -> None:
        """An outbound attempt has ended."""
        self._note("on_attempt", {"attempt": attempt})

    async def drain(self) -> None:
        """Let everybody hear of everything; no plugin takes longer than its limit."""
        if self._running:
            await asyncio.wait(self._running)

    async def stop(self) -> None:
        """Let what runs come to its end, for a few seconds; then give it up."""
        if not self._running:
            return
        _, late = await asyncio.wait(self._running, timeout=STOP_S)
        for task in late:
            task.cancel()

    def _note(self, hook: str, arguments: Mapping[str, object]) -> None:
        chain = self._chain()
        if not chain.enforced(hook):
            return
        if len(self._running) >= MAX_WAITING:
            self.left_out += 1
            _log.warning("event left out", hook=hook, waiting=len(self._running))
            return
        task = asyncio.get_running_loop().create_task(self._tell(chain, hook, arguments), name=hook)
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _tell(self, chain: Chain, hook: str, arguments: Mapping[str, object]) -> None:
        async with self._lessons if hook in _LESSONS else nullcontext():
            await self._call(chain, hook, arguments)

    async def _call(self, chain: Chain, hook: str, arguments: Mapping[str, object]) -> None:
        for one in chain.enforced(hook):
            if not await chain.watch(one, hook, arguments, time.monotonic() + WATCHER_S):
                self.failed += 1
