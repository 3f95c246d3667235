"""Which recipients of the queue does a `Selection` mean? Found a page at a time, so that no call lasts long (T-Q-17)."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from mailward.api.services import Clock
from mailward.delivery.calls import Progress, Selection, Status
from mailward.formats.text import one_line
from mailward.model.decision import utc_text
from mailward.model.errors import StorageError
from mailward.model.ids import QueueId
from mailward.queue.agenda import Agenda
from mailward.queue.item import QueueItem
from mailward.queue.recipient import OpenRecipient
from mailward.queue.spool import Spool

PAGE_RECIPIENTS = 100
"""Recipients that a call finds at most: so many fit into a line of the socket, whatever strangers wrote."""
PAGE_MESSAGES = 1000
"""Messages that a call looks at, whether it finds any or not."""

Selected = dict[QueueId, tuple[QueueItem, dict[int, OpenRecipient]]]


@dataclass(frozen=True, slots=True)
class Found:
    """Of one call."""

    selected: Selected
    progress: Progress


class Selecting:
    """Safe from any thread."""

    def __init__(self, spool: Spool, agenda: Agenda, clock: Clock) -> None:
        self._spool = spool
        self._agenda = agenda
        self._clock = clock
        self._known: Sequence[QueueId] = ()

    def page(self, selection: Selection, after: str, most_recipients: int | None = None) -> Found:
        """The next recipients by message. after: `following` of the call before, "" at first."""
        if not after or not self._known:
            self._known = self._spool.ids()  # sorted once for all pages: what comes in meanwhile is not of this question
        known = [QueueId(selection.id)] if selection.id else self._known
        after_id, _, after_index = after.partition(":")
        start = bisect_left(known, after_id)
        looked_at = known[start : start + PAGE_MESSAGES]
        selected: Selected = {}
        room = PAGE_RECIPIENTS if most_recipients is None else most_recipients
        following = f"{known[start + PAGE_MESSAGES]}:-1" if len(known) > start + PAGE_MESSAGES else ""
        looked = len(looked_at)
        for item, states in self._matching(selection, looked_at, after_id, int(after_index or -1)):
            if room <= 0:
                following = f"{item.id}:-1"
                looked = bisect_left(looked_at, item.id)
                break
            some = dict(sorted(states.items())[:room])
            selected[item.id] = (item, some)
            room -= len(some)
            if len(some) < len(states):
                following = f"{item.id}:{max(some)}"
                looked = bisect_left(looked_at, item.id)
                break
        if not following:
            self._known = ()
        return Found(selected, Progress(following, looked, len(known)))

    def _matching(
        self, selection: Selection, ids: Sequence[QueueId], after_id: str, after_index: int
    ) -> Iterator[tuple[QueueItem, dict[int, OpenRecipient]]]:
        now = self._clock.now()
        latest = utc_text(now - timedelta(seconds=selection.older_than_s)) if selection.older_than_s else ""
        for queue_id in ids:
            try:
                item = self._spool.item(queue_id)
            except StorageError:  # finished meanwhile, or damaged: then the next attempt reports it and sets it aside
                continue
            if (latest and item.received_at > latest) or not is_from(item, selection.reverse_path):
                continue
            first = after_index + 1 if queue_id == after_id else 0
            states = {
                index: state
                for index, state in self._spool.open_recipients(queue_id).items()
                if index >= first
                and is_in(item.recipients[index].forward_path, selection.to)
                and selection.status in ("", status_of(item, state, now))
                and self._has(queue_id, index, state, selection.problem)
            }
            if states:
                yield item, states

    def _has(self, queue_id: QueueId, index: int, state: OpenRecipient, problem: str) -> bool:
        """Is this in what keeps it here?"""
        wanted = problem.lower()
        if wanted in one_line(state.text).lower() or wanted in state.hold_reason.lower():
            return True
        resting = self._agenda.resting(queue_id, index, state.route)
        return resting is not None and wanted in one_line(resting[1]).lower()


def status_of(item: QueueItem, state: OpenRecipient, now: datetime) -> Status:
    """What a recipient waits for."""
    if state.hold_reason:
        return "held"
    if not state.waiting:
        return "under way"
    return "postponed" if item.hold_until and item.available_at > now and state.route != "quarantine" else "waiting"


def is_from(item: QueueItem, wanted: str) -> bool:
    """Does it come from this address, or domain? "<>": from the null reverse-path; "": from anybody."""
    return not wanted or (not item.reverse_path if wanted == "<>" else is_in(item.reverse_path, wanted))


def is_in(path: str, wanted: str) -> bool:
    """Is it this address, or of this domain? "": whichever."""
    path, wanted = path.lower(), wanted.lower()
    return not wanted or (path == wanted if "@" in wanted else path.rpartition("@")[2] == wanted)
