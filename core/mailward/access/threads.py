"""Where calls that block run: no account has more than a few threads, however many sessions it opens (T-DOS-07).

So whoever has ten searches going on waits for himself, and everybody else finds a thread.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import TypeVar
from weakref import WeakValueDictionary

from mailward.model.ids import AccountId

T = TypeVar("T")

THREADS = 32
"""Of a process. They wait for the disk, or for their turn at the interpreter."""
OF_ACCOUNT = 2


class Threads:
    """Belongs to one event loop."""

    def __init__(self, most: int = THREADS, of_account: int = OF_ACCOUNT) -> None:
        self._pool = ThreadPoolExecutor(most, "access")
        self._of_account = of_account
        self._places: WeakValueDictionary[AccountId | None, asyncio.Semaphore] = WeakValueDictionary()

    async def run(self, account: AccountId | None, function: Callable[[], T]) -> T:
        """What the function returns, or raises. account: for whom; None before a login, which all share who have not logged in.

        Whoever is cancelled meanwhile has its place until the function has ended.
        """
        places = self._places.get(account)
        if places is None:
            places = self._places[account] = asyncio.Semaphore(self._of_account)
        await places.acquire()
        loop = asyncio.get_running_loop()
        work = self._pool.submit(function)
        work.add_done_callback(partial(_give_back, loop, places))
        return await asyncio.wrap_future(work)


def _give_back(loop: asyncio.AbstractEventLoop, places: asyncio.Semaphore, _: "Future[T]") -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(places.release)
