"""What many ask for at the same time is done in one go, in a thread: one hand-over, one write, one transaction for all."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")

MOST = 50
"""In one go, so that nobody waits long for the work of others."""


class Together(Generic[T, R]):
    """perform: the answers in the order of what was asked; where it raises, everybody who asked hears that.

    While one batch is done the next gathers by itself; no timer delays anybody. Belongs to one event loop.
    """

    def __init__(self, perform: Callable[[Sequence[T]], Sequence[R]]) -> None:
        self._perform = perform
        self._waiting: list[tuple[T, asyncio.Future[R]]] = []
        self._running: asyncio.Task[None] | None = None

    async def ask(self, one: T) -> R:
        """The answer to this one. Raises what `perform` raises."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[R] = loop.create_future()
        self._waiting.append((one, answer))
        if self._running is None:
            self._running = loop.create_task(self._run())
        return await answer

    async def _run(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
                try:
                    answers = await asyncio.to_thread(self._perform, [one for one, _ in batch])
                except Exception as error:  # noqa: BLE001  whoever asked deals with it
                    for _, waiter in batch:
                        if not waiter.done():
                            waiter.set_exception(error)
                else:
                    for (_, waiter), answer in zip(batch, answers, strict=True):
                        if not waiter.done():  # cancelled meanwhile
                            waiter.set_result(answer)
        finally:
            self._running = None
