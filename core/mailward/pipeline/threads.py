"""Where do blocking hooks run? In a few daemon threads of their own plugin, so that a stuck one takes nobody else's.

A thread cannot be stopped from outside. One that does not come back is left behind and counted; when all threads of a plugin
are lost in that way, its next call fails at once instead of waiting. One whose caller went away is not lost before its time is
over: a client that hangs up must not make the calls of others fail. Daemon threads never keep the process from exiting, which
those of `concurrent.futures` do.
"""

import asyncio
import queue
import threading
import time
from collections.abc import Callable
from typing import Any, Generic, TypeVar

T = TypeVar("T")

THREADS_A_PLUGIN = 8


class AllStuck(Exception):
    """Every thread of this plugin is busy with a call that was given up."""


class _Job(Generic[T]):
    __slots__ = ("abandoned", "function", "future", "loop", "started", "started_at")

    def __init__(self, function: Callable[[], T]) -> None:
        self.function = function
        self.loop = asyncio.get_running_loop()
        self.future: asyncio.Future[T] = self.loop.create_future()
        self.started = False
        self.started_at = 0.0
        self.abandoned = False


class DaemonThreads:
    """At most `size` threads, started when needed. Usable from any event loop. limit_s: so long a call may take."""

    def __init__(self, name: str, limit_s: float, size: int = THREADS_A_PLUGIN) -> None:
        self._name = name
        self._limit_s = limit_s
        self._size = size
        self._jobs: queue.SimpleQueue[_Job[object]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._threads = 0
        self._free = 0  # threads waiting for a job, less the jobs already on their way to them
        self._left: set[_Job[Any]] = set()  # given up, and still running

    @property
    def stuck(self) -> int:
        """How many threads are busy with a call that was given up and had all its time."""
        long_ago = time.monotonic() - self._limit_s
        with self._lock:
            return sum(job.started_at <= long_ago for job in self._left)

    async def run(self, function: Callable[[], T]) -> T:
        """The result of `function`, called in a thread. When this is cancelled, the thread is left behind. Raises AllStuck."""
        if len(self._left) >= self._size and self.stuck >= self._size:
            raise AllStuck
        job = _Job(function)
        self._put(job)  # type: ignore[arg-type]  # the queue does not care what its jobs return
        try:
            return await job.future
        finally:
            self._leave(job)

    def _put(self, job: _Job[object]) -> None:
        with self._lock:
            self._free -= 1
            start = self._free < 0 and self._threads < self._size
            if start:
                self._threads += 1
                self._free += 1
        self._jobs.put(job)
        if start:
            threading.Thread(target=self._work, name=f"plugin {self._name}", daemon=True).start()

    def _leave(self, job: _Job[T]) -> None:
        if not job.future.cancelled():
            return
        with self._lock:
            job.abandoned = True
            if job.started:
                self._left.add(job)

    def _work(self) -> None:
        while True:
            job = self._jobs.get()
            with self._lock:
                job.started, job.started_at = not job.abandoned, time.monotonic()
            if job.started:
                self._run(job)
            with self._lock:
                self._free += 1

    def _run(self, job: _Job[object]) -> None:
        result: object = None
        failure: BaseException | None = None
        try:
            result = job.function()
        except BaseException as error:  # noqa: BLE001  the caller gets it, whatever it is
            failure = error
        with self._lock:
            if job.abandoned:
                self._left.discard(job)
                return
            # Under the lock: from here on the job is over and can no longer count as stuck.
            job.started = False
        try:
            job.loop.call_soon_threadsafe(_settle, job.future, result, failure)
        except RuntimeError:
            return  # the loop is closed, so nobody waits any more


def _settle(future: "asyncio.Future[object]", result: object, failure: BaseException | None) -> None:
    if future.done():
        return
    if failure is None:
        future.set_result(result)
    else:
        # StopIteration cannot be raised into a Future, and SystemExit would end the loop that waits for it.
        future.set_exception(
            failure if isinstance(failure, Exception) and not isinstance(failure, StopIteration) else Escaped(failure)
        )


class Escaped(Exception):
    """An exception that would have ended more than the function that raised it; `original` is it."""

    def __init__(self, original: BaseException) -> None:
        super().__init__(f"{type(original).__name__}: {original}")
        self.original = original
