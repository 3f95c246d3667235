"""Where calls that block run: no account has more than a few threads, however many sessions it opens (T-DOS-07).

So whoever has ten searches going on waits for himself, and everybody else finds a thread. Nearly every command goes to a thread
and back, so both ways are as short as can be: the queue that a thread waits at, and one callback of the loop.
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
        self._calls: _Calls = SimpleQueue()
        self._started = 0
        self._busy = 0
        finalize(self, self._calls.put, None)

    async def run(self, account: AccountId | None, function: Callable[[], T]) -> T:
        """What the function returns, or raises. account: for whom; None before a login, which all share who have not logged in.

        Whoever is cancelled meanwhile has its place until the function has ended.
        """
        places = self._places.get(account)
        if places is None:
            places = self._places[account] = asyncio.Semaphore(self._of_account)
        await places.acquire()
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[T] = loop.create_future()

        def over(settle: Callable[[], None]) -> None:
            self._busy -= 1
            places.release()
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
