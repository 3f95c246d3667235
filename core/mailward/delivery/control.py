"""What an admin may do with mail that waits: look, try at once, hold, release, drop.

Everything happens in the queue process on the mail it has taken over; mail that another worker is delivering for the first time
is not seen here. What is changed is in the spool's journal, and true after a power cut, before the answer is given.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from types import MappingProxyType
from typing import Literal, Protocol

from mailward.api.services import Clock
from mailward.delivery.mda import Copy
from mailward.delivery.ports import Decisions
from mailward.formats.text import one_line
from mailward.model.decision import LaterEvent, utc_text
from mailward.model.errors import StorageError
from mailward.model.ids import QueueId
from mailward.queue.agenda import Agenda
from mailward.queue.item import QueueItem
from mailward.queue.segment import OpenRecipient
from mailward.queue.spool import Recipient, Spool

PAGE_RECIPIENTS = 200
"""Recipients a call looks at or changes, so that no answer is large and no call lasts long."""
MAX_WORDS = 300


class Keeper(Protocol):
    """What `Mda` does."""

    def keep(self, copy: Copy, reason: str) -> None:
        """Put a copy into the quarantine; durable when it returns. Raises StorageError."""
        ...


@dataclass(frozen=True, slots=True)
class Selection:
    """Which recipients of which messages: those that meet all that is given.

    to: an address or a domain of the forward-path. reverse_path: "<>" for the null one. Both are compared without case.
    """

    id: str = ""
    to: str = ""
    reverse_path: str = ""
    is_held: bool = False
    older_than_s: float = 0.0


@dataclass(frozen=True, slots=True)
class WaitingRecipient:
    """A recipient for whom something is still to be done. failures: attempts that failed. next_at: "" for at once or never.

    reason: why it is held. words: how the last attempt ended. notify: "SUCCESS,DELAY", "" when the client did not say.
    """

    index: int
    forward_path: str
    route: str
    state: Literal["waiting", "held", "under way"]
    reason: str
    failures: int
    next_at: str
    words: str
    notify: str
    original_recipient: str


@dataclass(frozen=True, slots=True)
class WaitingMessage:
    """A message that is not finished, with the recipients that were selected. Times are ISO 8601 in UTC."""

    id: QueueId
    received_at: str
    reverse_path: str
    size_octets: int
    origin: str
    user: str
    ret: str
    envelope_id: str
    require_tls: bool
    tls_optional: bool
    hold_until: str
    deliver_by: str
    by_mode: str
    priority: int
    recipients: tuple[WaitingRecipient, ...]


@dataclass(frozen=True, slots=True)
class Page:
    """Messages in the order of their ids. following: ask with it as `after` for the rest, "" at the end.

    A message with very many recipients may go on in the next page.
    """

    messages: tuple[WaitingMessage, ...]
    following: str


@dataclass(frozen=True, slots=True)
class Done:
    """For whom an order was carried out. why_not: "" when it was, else why it was not, in plain words."""

    id: QueueId
    forward_path: str
    why_not: str


@dataclass(frozen=True, slots=True)
class Ordered:
    """What became of an order. following: as in `Page`; the order has not reached further yet."""

    recipients: tuple[Done, ...]
    following: str


_Selected = dict[QueueId, tuple[QueueItem, dict[int, OpenRecipient]]]
_Order = Callable[[Sequence[Recipient]], frozenset[Recipient]]


class QueueControl:
    """All calls block. Safe from any thread."""

    def __init__(self, spool: Spool, agenda: Agenda, decisions: Decisions, keeper: Keeper, clock: Clock) -> None:
        self._spool = spool
        self._agenda = agenda
        self._decisions = decisions
        self._keeper = keeper
        self._clock = clock

    # Looking

    def list(self, selection: Selection, after: str = "") -> Page:
        """The selected recipients that come after that one, a page of them, with their messages."""
        selected, following = self._page(selection, after)
        return Page(tuple(_message(item, states) for item, states in selected.values()), following)

    # Acting

    def retry(self, selection: Selection, after: str = "") -> Ordered:
        """Make the next attempt at once; not for what is held, be it by its sender (RFC 4865)."""
        selected, following = self._page(selection, after)
        now = self._clock.now()
        early = {
            id: f"its sender wants it to wait until {item.hold_until}"
            for id, (item, _) in selected.items()
            if item.hold_until and item.available_at > now
        }

        def order(recipients: Sequence[Recipient]) -> frozenset[Recipient]:
            return self._spool.retry_now([recipient for recipient in recipients if recipient[0] not in early])

        return self._carried_out(selected, following, order, "it is held; release it first", failures=early)

    def hold(self, selection: Selection, reason: str, after: str = "") -> Ordered:
        """Make no further attempt until it is released."""
        selected, following = self._page(selection, after)

        def order(recipients: Sequence[Recipient]) -> frozenset[Recipient]:
            return self._spool.hold(recipients, reason)

        return self._carried_out(selected, following, order, "it is finished", event=f"held: {reason}")

    def release(self, selection: Selection, after: str = "") -> Ordered:
        """Make the next attempt at once, whoever held it; of what is not held nothing is changed."""
        selected, following = self._page(replace(selection, is_held=True), after)
        return self._carried_out(selected, following, self._spool.release, "it is finished", event="released")

    def drop(self, selection: Selection, reason: str, after: str = "") -> Ordered:
        """End the work on it. A copy goes to the quarantine first, so that nothing is lost by a slip of the hand."""
        selected, following = self._page(selection, after)
        failures: dict[QueueId, str] = {}
        kept: _Selected = {}
        for queue_id, (item, states) in selected.items():
            idle = {index: state for index, state in states.items() if state.waiting}
            try:
                self._keep(item, list(idle), reason)
                kept[queue_id] = (item, idle)
            except (StorageError, OSError) as error:
                failures[queue_id] = str(error)

        def order(_: Sequence[Recipient]) -> frozenset[Recipient]:
            return self._spool.drop([(id, index) for id, (_, idle) in kept.items() for index in idle], reason)

        event = f"dropped, a copy is in quarantine: {reason}"
        return self._carried_out(selected, following, order, "an attempt is under way", failures, event)

    def _keep(self, item: QueueItem, indexes: Sequence[int], reason: str) -> None:
        """Copies in the quarantine, and the decision record, which the item holds, where it outlives the item."""
        octets = self._spool.octets(item.id)
        for index in indexes:
            self._keeper.keep(Copy(item, index, octets), reason)
        self._decisions.add(item.decision)

    def _carried_out(
        self,
        selected: _Selected,
        following: str,
        order: _Order,
        why_not: str,
        failures: Mapping[QueueId, str] = MappingProxyType({}),
        event: str = "",
    ) -> Ordered:
        """Give the order, note it where `explain` shows it, and let the managers know."""
        recipients = [(queue_id, index) for queue_id, (_, states) in selected.items() for index in states]
        changed = order(recipients)
        for queue_id, index in changed:
            self._agenda.plan(queue_id, index)
        at = utc_text(self._clock.now())
        for queue_id, (item, states) in selected.items():
            paths = [item.recipients[index].forward_path for index in states if (queue_id, index) in changed]
            if event and paths:
                self._decisions.add(item.decision, tuple(LaterEvent(at, path, event) for path in paths))
        done = [
            Done(id, selected[id][0].recipients[index].forward_path, "" if (id, index) in changed else failures.get(id, why_not))
            for id, index in recipients
        ]
        return Ordered(tuple(done), following)

    # Selecting

    def _page(self, selection: Selection, after: str) -> tuple[_Selected, str]:
        """The next recipients by message, and where the following page begins."""
        page: _Selected = {}
        room = PAGE_RECIPIENTS
        last = after
        for item, states in self._selected(selection, after):
            if room <= 0:
                return page, last
            some = dict(sorted(states.items())[:room])
            page[item.id] = (item, some)
            room -= len(some)
            last = f"{item.id}:{max(some)}"
            if len(some) < len(states):
                return page, last
        return page, ""

    def _selected(self, selection: Selection, after: str = "") -> Iterator[tuple[QueueItem, dict[int, OpenRecipient]]]:
        after_id, _, after_index = after.partition(":")
        latest = utc_text(self._clock.now() - timedelta(seconds=selection.older_than_s))
        for queue_id in [QueueId(selection.id)] if selection.id else self._spool.ids():
            if queue_id < after_id:
                continue
            first = int(after_index) + 1 if queue_id == after_id else 0
            try:
                item = self._spool.item(queue_id)
            except StorageError:  # finished meanwhile, or damaged: then the next attempt reports it and sets it aside
                continue
            if item.received_at > latest or not _is_from(item, selection.reverse_path):
                continue
            states = {
                index: state
                for index, state in self._spool.open_recipients(queue_id).items()
                if index >= first
                and _is_to(item.recipients[index].forward_path, selection.to)
                and (state.hold_reason or not selection.is_held)
            }
            if states:
                yield item, states


def _is_from(item: QueueItem, reverse_path: str) -> bool:
    return not reverse_path or item.reverse_path.lower() == ("" if reverse_path == "<>" else reverse_path.lower())


def _is_to(forward_path: str, to: str) -> bool:
    path = forward_path.lower()
    return not to or (path == to.lower() if "@" in to else path.rpartition("@")[2] == to.lower())


def _message(item: QueueItem, states: dict[int, OpenRecipient]) -> WaitingMessage:
    return WaitingMessage(
        id=item.id,
        received_at=item.received_at,
        reverse_path=item.reverse_path,
        size_octets=item.size_octets,
        origin=item.origin,
        user=item.user,
        ret=item.ret,
        envelope_id=item.envelope_id,
        require_tls=item.require_tls,
        tls_optional=item.tls_optional,
        hold_until=item.hold_until,
        deliver_by=item.deliver_by,
        by_mode=item.by_mode,
        priority=item.priority,
        recipients=tuple(_recipient(item, index, state) for index, state in sorted(states.items())),
    )


def _recipient(item: QueueItem, index: int, state: OpenRecipient) -> WaitingRecipient:
    recipient = item.recipients[index]
    return WaitingRecipient(
        index=index,
        forward_path=recipient.forward_path,
        route=recipient.route,
        state="held" if state.hold_reason else "waiting" if state.waiting else "under way",
        reason=state.hold_reason,
        failures=state.failures,
        next_at="" if state.hold_reason else max(state.next_at, item.hold_until),
        words=one_line(state.text, MAX_WORDS),
        notify=",".join(recipient.parameters.notify),
        original_recipient=recipient.parameters.original_recipient,
    )
