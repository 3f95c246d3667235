"""What is tried when in the queue process, which takes over all mail without an owner.

The one place that knows what is due, for every manager of the process: each takes what is due on its own routes, and says when
to try again. Nothing here counts after a crash; the journal in the spool does.
"""

import contextlib
import gc
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog

from mailward.api.services import Clock
from mailward.model.errors import StorageError
from mailward.model.ids import QueueId
from mailward.queue.index import DueIndex
from mailward.queue.item import QueueItem
from mailward.queue.recipient import OpenRecipient
from mailward.queue.schedule import FIRST_DELAY_S, remaining_s
from mailward.queue.spool import NotHere, Recipient, Spool

log = structlog.get_logger("mailward.queue")


@dataclass(frozen=True, slots=True)
class Due:
    """A recipient whose attempt is due. is_suspect: the last one began and never ended, so try it when nothing else is under
    way that its failure could take along (T-Q-08). is_ordered: by hand.
    """

    item: QueueItem
    index: int
    is_suspect: bool
    is_ordered: bool = False


@dataclass(slots=True, eq=False)
class Rest:
    """A next hop that is left alone for a while. words: why. waiting: who came meanwhile and waits for the end of it."""

    words: str
    waiting: set[Recipient] = field(default_factory=set)


class Agenda:
    """Safe from any thread. monotonic_s: a clock that never jumps."""

    def __init__(self, spool: Spool, clock: Clock, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self._spool = spool
        self._clock = clock
        self._monotonic_s = monotonic_s
        self._adopting = threading.Lock()
        self._by_route: defaultdict[str, DueIndex] = defaultdict(DueIndex)
        self._changing = threading.Lock()
        self._ordered: set[Recipient] = set()
        self._resting: dict[Recipient, Rest] = {}

    def adopt(self) -> bool:
        """Take over what is free, or some of it. Blocks for the disk. Returns whether there may be more."""
        with self._adopting, _no_collections():
            adoption = self._spool.adopt()
            for report in adoption.reports:
                log.error("spool damaged", file=report.name, problem=report.text, kept=report.kept)
            now, now_s = self._clock.now(), self._monotonic_s()
            by_route: defaultdict[str, list[tuple[float, QueueId, int]]] = defaultdict(list)
            for queue_id in adoption.items:
                for index, state in self._spool.open_recipients(queue_id).items():
                    if state.hold_reason:
                        log.error("held", id=queue_id, index=index, reason=state.hold_reason)
                    else:
                        by_route[state.route].append((now_s + _wait_s(state, now), queue_id, index))
            for route, dues in by_route.items():
                self._by_route[route].add(dues)
            if adoption.is_more:  # a long queue: of its millions of values none is garbage before its message is finished
                gc.collect()
                gc.freeze()
        return adoption.is_more

    def plan(self, queue_id: QueueId, index: int, *, is_ordered: bool = False) -> None:
        """Go by what the journal says now, when somebody has changed it: released, or due at once. is_ordered: by hand."""
        state = self._spool.open_recipients(queue_id).get(index)
        if state is not None and state.waiting and not state.hold_reason:
            if is_ordered:
                with self._changing:
                    self._ordered.add((queue_id, index))
            self.again(queue_id, index, state.route, _wait_s(state, self._clock.now()))

    def again(self, queue_id: QueueId, index: int, route: str, delay_s: float) -> None:
        """Let a recipient be due after so many seconds."""
        self._by_route[route].add([(self._monotonic_s() + delay_s, queue_id, index)])

    def rest(self, queue_id: QueueId, index: int, route: str, delay_s: float, rest: Rest) -> None:
        """Let it be due after so many seconds, or when the rest ends before."""
        with self._changing:
            self._resting[queue_id, index] = rest
            rest.waiting.add((queue_id, index))
        self.again(queue_id, index, route, delay_s)

    def end(self, rest: Rest, route: str) -> None:
        """Whoever waits for the end of it is due."""
        with self._changing:
            waiting = list(rest.waiting)
        for queue_id, index in waiting:
            self.again(queue_id, index, route, 0.0)

    def resting(self, queue_id: QueueId, index: int, route: str) -> tuple[datetime, str] | None:
        """Until when its next hop is left alone, and why; None when it is not waiting for that."""
        rest = self._resting.get((queue_id, index))
        due_s = self._by_route[route].due_s(queue_id, index)
        if rest is None or due_s is None:
            return None
        return self._clock.now() + timedelta(seconds=due_s - self._monotonic_s()), rest.words

    def _taken(self, recipient: Recipient) -> bool:
        """It waits no more, whatever for. Returns whether it was ordered by hand."""
        with self._changing:
            rest = self._resting.pop(recipient, None)
            if rest is not None:
                rest.waiting.discard(recipient)
            is_ordered = recipient in self._ordered
            self._ordered.discard(recipient)
        return is_ordered

    def take(self, routes: Collection[str], most: int | None = None) -> list[Due]:
        """What is due on these routes, the earliest first, so many at most of each; each is given out once, until it is planned
        again. Blocks.
        """
        found = []
        items: dict[QueueId, tuple[QueueItem, dict[int, OpenRecipient]]] = {}
        for route in routes:
            for queue_id, index in self._by_route[route].take(self._monotonic_s(), most):
                is_ordered = self._taken((queue_id, index))
                try:
                    if queue_id not in items:
                        items[queue_id] = (self._spool.item(queue_id), self._spool.open_recipients(queue_id))
                except NotHere:
                    continue
                except StorageError as error:
                    if not error.permanent or not set_aside(self._spool, queue_id, error):
                        log.error("queue item not readable, trying again", id=queue_id, problem=str(error))
                        self.again(queue_id, index, route, FIRST_DELAY_S)
                    continue
                item, states = items[queue_id]
                held_s = remaining_s(self._clock.now(), item.available_at)
                # Whoever wants it tried at once (RFC 4865); but what the policy keeps back is to be seen where admins look.
                if held_s > 0 and item.hold_until and route != "quarantine":
                    self.again(queue_id, index, route, held_s)
                    continue
                state = states.get(index)
                if state is not None and not state.hold_reason:
                    found.append(Due(item, index, state.begun > 0, is_ordered))
        return found


def _wait_s(state: OpenRecipient, now: datetime) -> float:
    """How long until the next attempt. One that never came to its end has no time of its own: the others must not wait for it,
    nor it for them.
    """
    return 0.0 if state.begun or not state.next_at else remaining_s(now, datetime.fromisoformat(state.next_at))


@contextlib.contextmanager
def _no_collections() -> Iterator[None]:
    """What is taken over stays, so to search it for garbage, again and again while it grows, is a sixth of the time in vain."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def set_aside(spool: Spool, queue_id: QueueId, error: StorageError) -> bool:
    """The spool's copy is damaged: keep what is left, tell the admin, and let the others flow (T-Q-13).

    False when that could not be done; then it waits like anything else that cannot be read.
    """
    try:
        report = spool.set_aside(queue_id, str(error))
    except NotHere:
        return True
    except Exception as failure:  # noqa: BLE001  whatever it is, the message is still there and must be tried again
        log.error("damaged message could not be set aside", id=queue_id, problem=str(failure))
        return False
    log.error("damaged message set aside", id=queue_id, problem=report.text, kept=report.kept)
    return True
