"""What became of each recipient of a local delivery: journalled, told to a sender who wants to know, and shown by `explain`."""

import asyncio
import random
from collections.abc import Callable, Coroutine, Sequence
from datetime import timedelta
from typing import TypeVar

import structlog

from mailward.api.services import Clock
from mailward.delivery.fate import Fate, delivered
from mailward.delivery.local_task import EXPANDED, LocalTask, Served, is_told
from mailward.delivery.ports import Decisions, Reports
from mailward.formats.dsn import Action
from mailward.model.decision import LaterEvent, utc_text
from mailward.model.errors import StorageError
from mailward.model.ids import QueueId
from mailward.queue.agenda import set_aside
from mailward.queue.item import QueueItem
from mailward.queue.schedule import ALARM_AFTER, delay_s
from mailward.queue.spool import Spool

log = structlog.get_logger("mailward.delivery")

T = TypeVar("T")


class LocalResults:
    """Safe from any thread. chance: randomness, from 0 up to 1."""

    loop: asyncio.AbstractEventLoop | None = None
    """Where reports are made; None in a process that makes none."""

    def __init__(
        self,
        spool: Spool,
        decisions: Decisions,
        clock: Clock,
        *,
        reports: Reports | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._spool = spool
        self._decisions = decisions
        self._clock = clock
        self._reports = reports
        self._chance = chance

    def taken(self, served: Sequence[Served]) -> None:
        """They are through: recorded, told to the sender, then marked in the journal."""
        try:
            self._record(served)
            self._tell(served)
        except StorageError as error:  # the item holds the record until it is kept; the delivery key prevents a second copy
            for task, outcome in served:
                self.failed(task, f"{outcome}; that could not be noted or told: {error}")
            return
        for task, outcome in served:
            self._spool.done(task.item.id, task.index, outcome)
            log.info("delivered", id=task.item.id, rcpt=task.recipient.forward_path, outcome=outcome)

    def failures(self, task: LocalTask) -> int:
        """How many attempts have failed."""
        state = self._spool.open_recipients(task.item.id).get(task.index)
        return 0 if state is None else state.failures

    def failed(self, task: LocalTask, text: str) -> None:
        """It stays open, and is tried again later."""
        failures = self.failures(task) + 1
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

    def returned(self, task: LocalTask, fate: Fate) -> None:
        """It is never delivered. The report is certain before the mark."""
        try:
            kept = self._report(task.item, "failed", {task.index: fate})
            self._record([(task, f"failed: {fate.text}; {kept}" if kept else f"failed: {fate.text}")])
            self._on_loop(self._spool.finish([(task.item.id, task.index, fate.text)]))
        except StorageError as error:
            if not error.permanent or not set_aside(self._spool, task.item.id, error):
                self.failed(task, f"{fate.text}; that could not be noted or told: {error}")
            return
        log.warning("not delivered", id=task.item.id, rcpt=task.recipient.forward_path, how=fate.text)

    def _tell(self, served: Sequence[Served]) -> None:
        """Report deliveries to senders who asked for that. A crash before the marks repeats the report, not the delivery."""
        told: dict[tuple[QueueId, Action], tuple[QueueItem, dict[int, Fate]]] = {}
        for task, outcome in served:
            if is_told(task.recipient):
                action: Action = "expanded" if task.recipient.route == EXPANDED else "delivered"
                told.setdefault((task.item.id, action), (task.item, {}))[1][task.index] = delivered(outcome)
        for (_, action), (item, fates) in told.items():
            self._report(item, action, fates)

    def _report(self, item: QueueItem, action: Action, fates: dict[int, Fate]) -> str:
        """Returns as `Reports.tell` does."""
        if self._reports is None or self.loop is None:
            return ""
        return self._on_loop(self._reports.tell(item, action, fates, self._clock.now()))

    def _on_loop(self, work: Coroutine[object, object, T]) -> T:
        """Done when this returns."""
        assert self.loop is not None
        return asyncio.run_coroutine_threadsafe(work, self.loop).result()

    def _record(self, happened: Sequence[Served]) -> None:
        """Copy the decision records out of the items, which may be gone soon, and add what happened."""
        at = utc_text(self._clock.now())
        self._decisions.add_all(
            [(task.item.decision, (LaterEvent(at, task.recipient.forward_path, text),)) for task, text in happened]
        )
