"""What an admin may do with mail that waits: look, count, try at once, hold, release, drop.

Everything happens in the queue process on the mail it has taken over; mail that another worker is delivering for the first time
is not seen here. What is changed is in the spool's journal, and true after a power cut, before the answer is given.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType

from mailward.api.services import Clock
from mailward.delivery.calls import (
    AGES_S,
    By,
    Counts,
    Done,
    Group,
    Ordered,
    Page,
    Selection,
    StandingOrder,
    WaitingMessage,
    WaitingRecipient,
)
from mailward.delivery.mda import Copy
from mailward.delivery.ports import Decisions, Keeper
from mailward.delivery.results import LATE
from mailward.delivery.selecting import Found, Selected, Selecting, status_of
from mailward.delivery.standing import StandingOrders
from mailward.formats.text import one_line
from mailward.model.decision import LaterEvent, utc_text
from mailward.model.errors import StorageError
from mailward.model.ids import QueueId
from mailward.queue.agenda import Agenda
from mailward.queue.item import QueueItem
from mailward.queue.recipient import OpenRecipient
from mailward.queue.schedule import GIVE_UP_AFTER_S, gives_up_at
from mailward.queue.spool import NotHere, Recipient, Spool

MAX_WORDS = 300
MAX_REASON = 200
"""Characters of why an admin holds or drops it."""
COUNTED_RECIPIENTS = 500
COUNTED_WORDS = 100
"""So that an answer fits into a line of the socket, even if every recipient is a group of its own."""


_Order = Callable[[Sequence[Recipient]], frozenset[Recipient]]


class QueueControl:
    """All calls block. Safe from any thread. after: `progress.following` of the call before, "" at first."""

    def __init__(
        self,
        spool: Spool,
        agenda: Agenda,
        decisions: Decisions,
        keeper: Keeper,
        standing: StandingOrders,
        clock: Clock,
        give_up_after_s: float = GIVE_UP_AFTER_S,
    ) -> None:
        self._spool = spool
        self._agenda = agenda
        self._decisions = decisions
        self._keeper = keeper
        self._standing = standing
        self._clock = clock
        self._give_up_after_s = give_up_after_s
        self._selecting = Selecting(spool, agenda, clock)

    # Looking

    def list(self, selection: Selection, after: str = "") -> Page:
        """The selected recipients with their messages."""
        found = self._selecting.page(selection, after)
        now = self._clock.now()
        messages = tuple(self._message(item, states, now) for item, states in found.selected.values())
        return Page(messages, found.progress)

    def count(self, selection: Selection, by: By, after: str = "") -> Counts:
        """How many are selected, by what they have in common."""
        found = self._selecting.page(selection, after, most_recipients=COUNTED_RECIPIENTS)
        now = self._clock.now()
        groups: dict[str, Group] = {}
        for item, states in found.selected.values():
            for recipient in self._message(item, states, now).recipients:
                name = _name(item, recipient, by)
                one = _group_of_one(name, item, recipient, now)
                groups[name] = groups[name].joined(one) if name in groups else one
        return Counts(tuple(groups.values()), found.progress)

    def note(self, id: str) -> bool:
        """See to it that the decision record of a message that waits is where `explain` looks: before the first attempt it stands
        in its queue item alone. id: "" for the newest. False when there is none. Raises StorageError.
        """
        known = QueueId(id) if id else next(reversed(self._spool.ids()), None)
        if known is None:
            return False
        try:
            self._decisions.add(self._spool.item(known).decision)
        except NotHere:
            return False
        return True

    # Orders that stand

    @property
    def standing(self) -> tuple[StandingOrder, ...]:
        """All of them, the oldest first."""
        return self._standing.all

    def stand(self, order: StandingOrder) -> None:
        """Give an order for what waits and for what comes yet; for what waits it holds from the next attempt on."""
        reason = one_line(order.reason, MAX_REASON) or "by the administrator"
        self._standing.stand(replace(order, reason=reason, at=utc_text(self._clock.now())))

    def lift(self, selection: Selection, *, is_reroute: bool) -> tuple[StandingOrder, ...]:
        """Take back those for just this mail, or all of the kind; what is held stays so until it is released."""
        return self._standing.lift(selection, is_reroute=is_reroute)

    # Acting

    def retry(self, selection: Selection, after: str = "") -> Ordered:
        """Make the next attempt at once; not for what is held, be it by its sender (RFC 4865)."""
        found = self._selecting.page(selection, after)
        now = self._clock.now()
        early = {
            id: ("its sender wants it to wait until", item.hold_until)
            for id, (item, _) in found.selected.items()
            if item.hold_until and item.available_at > now
        }

        def order(recipients: Sequence[Recipient]) -> frozenset[Recipient]:
            return self._spool.retry_now([recipient for recipient in recipients if recipient[0] not in early])

        return self._carried_out(found, order, "it is held; release it first", failures=early)

    def hold(self, selection: Selection, reason: str, after: str = "") -> Ordered:
        """Make no further attempt until it is released."""
        found = self._selecting.page(selection, after)
        reason = one_line(reason, MAX_REASON)

        def order(recipients: Sequence[Recipient]) -> frozenset[Recipient]:
            return self._spool.hold(recipients, reason)

        return self._carried_out(found, order, "it is finished", event=f"held: {reason}")

    def release(self, selection: Selection, after: str = "") -> Ordered:
        """Make the next attempt at once, whoever held it; of what is not held nothing is changed."""
        found = self._selecting.page(replace(selection, status="held"), after)
        kept = {
            (id, index)
            for id, (item, states) in found.selected.items()
            for index, state in states.items()
            if state.route == "relay" and self._standing.hold_reason(item, item.recipients[index].forward_path)
        }

        def order(recipients: Sequence[Recipient]) -> frozenset[Recipient]:
            return self._spool.release([recipient for recipient in recipients if recipient not in kept])

        return self._carried_out(found, order, "an order that stands holds it: mailward queue orders", event="released")

    def drop(self, selection: Selection, reason: str, after: str = "") -> Ordered:
        """End the work on it. A copy goes to the quarantine first, so that nothing is lost by a slip of the hand."""
        found = self._selecting.page(selection, after)
        failures: dict[QueueId, tuple[str, str]] = {}
        kept: Selected = {}
        for queue_id, (item, states) in found.selected.items():
            idle = {index: state for index, state in states.items() if state.waiting}
            try:
                self._keep(item, list(idle), reason)
                kept[queue_id] = (item, idle)
            except (StorageError, OSError) as error:
                failures[queue_id] = (str(error), "")

        def order(_: Sequence[Recipient]) -> frozenset[Recipient]:
            return self._spool.drop([(id, index) for id, (_, idle) in kept.items() for index in idle], reason)

        event = f"dropped, a copy is in quarantine: {reason}"
        return self._carried_out(found, order, "an attempt is under way", failures, event)

    def _keep(self, item: QueueItem, indexes: Sequence[int], reason: str) -> None:
        """Copies in the quarantine, and the decision record, which the item holds, where it outlives the item."""
        octets = self._spool.octets(item.id)
        for index in indexes:
            self._keeper.keep(Copy(item, index, octets), reason)
        self._decisions.add(item.decision)

    def _carried_out(
        self,
        found: Found,
        order: _Order,
        why_not: str,
        failures: Mapping[QueueId, tuple[str, str]] = MappingProxyType({}),
        event: str = "",
    ) -> Ordered:
        """Give the order, note it where `explain` shows it, and let the managers know. failures: why_not and until."""
        recipients = [(queue_id, index) for queue_id, (_, states) in found.selected.items() for index in states]
        changed = order(recipients)
        for queue_id, index in changed:
            self._agenda.plan(queue_id, index, is_ordered=True)
        at = utc_text(self._clock.now())
        for queue_id, (item, states) in found.selected.items():
            paths = [item.recipients[index].forward_path for index in states if (queue_id, index) in changed]
            if event and paths:
                self._decisions.add(item.decision, tuple(LaterEvent(at, path, event) for path in paths))
        done = []
        for id, index in recipients:
            told = ("", "") if (id, index) in changed else failures.get(id, (why_not, ""))
            done.append(Done(id, found.selected[id][0].recipients[index].forward_path, *told))
        return Ordered(tuple(done), found.progress)

    def _message(self, item: QueueItem, states: dict[int, OpenRecipient], now: datetime) -> WaitingMessage:
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
            recipients=tuple(self._recipient(item, index, state, now) for index, state in sorted(states.items())),
        )

    def _recipient(self, item: QueueItem, index: int, state: OpenRecipient, now: datetime) -> WaitingRecipient:
        recipient = item.recipients[index]
        rest = self._agenda.resting(item.id, index, state.route)
        rerouted = self._standing.route(item, recipient.forward_path.rpartition("@")[2]) if state.route == "relay" else None
        return WaitingRecipient(
            index=index,
            forward_path=recipient.forward_path,
            route=recipient.route,
            status=status_of(item, state, now),
            reason=state.hold_reason,
            failures=state.failures,
            next_at="" if state.hold_reason else max(state.next_at, item.hold_until, "" if rest is None else utc_text(rest[0])),
            gives_up_at=self._gives_up_at(item, state, now),
            left_alone="" if state.hold_reason or rest is None else one_line(rest[1], MAX_WORDS),
            words=one_line(state.text.removeprefix(LATE), MAX_WORDS),
            via="" if rerouted is None else str(rerouted),
            notify=",".join(recipient.parameters.notify),
            original_recipient=recipient.parameters.original_recipient,
        )

    def _gives_up_at(self, item: QueueItem, state: OpenRecipient, now: datetime) -> str:
        if state.hold_reason:
            return ""
        if state.route != "relay":
            return item.deliver_by if item.by_mode == "R" and state.route == "mailbox" else ""
        at = gives_up_at(now, item.available_at, state.failures, self._give_up_after_s)
        return utc_text(at if item.returns_at is None else min(at, item.returns_at))


def _name(item: QueueItem, recipient: WaitingRecipient, by: By) -> str:
    if by == "domain":
        return recipient.forward_path.rpartition("@")[2].lower()
    if by == "sender":
        return item.reverse_path.rpartition("@")[2].lower() or "<>"
    return recipient.status if by == "status" else _last_words(recipient)


def _group_of_one(name: str, item: QueueItem, recipient: WaitingRecipient, now: datetime) -> Group:
    age_s = (now - datetime.fromisoformat(item.received_at)).total_seconds()
    place = sum(age_s >= limit_s for limit_s in AGES_S)
    ages = tuple(int(place == each) for each in range(len(AGES_S) + 1))
    return Group(name, 1, int(recipient.status == "held"), item.received_at, ages, _last_words(recipient))


def _last_words(recipient: WaitingRecipient) -> str:
    """What an admin asks about first: why it is not tried, else how the last attempt ended."""
    return (recipient.left_alone or recipient.words)[:COUNTED_WORDS]
