"""One attempt to deliver copies of one lane here: journalled as begun, sorted into folders, handed to the store.

Whatever goes wrong, the recipient stays in the spool.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

import structlog

from mailward.api.delivering import FolderChoice
from mailward.api.services import Clock
from mailward.delivery.fate import mailbox_full, refused, removed, too_late
from mailward.delivery.local_results import LocalResults
from mailward.delivery.local_task import Lane, LocalTask, Served
from mailward.delivery.mda import Copy
from mailward.delivery.sorting import ForQueue, Sorted, Unwanted
from mailward.formats.mailbox_names import INBOX
from mailward.model.errors import HooksUnavailable, StorageError
from mailward.model.ids import AccountId, QueueId
from mailward.pipeline.folders import Chosen
from mailward.queue.agenda import set_aside
from mailward.queue.item import QueuedRecipient
from mailward.queue.schedule import GIVE_UP_AFTER_S, is_given_up
from mailward.queue.spool import NotHere, Spool
from mailward.store.refusals import OverQuota

log = structlog.get_logger("mailward.delivery")


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


class LocalAttempts:
    """Safe from any thread.

    leave: gives a message to the queue process. has_account: is there such an account still? sorter: asks who chooses folders;
    None where nobody does. give_up_after_s: a folder that no plugin could choose in this time, since delivery could begin, is
    INBOX. waits_for_room: so long, where a mailbox is full; else its mail goes back at once.
    """

    def __init__(
        self,
        spool: Spool,
        mda: Deliverer,
        results: LocalResults,
        leave: Callable[[QueueId], None],
        clock: Clock,
        *,
        has_account: Callable[[AccountId], bool] = lambda account: True,
        sorter: Sorting | None = None,
        give_up_after_s: float = GIVE_UP_AFTER_S,
        waits_for_room: bool = True,
    ) -> None:
        self._spool = spool
        self._mda = mda
        self._results = results
        self._leave = leave
        self._clock = clock
        self._has_account = has_account
        self._sorter = sorter
        self._give_up_after_s = give_up_after_s
        self._waits_for_room = waits_for_room

    def make(self, tasks: Sequence[LocalTask]) -> list[Served]:
        """Serve recipients of one lane and journal for whom it failed. Returns the others."""
        adopted = [(task.item.id, task.index) for task in tasks if task.agenda]
        begun = self._spool.begin_attempts(adopted) if adopted else frozenset()
        copies: dict[Lane, list[tuple[LocalTask, Copy]]] = defaultdict(list)
        octets: dict[QueueId, bytes] = {}
        for task in tasks:
            if task.agenda and (task.item.id, task.index) not in begun:
                continue  # held, dropped or under way meanwhile
            if task.agenda and task.is_too_late(self._clock.now()):
                self._results.returned(task, too_late(task.item.deliver_by))
                continue
            if not self._is_there(task.recipient):
                if task.agenda:
                    self._results.returned(task, removed())
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
                    self._results.failed(task, str(error))
        return [pair for some in copies.values() for pair in self._deliver(self._sorted(some))]

    def _is_there(self, recipient: QueuedRecipient) -> bool:
        """An account may be removed while mail for it waits (T-Q-18). Raises StorageError."""
        return recipient.route != "mailbox" or self._has_account(AccountId(recipient.account))

    def _sorted(self, copies: Sequence[tuple[LocalTask, Copy]]) -> Sequence[tuple[LocalTask, Copy]]:
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
                self._results.returned(task, refused(answer.reason, answer.text))
            elif isinstance(answer, HooksUnavailable) and self._is_waited_for_in_vain(task):
                known.append((task, replace(copy, chosen=Chosen("the server", FolderChoice(INBOX, f"given up: {answer}")))))
            else:
                self._results.failed(task, str(answer))
        return known

    def _is_waited_for_in_vain(self, task: LocalTask) -> bool:
        """A failure more, and the folder is given up."""
        failures = self._results.failures(task) + 1
        return is_given_up(self._clock.now(), task.item.available_at, failures, self._give_up_after_s)

    def _deliver(self, copies: Sequence[tuple[LocalTask, Copy]]) -> list[Served]:
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
            self._results.failed(copies[0][0], str(error) or type(error).__name__)
            return []
        return [(task, outcome) for (task, _), outcome in zip(copies, outcomes, strict=True)]

    def _is_full(self, task: LocalTask, error: OverQuota) -> None:
        """The report to the sender is the queue process's."""
        if self._waits_for_room and not self._is_waited_for_in_vain(task):
            self._results.failed(task, f"mailbox full: {error}")
        elif task.agenda:
            self._results.returned(task, mailbox_full(str(error)))
        else:
            self._leave(task.item.id)
