"""Many threads, one transaction: whoever finds nobody at work leads and does what all the others wait for.

While the leader waits for the disk new work queues up behind it; the first of those leads next. Nothing is ever delayed
in the hope of company, so a lone thread pays nothing.
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

Work = TypeVar("Work")

_MOST_AT_ONCE = 256


class _Ticket(Generic[Work]):
    __slots__ = ("is_done", "turn", "work")

    def __init__(self, work: Work) -> None:
        self.work = work
        self.is_done = False
        self.turn = threading.Lock()
        self.turn.acquire()


class GroupCommit(Generic[Work]):
    """execute: does a batch and notes in each piece of work what became of it; only one call of it runs at a time."""

    def __init__(self, execute: Callable[[Sequence[Work]], None]) -> None:
        self._execute = execute
        self._lock = threading.Lock()
        self._waiting: deque[_Ticket[Work]] = deque()
        self._is_led = False

    def submit(self, work: Work) -> None:
        """Returns when the work was part of a batch that has ended. Raises what `execute` raised, in the leading thread."""
        ticket = _Ticket(work)
        with self._lock:
            self._waiting.append(ticket)
            leads = not self._is_led
            self._is_led = True
        if not leads:
            ticket.turn.acquire()
            if ticket.is_done:
                return
        self._lead()

    def _lead(self) -> None:
        with self._lock:
            batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), _MOST_AT_ONCE))]
        try:
            self._execute([ticket.work for ticket in batch])
        finally:
            with self._lock:
                successor = self._waiting[0] if self._waiting else None
                self._is_led = successor is not None
            if successor:
                successor.turn.release()
            for ticket in batch:
                ticket.is_done = True
                ticket.turn.release()
