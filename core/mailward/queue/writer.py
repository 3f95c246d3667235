"""The one thread that writes: gathers what waits into one batch, so that many messages share one sync.

While a batch is being written the next one gathers by itself; no timer delays a message. Jobs that nobody waits for
(journal marks) travel with the next batch, or on their own after `LAZY_S`.
"""

import asyncio
import contextlib
import threading
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Generic, TypeVar

J = TypeVar("J")

LAZY_S = 0.1

Waiter = tuple[asyncio.AbstractEventLoop, "asyncio.Future[None]"] | Future[None]
"""Who is told of the end: a coroutine on a loop, or a thread."""


class GroupWriter(Generic[J]):
    """Runs `perform(jobs)` in a thread of its own that starts with the first job, so that forking before is harmless."""

    def __init__(self, perform: Callable[[Sequence[J]], None], name: str) -> None:
        self._perform = perform
        self._name = name
        self._changed = threading.Condition()
        self._jobs: list[J] = []
        self._urgent = False
        self._stopping = False
        self._thread: threading.Thread | None = None

    def submit(self, jobs: Sequence[J], *, urgent: bool) -> bool:
        """Queue jobs, in order. urgent: somebody waits. Returns False, and does nothing, after `close`."""
        with self._changed:
            if self._stopping:
                return False
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()
            wake = not self._jobs or (urgent and not self._urgent)
            self._jobs += jobs
            self._urgent = self._urgent or urgent
            if wake:
                self._changed.notify()
        return True

    def close(self) -> None:
        """Perform what is queued and end the thread."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while jobs := self._next_batch():
            self._perform(jobs)

    def _next_batch(self) -> list[J]:
        """What is queued; waits until there is something. Empty when it is time to end."""
        with self._changed:
            while not self._jobs and not self._stopping:
                self._changed.wait()
            if not self._urgent and not self._stopping:
                self._changed.wait(LAZY_S)
            jobs, self._jobs, self._urgent = self._jobs, [], False
            return jobs


def complete(waiters: Sequence[Waiter], error: Exception | None) -> None:
    """Tell all of them, with one wake-up for each loop."""
    by_loop: dict[asyncio.AbstractEventLoop, list[asyncio.Future[None]]] = defaultdict(list)
    for waiter in waiters:
        if isinstance(waiter, Future):
            if not waiter.done():
                waiter.set_exception(error) if error else waiter.set_result(None)
        else:
            by_loop[waiter[0]].append(waiter[1])
    for loop, futures in by_loop.items():
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(_settle, futures, error)


def _settle(futures: Sequence["asyncio.Future[None]"], error: Exception | None) -> None:
    for future in futures:
        if future.done():  # cancelled meanwhile
            continue
        if error:
            future.set_exception(error)
        else:
            future.set_result(None)
