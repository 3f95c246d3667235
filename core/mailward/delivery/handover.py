"""Leaves messages to the queue process, which relays them: many together, so that not each of them costs a segment."""

import threading

from mailward.model.ids import QueueId
from mailward.queue.spool import Spool

GATHER_S = 0.2


class HandOver:
    """Safe from any thread."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._lock = threading.Lock()
        self._leaving: list[QueueId] = []
        self._timer: threading.Timer | None = None

    def leave(self, queue_id: QueueId) -> None:
        """This process is through with the message; what is open in it is for others. Returns at once."""
        with self._lock:
            self._leaving.append(queue_id)
            if self._timer is None:
                self._timer = threading.Timer(GATHER_S, self.flush)
                self._timer.daemon = True
                self._timer.start()

    def flush(self) -> None:
        """Leave what has gathered now."""
        with self._lock:
            leaving, self._leaving = self._leaving, []
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
        if leaving:
            self._spool.leave(*leaving)
