"""Who looks at a message after its reply? The plugins in shadow: a bounded number of messages at once, the others left out.

Nobody waits for them and nothing they do reaches the reply. They take turns while the process is quiet, so that no other reply
waits behind what they compute. When mail comes faster than that, they see a sample of it: a message finds a place or it does
not, and its record says so before the reply, so that a comparison knows its sample.
A process that ends takes with it what is still looked at; the records then keep saying that nothing came of it.
"""

import asyncio
import contextvars
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import structlog

from mailward.model.address import ForwardPath
from mailward.model.decision import Looked
from mailward.pipeline.called import Called, Calls, about
from mailward.pipeline.chain import Chain

MOST_MESSAGES = 32
"""Of one process, that are looked at in shadow at the same time."""

MOST_OCTETS = 32 << 20
"""Of these messages together; a larger one is looked at by itself."""

PAUSE_S = 0.02
"""After the reply: it leaves first, and the next command of the same client with it. How busy was the process meanwhile?"""

QUIET = 0.1
"""The process is quiet when it computed for less than this share of the pause: what looks now is in nobody's way."""

SAMPLE_S = 1.0
"""Where it is never quiet, one message is looked at so often: a sample."""

TELL_EVERY_S = 60.0

NOT_HEARD_OF = "it looks after the reply, and nothing has been heard of it: wait a little, or its process has ended"
LEFT_OUT = "left out: it was behind with other messages"

_log = structlog.get_logger()

Keep = Callable[[Looked], Awaitable[None]]


class ShadowRoom:
    """The places of one process; a reload changes nothing about them."""

    def __init__(self, messages: int = MOST_MESSAGES, octets: int = MOST_OCTETS) -> None:
        self._most_messages = messages
        self._most_octets = octets
        self._messages = 0
        self._octets = 0
        self._left_out = 0
        self._told_at = float("-inf")
        self._waiting: deque[tuple[Shadowing, Keep]] = deque()
        self._giving: asyncio.Task[None] | None = None
        self._given_at = 0.0
        self._tasks: set[asyncio.Task[None]] = set()

    def take(self, octets: int) -> bool:
        """Is there a place for a message of this size? Then it must be given back by `give`."""
        if self._messages and (self._messages >= self._most_messages or self._octets + octets > self._most_octets):
            self._left_out += 1
            now = time.monotonic()
            if now - self._told_at >= TELL_EVERY_S:
                _log.warning("shadow left out", messages=self._left_out)
                self._told_at, self._left_out = now, 0
            return False
        self._messages += 1
        self._octets += octets
        return True

    def give(self, octets: int) -> None:
        """The place is free again."""
        self._messages -= 1
        self._octets -= octets

    def start(self, looking: "Shadowing", keep: Keep) -> None:
        """Let the plugins look when their turn has come, in the background, and hand what came of it to `keep`."""
        self._waiting.append((looking, keep))
        if self._giving is None or self._giving.done():
            self._giving = asyncio.create_task(self._give_turns(), name="turns of the shadow")

    async def stop(self) -> None:
        """Give up what is still looked at."""
        tasks = [*self._tasks, *([] if self._giving is None else [self._giving])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        while self._waiting:
            self._waiting.popleft()[0].leave()

    async def _give_turns(self) -> None:
        while self._waiting:
            computed, since = time.process_time(), time.monotonic()
            await asyncio.sleep(PAUSE_S)
            now = time.monotonic()
            if time.process_time() - computed < QUIET * (now - since) or now - self._given_at >= SAMPLE_S:
                self._given_at = now
                self._begin(*self._waiting.popleft())

    def _begin(self, looking: "Shadowing", keep: Keep) -> None:
        task = asyncio.create_task(self._run(looking, keep), name="shadow", context=looking.context)
        self._tasks.add(task)

        def over(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            looking.leave()

        task.add_done_callback(over)

    async def _run(self, looking: "Shadowing", keep: Keep) -> None:
        try:
            await keep(await looking.look())
        except Exception:  # noqa: BLE001  it costs the result of the shadow and nothing else
            _log.exception("shadow not recorded")


@dataclass(frozen=True, slots=True)
class Step:
    """One hook. arguments: what the plugins that count were given. earlier: the calls they had made by then."""

    hook: str
    arguments: Mapping[str, object]
    earlier: Calls


class Shadowing:
    """What is to look at one message, with a place for it. Use it once, by `look` or by `start`, or `leave` it."""

    def __init__(
        self,
        room: ShadowRoom,
        octets: int,
        chain: Chain,
        steps: tuple[Step, ...],
        limit_s: float,
        told: Callable[[Calls], Looked],
    ) -> None:
        """octets: of the message. limit_s: of each step. told: says what the calls of the shadowed plugins come to."""
        self._room = room
        self._octets = octets
        self._chain = chain
        self._steps = steps
        self._limit_s = limit_s
        self._told = told
        self._has_place = True
        self.context = contextvars.copy_context()
        """Of the message: what is asked for it is noted for it, whoever gives it its turn."""

    async def look(self) -> Looked:
        """Call the shadowed plugins now."""
        found: tuple[Called[object], ...] = ()
        for step in self._steps:
            deadline = time.monotonic() + self._limit_s
            calls = await self._chain.shadow(step.hook, step.arguments, (*step.earlier, *found), deadline)
            path = step.arguments.get("forward_path")
            found += about(path if isinstance(path, ForwardPath) else None, calls)
        return self._told(found)

    def start(self, keep: Keep) -> None:
        """Call them in the background, once the reply is on its way. keep: stores what came of it."""
        self._room.start(self, keep)

    def leave(self) -> None:
        """Nobody looks any more; twice is no error."""
        if self._has_place:
            self._has_place = False
            self._room.give(self._octets)
