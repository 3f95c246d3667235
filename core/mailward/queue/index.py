"""Which recipients are due: times on the monotonic clock, in memory, rebuilt from the spool at start."""

import heapq
import threading
from collections.abc import Iterable

from mailward.model.ids import QueueId


class DueIndex:
    """One time for each recipient, the one given last. Safe from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._heap: list[tuple[float, QueueId, int]] = []
        self._times: dict[tuple[QueueId, int], float] = {}

    def add(self, dues: Iterable[tuple[float, QueueId, int]]) -> None:
        """Note of recipients at which reading of the monotonic clock they are due."""
        with self._lock:
            for due in dues:
                due_s, queue_id, index = due
                self._times[queue_id, index] = due_s
                heapq.heappush(self._heap, due)

    def due_s(self, queue_id: QueueId, index: int) -> float | None:
        """The reading of the monotonic clock at which it is due, None when it has been taken."""
        return self._times.get((queue_id, index))

    def take(self, now_s: float, most: int | None = None) -> list[tuple[QueueId, int]]:
        """Remove and return what is due by now, the earliest first, so many at most."""
        due: list[tuple[QueueId, int]] = []
        with self._lock:
            while self._heap and self._heap[0][0] <= now_s and (most is None or len(due) < most):
                due_s, queue_id, index = heapq.heappop(self._heap)
                if self._times.get((queue_id, index)) == due_s:
                    del self._times[queue_id, index]
                    due.append((queue_id, index))
        return due
