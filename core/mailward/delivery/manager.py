"""Who makes which local delivery when: the first in the worker that took the mail, all others in the queue process.

Work waits in one lane for each account (or other route), so that copies for one account share a transaction of the
store, and one slow account holds up nobody. Who wants to hear of a delivery (RFC 3461) hears it from the queue process, in
one report about a message, so such a message has a lane of its own there. A fixed number of threads serves the lanes in
turn, and one more notes what became of everybody, in one transaction for all that was delivered in a moment. Whatever goes wrong
in an attempt, the recipient stays in the spool; the journal there, not the memory here, is what counts.
"""

import asyncio
import random
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import structlog

from mailward.api.services import Clock
from mailward.delivery.handover import HandOver
from mailward.delivery.local_attempts import Deliverer, LocalAttempts, Sorting
from mailward.delivery.local_results import LocalResults
from mailward.delivery.local_task import DISCARD, ROUTES, Lane, LocalTask, Served, ids, is_told
from mailward.delivery.ports import Decisions, Reports
from mailward.model.ids import AccountId, QueueId
from mailward.queue.agenda import Agenda
from mailward.queue.item import QueueItem
from mailward.queue.schedule import GIVE_UP_AFTER_S
from mailward.queue.spool import Spool
from mailward.queue.writer import GroupWriter

THREADS = 4
MOST_COPIES = 32
MOST_COPY_OCTETS = 8 << 20
"""How much is delivered to one account in one transaction."""
MOST_WAITING = 10_000
"""Above so many recipients waiting in memory, further mail is left on the disk: to the queue process, or to its next pass."""

log = structlog.get_logger("mailward.delivery")

SUSPECTS: Lane = ("suspect", "")
"""Recipients whose last attempt began and never ended: one at a time, when nothing else is under way (T-Q-08)."""


