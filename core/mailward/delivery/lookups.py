"""Which next hops are looked up when: a limited number at once, senders take turns, and of each domain once for all who wait."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Generic, TypeVar

import structlog

from mailward.delivery.lanes import Key, Turn, Turns
from mailward.delivery.places import Places
from mailward.delivery.static_hop import StaticHop

MOST_LOOKUPS = 200
"""At the same time."""

Way = tuple[str, StaticHop | None]
"""A domain, and where an order sends its mail instead."""

T = TypeVar("T")

log = structlog.get_logger("mailward.outbound")


@dataclass(slots=True, eq=False)
class _Lookup(Generic[T]):
    """For the next hop of a way. waiting: who waits for it. in_line: senders in whose turn it stands to begin."""

    way: Way
    waiting: list[T] = field(default_factory=list)
    in_line: set[Turn] = field(default_factory=set)
    is_begun: bool = False


class Lookups(Generic[T]):
    """look_up: the key of a way's next hop, the way itself when there is none. found: told of it, with all who waited.

    begin: makes a task that is waited for when the server stops.
    """

    def __init__(
        self,
        look_up: Callable[[Way], Awaitable[Key]],
        found: Callable[[Way, Key, Sequence[T]], None],
        begin: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]],
    ) -> None:
        self._look_up = look_up
        self._found = found
        self._begin = begin
        self._lookups: dict[Way, _Lookup[T]] = {}
        self._line: Turns[_Lookup[T]] = Turns()
        self._places = Places(MOST_LOOKUPS)
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = False

    def add(self, way: Way, turn: Turn, one: T) -> None:
        """It waits until the way is known."""
        lookup = self._lookups.setdefault(way, _Lookup(way))
        lookup.waiting.append(one)
        if not lookup.is_begun and turn not in lookup.in_line:
            lookup.in_line.add(turn)
            self._line.add(turn, lookup)
        self._start()

    def stop(self) -> None:
        """End those under way and begin no other; nobody is told."""
        self._stopping = True
        for task in self._tasks:
            task.cancel()

    def _start(self) -> None:
        while self._places.are_left and not self._stopping:
            turn = self._line.next(self._places.may)
            if turn is None:
                return
            _, lookup = self._line.take(turn)
            if lookup.is_begun:  # in another sender's turn
                continue
            lookup.is_begun = True
            self._places.take(turn[1])
            task = self._begin(self._find(lookup))
            self._tasks.add(task)
            task.add_done_callback(partial(self._ended, turn[1]))

    def _ended(self, sender: str, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._places.free(sender)
        self._start()

    async def _find(self, lookup: _Lookup[T]) -> None:
        key: Key = lookup.way
        try:
            key = await self._look_up(lookup.way)
        except Exception:  # an attempt meets the same, and then its mail waits
            log.exception("next hop not found, unforeseen", domain=lookup.way[0])
        del self._lookups[lookup.way]
        self._found(lookup.way, key, lookup.waiting)
