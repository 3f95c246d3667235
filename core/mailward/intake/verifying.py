"""Is there anybody behind a forward-path of a relay domain? What the next hop said is remembered for a while.

Without this, mail for people who do not exist is taken and has to be bounced, to whoever the reverse-path names (T-RELAY-13).
Only the next hop's own word on RCPT is remembered as a no: a question that failed otherwise says nothing of the recipient,
whoever made it fail (T-RELAY-20).
"""

import asyncio
import random
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from mailward.intake.refusing import CoreRefusal
from mailward.model import replies
from mailward.model.address import ForwardPath

YES_S, NO_S, UNKNOWN_S = 12 * 3600.0, 3600.0, 60.0
"""How long an answer holds, give or take a fifth, so that not all are asked again at once."""
MOST_KEPT = 100_000
MOST_ASKED = 20
"""At the same time; who comes then is told as if the next hop had not answered."""

REFUSED_THERE = CoreRefusal("recipient verification", replies.UNKNOWN_RECIPIENT)
NOT_VERIFIED = CoreRefusal("recipient verification", replies.NOT_VERIFIED)

Ask = Callable[[ForwardPath], Awaitable[bool | None]]
"""True: the next hop takes mail for it. False: it does not, for good. None: not known now."""


@dataclass(frozen=True, slots=True)
class _Kept:
    known: bool | None
    until: float


class RecipientVerifier:
    """Belongs to one event loop. is_strict: who cannot be verified now is deferred, else taken."""

    def __init__(self, ask: Ask, *, is_strict: bool, chance: Callable[[], float] = random.random) -> None:
        self._ask = ask
        self._is_strict = is_strict
        self._chance = chance
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._asking: dict[str, asyncio.Task[bool | None]] = {}

    async def refusal(self, forward_path: ForwardPath) -> CoreRefusal | None:
        """Why it is not taken, None when it is."""
        known = await self._known(forward_path)
        if known is None:
            return NOT_VERIFIED if self._is_strict else None
        return None if known else REFUSED_THERE

    async def _known(self, forward_path: ForwardPath) -> bool | None:
        key, now = str(forward_path), asyncio.get_running_loop().time()
        kept = self._kept.get(key)
        if kept is not None and kept.until > now:
            self._kept.move_to_end(key)
            return kept.known
        task = self._asking.get(key)
        if task is None:
            if len(self._asking) >= MOST_ASKED:
                return None
            task = asyncio.create_task(self._find_out(key, forward_path), name="verify recipient")
            self._asking[key] = task
        # The answer is for others too, who may ask meanwhile or later: a client that hangs up does not end the question.
        return await asyncio.shield(task)

    async def _find_out(self, key: str, forward_path: ForwardPath) -> bool | None:
        try:
            known = await self._ask(forward_path)
        finally:
            del self._asking[key]
        span_s = UNKNOWN_S if known is None else YES_S if known else NO_S
        until = asyncio.get_running_loop().time() + span_s * (0.8 + 0.4 * self._chance())
        self._kept[key] = _Kept(known, until)
        self._kept.move_to_end(key)
        while len(self._kept) > MOST_KEPT:
            self._kept.popitem(last=False)
        return known
