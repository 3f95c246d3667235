"""Blocking or heavy work in a bounded pool of threads, so that the event loop never waits for it."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


class BlockingPool:
    """`mailward.api.RunBlocking`. Threads are made when they are first needed, so forking before is harmless."""

    def __init__(self, threads: int = 8) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="blocking")

    async def __call__(self, function: Callable[[], T]) -> T:
        """The function's result; its exceptions come as they are."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, function)

    def close(self) -> None:
        """Take no further work; what runs is not waited for."""
        self._pool.shutdown(wait=False, cancel_futures=True)