class DeliveryManager:
    """One for each process that delivers. reports: for what is delivered in passes; the rest is as `LocalAttempts` has it."""

    def __init__(
        self,
        spool: Spool,
        mda: Deliverer,
        decisions: Decisions,
        clock: Clock,
        *,
        reports: Reports | None = None,
        has_account: Callable[[AccountId], bool] = lambda account: True,
        sorter: Sorting | None = None,
        give_up_after_s: float = GIVE_UP_AFTER_S,
        waits_for_room: bool = True,
        threads: int = THREADS,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._results = LocalResults(spool, decisions, clock, reports=reports, chance=chance)
        self._attempts = LocalAttempts(
            spool,
            mda,
            self._results,
            self._leave,
            clock,
            has_account=has_account,
            sorter=sorter,
            give_up_after_s=give_up_after_s,
            waits_for_room=waits_for_room,
        )
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="delivery")
        self._notes: GroupWriter[Served] = GroupWriter(self._note, "delivered")
        self._state = threading.Condition()
        self._lanes: dict[Lane, deque[LocalTask]] = defaultdict(deque)
        self._busy: set[Lane] = set()
        self._waiting = 0
        self._unnoted = 0
        self._stopping = False
        self._hand_over = HandOver(spool)
        self._with_others: dict[QueueId, int] = {}  # messages that somebody else must finish: recipients that are still ours

    # What comes in

    def offer(self, item: QueueItem) -> None:
        """Deliver a message that was just committed to this process's spool. Returns at once; safe from any thread."""
        ours = [n for n, recipient in enumerate(item.recipients) if recipient.route in ROUTES and not is_told(recipient)]
        if item.hold_until:
            ours = [n for n in ours if item.recipients[n].route == "quarantine"]
        tasks = [LocalTask(item, index) for index in ours]
        if tasks and len(tasks) < len(item.recipients):
            with self._state:
                self._with_others[item.id] = len(tasks)
        if not tasks or not self._queue(tasks):
            self._leave(item.id)

    async def stop(self) -> None:
        """Finish the attempts under way. What waits stays in the spool."""
        with self._state:
            self._stopping = True
        await asyncio.to_thread(self._threads.shutdown, wait=True, cancel_futures=True)
        await asyncio.to_thread(self._notes.close)
        self._hand_over.flush()

    def wait_idle(self) -> None:
        """Block until nothing is waiting or under way, and everything is noted."""
        with self._state:
            self._state.wait_for(lambda: not self._busy and not self._waiting and not self._unnoted)

    # The queue process

    async def run_pass(self, agenda: Agenda) -> None:
        """Begin what is due, without waiting for how it goes; what there is no room for in memory is left to a later pass."""
        self._results.loop = asyncio.get_running_loop()
        with self._state:
            room = MOST_WAITING - self._waiting - self._unnoted
        if room <= 0:
            return
        due = await asyncio.to_thread(agenda.take, ROUTES, room)
        self._queue([LocalTask(d.item, d.index, agenda) for d in due if not d.is_suspect])
        self._queue([LocalTask(d.item, d.index, agenda) for d in due if d.is_suspect], SUSPECTS)

    # Lanes

    def _queue(self, tasks: Sequence[LocalTask], lane: Lane | None = None) -> bool:
        """Put tasks into their lanes, or all into one. False when there is no room for them."""
        with self._state:
            if self._stopping or (self._waiting + self._unnoted > MOST_WAITING and not any(task.agenda for task in tasks)):
                return False
            self._to_be_noted([(task, "discarded by route") for task in tasks if task.recipient.route == DISCARD])
            tasks = [task for task in tasks if task.recipient.route != DISCARD]
            for task in tasks:
                self._lanes[lane or task.lane].append(task)
            self._waiting += len(tasks)
            for named in {lane or task.lane for task in tasks}:
                self._start(named)
        return True

    def _start(self, lane: Lane) -> None:
        """Give a lane with work to the threads, unless one has it. Called with the lock held."""
        if self._stopping or lane in self._busy or not self._lanes.get(lane) or (lane == SUSPECTS and self._busy):
            return
        self._busy.add(lane)
        self._threads.submit(self._serve, lane)

    def _serve(self, lane: Lane) -> None:
        """One batch of one lane, in a thread; the lane then goes to the end of the line."""
        tasks = self._take(lane)
        served: list[Served] = []
        try:
            served = self._attempts.make(tasks)
            if lane == SUSPECTS:  # before the next of them, which may end the process: then this one must not be suspected again
                self._results.taken(served)
                served = []
        except Exception:
            log.exception("delivery failed unforeseen", ids=ids(tasks))
            self._forsake(tasks)
        finally:
            with self._state:
                self._busy.discard(lane)
                self._to_be_noted(served)
                delivered = {(task.item.id, task.index) for task, _ in served}
                for task in tasks:
                    if (task.item.id, task.index) not in delivered:
                        self._through(task.item.id)
                self._start(lane)
                self._start(SUSPECTS)
                self._state.notify_all()

    def _forsake(self, tasks: Sequence[LocalTask]) -> None:
        """The recipients stay open in the spool: a worker leaves them to the queue process, which tries them again later."""
        for task in tasks:
            if task.agenda is None:
                self._leave(task.item.id)
                continue
            try:
                self._results.failed(task, "an unforeseen failure, see the log")
            except Exception:  # the others must not wait for a restart because of it
                log.exception("failure not noted", id=task.item.id)

    def _through(self, queue_id: QueueId) -> None:
        """One of our recipients is served or left; with the last one the others' turn comes. Called with the lock held."""
        left = self._with_others.get(queue_id, 0) - 1
        if left > 0:
            self._with_others[queue_id] = left
        elif self._with_others.pop(queue_id, None) is not None:
            self._hand_over.leave(queue_id)

    def _leave(self, queue_id: QueueId) -> None:
        with self._state:
            self._with_others.pop(queue_id, None)
        self._hand_over.leave(queue_id)

    def _take(self, lane: Lane) -> list[LocalTask]:
        tasks: list[LocalTask] = []
        size_octets = 0
        with self._state:
            waiting = self._lanes[lane]
            while waiting and len(tasks) < (1 if lane == SUSPECTS else MOST_COPIES):
                size_octets += waiting[0].item.size_octets
                if tasks and size_octets > MOST_COPY_OCTETS:
                    break
                tasks.append(waiting.popleft())
            if not waiting:
                del self._lanes[lane]
            self._waiting -= len(tasks)
        return tasks

    # Notes

    def _to_be_noted(self, served: Sequence[Served]) -> None:
        """Called with the lock held. What is not noted before the end of this process is delivered once more, in vain."""
        if served and self._notes.submit(served, urgent=False):
            self._unnoted += len(served)

    def _note(self, served: Sequence[Served]) -> None:
        """Write down what became of recipients who are through, and let go of their messages."""
        try:
            self._results.taken(served)
        except Exception:
            tasks = [task for task, _ in served]
            log.exception("deliveries not noted, unforeseen", ids=ids(tasks))
            self._forsake(tasks)
        with self._state:
            self._unnoted -= len(served)
            for task, _ in served:
                self._through(task.item.id)
            self._state.notify_all()
