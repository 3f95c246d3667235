"""Where calls that block run: no account has more than a few threads, however many sessions it opens (T-DOS-07).

So whoever has ten searches going on waits for himself, and everybody else finds a thread. What takes much memory is done one call
at a time, of all that a process serves. Nearly every command goes to a thread and back, so both ways are as short as can be: the
queue that a thread waits at, and one callback of the loop.
"""

import asyncio
import threading
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from typing import TypeVar
from weakref import WeakValueDictionary, finalize

from mailward.model.ids import AccountId

T = TypeVar("T")

THREADS = 32
"""Of a process. They wait for the disk, or for their turn at the interpreter."""
OF_ACCOUNT = 2

_Calls = SimpleQueue[Callable[[], None] | None]


class Threads:
    """Belongs to one event loop."""

    def __init__(self, most: int = THREADS, of_account: int = OF_ACCOUNT) -> None:
        self._most = most
        self._of_account = of_account
        self._places: WeakValueDictionary[AccountId | None, asyncio.Semaphore] = WeakValueDictionary()
        self._queues: WeakValueDictionary[AccountId | None, asyncio.Lock] = WeakValueDictionary()
        self._turn = asyncio.Lock()
        self._calls: _Calls = SimpleQueue()
        self._started = 0
        self._busy = 0
        finalize(self, self._calls.put, None)

    async def run(self, account: AccountId | None, function: Callable[[], T]) -> T:
        """What the function returns, or raises. account: for whom; nothing blocks before a login.

        Whoever is cancelled meanwhile has its place until the function has ended.
        """
        places = self._places_of(account)
        await places.acquire()
        return await self._call(function, places.release)

    async def run_alone(self, account: AccountId | None, function: Callable[[], T]) -> T:
        """As `run`, for what takes much memory: while the function runs, no other does that came this way.

        In the order in which they are asked for, but no account waits for two at once: however many sessions somebody opens,
        others wait for one call of his, and not while he waits for a place.
        """
        places = self._places_of(account)
        async with self._queue_of(account):
            await places.acquire()
            try:
                await self._turn.acquire()
            except asyncio.CancelledError:
                places.release()
                raise

            def give_back() -> None:
                self._turn.release()
                places.release()

            return await self._call(function, give_back)

    def _places_of(self, account: AccountId | None) -> asyncio.Semaphore:
        assert account is not None, "all who have not logged in would share the places of one account"
        places = self._places.get(account)
        if places is None:
            places = self._places[account] = asyncio.Semaphore(self._of_account)
        return places

    def _queue_of(self, account: AccountId | None) -> asyncio.Lock:
        queue = self._queues.get(account)
        if queue is None:
            queue = self._queues[account] = asyncio.Lock()
        return queue

    async def _call(self, function: Callable[[], T], give_back: Callable[[], None]) -> T:
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[T] = loop.create_future()

        def over(settle: Callable[[], None]) -> None:
            self._busy -= 1
            give_back()
            if not outcome.cancelled():
                settle()

        def call() -> None:
            try:
                settle = partial(outcome.set_result, function())
            except BaseException as error:  # noqa: BLE001  it is raised where the call was asked for
                settle = partial(outcome.set_exception, error)
            if not loop.is_closed():
                loop.call_soon_threadsafe(over, settle)

        self._busy += 1
        if self._busy > self._started < self._most:
            self._started += 1
            threading.Thread(target=_work, args=(self._calls,), name=f"access {self._started}", daemon=True).start()
        self._calls.put(call)
        return await outcome


def _work(calls: _Calls) -> None:
    """One thread, until nobody can give it work any more."""
    while (call := calls.get()) is not None:
        call()
        del call  # with all it holds
    calls.put(None)
