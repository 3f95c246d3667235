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
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol, TypeVar

import structlog

from mailward.api.delivering import FolderChoice
from mailward.api.services import Clock
from mailward.delivery.fate import Fate, delivered, mailbox_full, refused, removed, too_late
from mailward.delivery.handover import HandOver
from mailward.delivery.mda import Copy
from mailward.delivery.ports import Decisions, Reports
from mailward.delivery.sorting import ForQueue, Sorted, Unwanted
from mailward.formats.dsn import Action
from mailward.model.decision import LaterEvent, utc_text
from mailward.model.errors import HooksUnavailable, StorageError
from mailward.model.ids import AccountId, QueueId
from mailward.pipeline.folders import Chosen
from mailward.queue.agenda import Agenda, set_aside
from mailward.queue.item import QueuedRecipient, QueueItem
from mailward.queue.schedule import ALARM_AFTER, GIVE_UP_AFTER_S, delay_s, is_given_up
from mailward.queue.spool import NotHere, Spool
from mailward.queue.writer import GroupWriter
from mailward.store.base import OverQuota

THREADS = 4
MOST_COPIES = 32
MOST_COPY_OCTETS = 8 << 20
"""How much is delivered to one account in one transaction."""
MOST_WAITING = 10_000
"""Above so many recipients waiting in memory, further mail is left on the disk: to the queue process, or to its next pass."""
DISCARD = "discard"
"""The route on which there is nothing to deliver, and so nothing to wait for."""
EXPANDED = "expanded"
"""The route on which there is nothing but the sender to be told that an alias led to several ends (RFC 3464 section 2.3.3)."""
ROUTES = ("mailbox", "quarantine", DISCARD, EXPANDED)
"""What is served here."""

log = structlog.get_logger("mailward.delivery")

T = TypeVar("T")
Lane = tuple[str, str]
"""Route and account, or "told" and the id of a message."""

SUSPECTS: Lane = ("suspect", "")
"""Recipients whose last attempt began and never ended: one at a time, when nothing else is under way (T-Q-08)."""


class Deliverer(Protocol):
    """What `Mda` does."""

    def deliver(self, copies: Sequence[Copy]) -> tuple[str, ...]:
        """Deliver copies of one lane: what became of each, in plain words. Raises when none, or all of them, were."""
        ...


class Sorting(Protocol):
    """What `Sorter` does."""

    def sort(self, copies: Sequence[Copy]) -> Sequence[Sorted]:
        """Copies of one lane with the folders that plugins choose, in their order. Raises StorageError."""
        ...


@dataclass(frozen=True, slots=True)
class _Task:
    """One recipient to be served. agenda: of the queue process, which tells the journal before it begins; None elsewhere."""

    item: QueueItem
    index: int
    agenda: Agenda | None = None

    @property
    def recipient(self) -> QueuedRecipient:
        return self.item.recipients[self.index]

    def is_too_late(self, now: datetime) -> bool:
        return self.recipient.route == "mailbox" and self.item.returns_at is not None and now >= self.item.returns_at

    @property
    def lane(self) -> Lane:
        return ("told", self.item.id) if _is_told(self.recipient) else (self.recipient.route, self.recipient.account)


_Served = tuple[_Task, str]
"""Who is through, and what became of the copy, in plain words."""


class DeliveryManager:
    """One for each process that delivers. chance: randomness, from 0 up to 1. reports: for what is delivered in passes.

    has_account: is there such an account still? sorter: asks who chooses folders; None where nobody does. give_up_after_s: a
    folder that no plugin could choose in this time, since delivery could begin, is INBOX. waits_for_room: so long, where a
    mailbox is full; else its mail goes back at once.
    """

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
        self._reports = reports
        self._has_account = has_account
        self._sorter = sorter
        self._give_up_after_s = give_up_after_s
        self._waits_for_room = waits_for_room
        self._loop: asyncio.AbstractEventLoop | None = None
        self._spool = spool
        self._mda = mda
        self._decisions = decisions
        self._clock = clock
        self._chance = chance
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="delivery")
        self._notes: GroupWriter[_Served] = GroupWriter(self._note, "delivered")
        self._state = threading.Condition()
        self._lanes: dict[Lane, deque[_Task]] = defaultdict(deque)
        self._busy: set[Lane] = set()
        self._waiting = 0
        self._unnoted = 0
        self._stopping = False
        self._hand_over = HandOver(spool)
        self._with_others: dict[QueueId, int] = {}  # messages that somebody else must finish: recipients that are still ours

    # What comes in

    def offer(self, item: QueueItem) -> None:
        """Deliver a message that was just committed to this process's spool. Returns at once; safe from any thread."""
        ours = [n for n, recipient in enumerate(item.recipients) if recipient.route in ROUTES and not _is_told(recipient)]
        if item.hold_until:
            ours = [n for n in ours if item.recipients[n].route == "quarantine"]
        tasks = [_Task(item, index) for index in ours]
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
        self._loop = asyncio.get_running_loop()
        with self._state:
            room = MOST_WAITING - self._waiting - self._unnoted
        if room <= 0:
            return
        due = await asyncio.to_thread(agenda.take, ROUTES, room)
        self._queue([_Task(d.item, d.index, agenda) for d in due if not d.is_suspect])
        self._queue([_Task(d.item, d.index, agenda) for d in due if d.is_suspect], SUSPECTS)

    # Lanes

    def _queue(self, tasks: Sequence[_Task], lane: Lane | None = None) -> bool:
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
        served: list[_Served] = []
        try:
            served = self._attempt(tasks)
            if lane == SUSPECTS:  # before the next of them, which may end the process: then this one must not be suspected again
                self._write_down(served)
                served = []
        except Exception:
            log.exception("delivery failed unforeseen", ids=_ids(tasks))
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

    def _forsake(self, tasks: Sequence[_Task]) -> None:
        """The recipients stay open in the spool: a worker leaves them to the queue process, which tries them again later."""
        for task in tasks:
            if task.agenda is None:
                self._leave(task.item.id)
                continue
            try:
                self._failed(task, "an unforeseen failure, see the log")
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

    def _take(self, lane: Lane) -> list[_Task]:
        tasks: list[_Task] = []
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

    # Attempts

    def _attempt(self, tasks: Sequence[_Task]) -> list[_Served]:
        """Serve recipients of one lane and journal for whom it failed. Returns the others."""
        adopted = [(task.item.id, task.index) for task in tasks if task.agenda]
        begun = self._spool.begin_attempts(adopted) if adopted else frozenset()
        copies: dict[Lane, list[tuple[_Task, Copy]]] = defaultdict(list)
        octets: dict[QueueId, bytes] = {}
        for task in tasks:
            if task.agenda and (task.item.id, task.index) not in begun:
                continue  # held, dropped or under way meanwhile
            if task.agenda and task.is_too_late(self._clock.now()):
                self._return(task, too_late(task.item.deliver_by))
                continue
            if not self._is_there(task.recipient):
                if task.agenda:
                    self._return(task, removed())
                else:
                    self._leave(task.item.id)  # the queue process tells the sender
                continue
            try:
                if task.item.id not in octets:
                    octets[task.item.id] = self._spool.octets(task.item.id)
                account = (task.recipient.route, task.recipient.account)
                copies[account].append((task, Copy(task.item, task.index, octets[task.item.id])))
            except NotHere:
                continue
            except StorageError as error:
                if not error.permanent or not set_aside(self._spool, task.item.id, error):
                    self._failed(task, str(error))
        return [pair for some in copies.values() for pair in self._deliver(self._sorted(some))]

    def _is_there(self, recipient: QueuedRecipient) -> bool:
        """An account may be removed while mail for it waits (T-Q-18). Raises StorageError."""
        return recipient.route != "mailbox" or self._has_account(AccountId(recipient.account))

    def _return(self, task: _Task, fate: Fate) -> None:
        """It is never delivered. The report is certain before the mark."""
        try:
            kept = self._report(task.item, "failed", {task.index: fate})
            self._record([(task, f"failed: {fate.text}; {kept}" if kept else f"failed: {fate.text}")])
            self._on_loop(self._spool.finish([(task.item.id, task.index, fate.text)]))
        except StorageError as error:
            if not error.permanent or not set_aside(self._spool, task.item.id, error):
                self._failed(task, f"{fate.text}; that could not be noted or told: {error}")
            return
        log.warning("not delivered", id=task.item.id, rcpt=task.recipient.forward_path, how=fate.text)

    def _sorted(self, copies: Sequence[tuple[_Task, Copy]]) -> Sequence[tuple[_Task, Copy]]:
        """Those whose folder is known. A plugin that fails must not put mail into a wrong one, nor hide it for ever."""
        if self._sorter is None:
            return copies
        answers: Sequence[Sorted | StorageError]
        try:
            answers = self._sorter.sort([copy for _, copy in copies])
        except StorageError as error:
            answers = [error] * len(copies)
        known = []
        for (task, copy), answer in zip(copies, answers, strict=True):
            if isinstance(answer, Copy):
                known.append((task, answer))
            elif isinstance(answer, ForQueue):
                self._leave(task.item.id)
            elif isinstance(answer, Unwanted):
                self._return(task, refused(answer.reason, answer.text))
            elif isinstance(answer, HooksUnavailable) and self._is_waited_for_in_vain(task):
                known.append((task, replace(copy, chosen=Chosen("the server", FolderChoice("INBOX", f"given up: {answer}")))))
            else:
                self._failed(task, str(answer))
        return known

    def _is_waited_for_in_vain(self, task: _Task) -> bool:
        """A failure more, and the folder is given up."""
        state = self._spool.open_recipients(task.item.id).get(task.index)
        failures = 1 if state is None else state.failures + 1
        return is_given_up(self._clock.now(), task.item.available_at, failures, self._give_up_after_s)

    def _deliver(self, copies: Sequence[tuple[_Task, Copy]]) -> list[_Served]:
        """Copies of one account or other route. Returns what became of those that are through."""
        if not copies:
            return []
        try:
            outcomes = self._mda.deliver([copy for _, copy in copies])
        except Exception as error:
            if len(copies) > 1:  # one of them may be the reason; the others need not wait for it
                return [through for pair in copies for through in self._deliver([pair])]
            if isinstance(error, OverQuota):
                self._is_full(copies[0][0], error)
                return []
            if not isinstance(error, StorageError):
                log.exception("delivery failed unforeseen", id=copies[0][0].item.id)
            self._failed(copies[0][0], str(error) or type(error).__name__)
            return []
        return [(task, outcome) for (task, _), outcome in zip(copies, outcomes, strict=True)]

    def _is_full(self, task: _Task, error: OverQuota) -> None:
        """The report to the sender is the queue process's."""
        if self._waits_for_room and not self._is_waited_for_in_vain(task):
            self._failed(task, f"mailbox full: {error}")
        elif task.agenda:
            self._return(task, mailbox_full(str(error)))
        else:
            self._leave(task.item.id)

    # Notes

    def _to_be_noted(self, served: Sequence[_Served]) -> None:
        """Called with the lock held. What is not noted before the end of this process is delivered once more, in vain."""
        if served and self._notes.submit(served, urgent=False):
            self._unnoted += len(served)

    def _note(self, served: Sequence[_Served]) -> None:
        """Write down what became of recipients who are through, and let go of their messages."""
        try:
            self._write_down(served)
        except Exception:
            tasks = [task for task, _ in served]
            log.exception("deliveries not noted, unforeseen", ids=_ids(tasks))
            self._forsake(tasks)
        with self._state:
            self._unnoted -= len(served)
            for task, _ in served:
                self._through(task.item.id)
            self._state.notify_all()

    def _write_down(self, served: Sequence[_Served]) -> None:
        try:
            self._record(served)
            self._tell(served)
        except StorageError as error:  # the item holds the record until it is kept; the delivery key prevents a second copy
            for task, outcome in served:
                self._failed(task, f"{outcome}; that could not be noted or told: {error}")
            return
        for task, outcome in served:
            self._spool.done(task.item.id, task.index, outcome)
            log.info("delivered", id=task.item.id, rcpt=task.recipient.forward_path, outcome=outcome)

    def _tell(self, served: Sequence[_Served]) -> None:
        """Report deliveries to senders who asked for that. A crash before the marks repeats the report, not the delivery."""
        told: dict[tuple[QueueId, Action], tuple[QueueItem, dict[int, Fate]]] = {}
        for task, outcome in served:
            if _is_told(task.recipient):
                action: Action = "expanded" if task.recipient.route == EXPANDED else "delivered"
                told.setdefault((task.item.id, action), (task.item, {}))[1][task.index] = delivered(outcome)
        for (_, action), (item, fates) in told.items():
            self._report(item, action, fates)

    def _report(self, item: QueueItem, action: Action, fates: dict[int, Fate]) -> str:
        """Returns as `Reports.tell` does."""
        if self._reports is None or self._loop is None:
            return ""
        return self._on_loop(self._reports.tell(item, action, fates, self._clock.now()))

    def _on_loop(self, work: Coroutine[object, object, T]) -> T:
        """Done when this returns."""
        assert self._loop is not None
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def _failed(self, task: _Task, text: str) -> None:
        state = self._spool.open_recipients(task.item.id).get(task.index)
        failures = 1 if state is None else state.failures + 1
        now, wait_s = self._clock.now(), delay_s(failures, self._chance())
        if task.item.returns_at is not None and task.item.returns_at > now:
            wait_s = min(wait_s, (task.item.returns_at - now).total_seconds())
        next_at = now + timedelta(seconds=wait_s)
        self._spool.failed_attempt(task.item.id, task.index, text, next_at)
        if task.agenda:
            task.agenda.again(task.item.id, task.index, task.recipient.route, wait_s)
        tell = log.error if failures >= ALARM_AFTER else log.warning
        tell("delivery failed", id=task.item.id, rcpt=task.recipient.forward_path, attempt=failures, problem=text)
        try:
            self._record([(task, f"attempt {failures} failed, next after {utc_text(next_at)}: {text}")])
        except StorageError as error:
            log.warning("decision event lost", id=task.item.id, problem=str(error))

    def _record(self, happened: Sequence[_Served]) -> None:
        """Copy the decision records out of the items, which may be gone soon, and add what happened."""
        at = utc_text(self._clock.now())
        self._decisions.add_all(
            [(task.item.decision, (LaterEvent(at, task.recipient.forward_path, text),)) for task, text in happened]
        )


def _ids(tasks: Sequence[_Task]) -> list[QueueId]:
    return sorted({task.item.id for task in tasks})


def _is_told(recipient: QueuedRecipient) -> bool:
    """Does the sender want to hear of the delivery?"""
    return recipient.route in ("mailbox", EXPANDED) and recipient.parameters.wants("SUCCESS")
