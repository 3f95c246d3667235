"""What became of each recipient of a relaying attempt: into the journal, to the sender, and where `explain` shows it.

The end of a recipient is marked right after the reply, before anything else is done, and the mark outlives this process: a crash
sends at most the messages under way a second time (T-Q-10), and never one that is marked (T-Q-11).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import structlog

from mailward.api.services import Clock
from mailward.delivery.fate import Fate
from mailward.delivery.noting import Noting
from mailward.delivery.ports import Reports
from mailward.formats.address import parse_mailbox
from mailward.model.address import ForwardPath
from mailward.model.decision import LaterEvent, utc_text
from mailward.model.errors import StorageError
from mailward.protocol.smtp.outgoing import Result
from mailward.queue.agenda import Agenda
from mailward.queue.item import QueueItem
from mailward.queue.schedule import ALARM_AFTER, gives_up_at, is_given_up, relay_delay_s
from mailward.queue.spool import Spool

ROUTE = "relay"
LATE = "late; "
"""In the journal the text of a failed attempt begins with it, from the delay notice on. So there is one notice, whichever attempt
may send it, and however many are interrupted or ordered by hand. No server can say it: its name comes before its words.
"""
OURS = "here: "
BEFORE = "; before that: "
"""Then that of an attempt that failed by a fault of our own; and what the last attempt before those came to, which its sender may
hear, and must: a fault of ours may be the last of many attempts, and explains none of the others.
"""

log = structlog.get_logger("mailward.outbound")


@dataclass(frozen=True, slots=True)
class Batch:
    """Recipients of one message that travel together: one domain, the same edits and reverse-path.

    accepted: those that a server has taken. Nothing else becomes of them, whatever fails from then on.
    """

    agenda: Agenda
    item: QueueItem
    domain: str
    indexes: tuple[int, ...]
    accepted: set[int] = field(default_factory=set)

    @property
    def rest(self) -> tuple[int, ...]:
        """Of whom nobody has said 250."""
        return tuple(index for index in self.indexes if index not in self.accepted)

    def paths(self) -> dict[ForwardPath, list[int]]:
        """By forward-path, since one may be there twice. Raises AddressSyntaxError."""
        found: dict[ForwardPath, list[int]] = {}
        for index in self.indexes:
            path = ForwardPath(parse_mailbox(self.item.recipients[index].forward_path))
            found.setdefault(path, []).append(index)
        return found


class Results:
    """give_up_after_s, delay_notice_after_s: since its delivery could begin. chance: randomness, from 0 up to 1."""

    def __init__(
        self,
        spool: Spool,
        reports: Reports,
        noting: Noting,
        clock: Clock,
        *,
        give_up_after_s: float,
        delay_notice_after_s: float,
        chance: Callable[[], float],
    ) -> None:
        self._spool = spool
        self._reports = reports
        self._noting = noting
        self._clock = clock
        self._give_up_after_s = give_up_after_s
        self._delay_notice_after_s = delay_notice_after_s
        self._chance = chance

    async def end(self, batch: Batch, fates: dict[int, Fate]) -> None:
        """Journal what became of each recipient: first those that are through, then those that never will be, then the rest.

        More than once for one attempt where a server has taken some of them, and another one is tried for the others.
        """
        now = self._clock.now()
        item = batch.item
        fates = {index: fate for index, fate in fates.items() if index not in batch.accepted}
        if not fates:
            return
        of = {result: [n for n, fate in fates.items() if fate.result is result] for result in Result}
        accepted = of[Result.ACCEPTED]
        await self._take(batch, {index: fates[index] for index in accepted}, now)
        given_up = [index for index in of[Result.TEMPORARY] if self._is_given_up(item, index, now)]
        fates = {**fates, **{index: self._given_up(item, index, fates[index], now) for index in given_up}}
        lost = sorted(of[Result.PERMANENT] + given_up)
        waiting = [index for index in of[Result.TEMPORARY] if index not in given_up]
        events = {index: fates[index].text for index in accepted}
        if lost:
            kept = await self._tell_failed(batch, lost, fates, now)
            also = f"; {kept}" if kept else ""
            events.update({n: f"{'given up' if n in given_up else 'failed'}: {fates[n].text}{also}" for n in lost})
        if waiting:
            knowing = await self._tell_late(batch, waiting, fates, now)
            for index in waiting:
                events.update(self.defer(batch, [index], fates[index], is_told=index in knowing))
        for index, text in events.items():
            tell = log.info if index in accepted else log.warning
            rcpt = item.recipients[index].forward_path
            tell("relayed" if index in accepted else "not relayed", id=item.id, rcpt=rcpt, how=text)
        at = utc_text(self._clock.now())
        self._noting.note(
            item.decision, tuple(LaterEvent(at, item.recipients[index].forward_path, text) for index, text in events.items())
        )

    def _is_given_up(self, item: QueueItem, index: int, now: datetime) -> bool:
        if item.returns_at is not None and now >= item.returns_at:
            return True
        state = self._spool.open_recipients(item.id).get(index)
        failures = 1 if state is None else state.failures + 1
        return is_given_up(now, item.available_at, failures, self._give_up_after_s)

    def _given_up(self, item: QueueItem, index: int, fate: Fate, now: datetime) -> Fate:
        is_late = item.returns_at is not None and now >= item.returns_at
        told = replace(fate.given_up, status="5.4.7") if is_late else fate.given_up
        state = self._spool.open_recipients(item.id).get(index)
        before = _before(state.text) if state is not None and fate.is_ours else ""
        return (
            replace(told, words=f"{told.words}. Before that: {before}", text=f"{told.text}{BEFORE}{before}") if before else told
        )

    async def _take(self, batch: Batch, fates: dict[int, Fate], now: datetime) -> None:
        """Mark those that a server has taken. From here on nothing that fails makes us send to them again."""
        batch.accepted.update(fates)
        told = {index: fate for index, fate in fates.items() if _is_relaying_told(batch.item, index, fate)}
        self._mark_taken(batch.item, {index: fate for index, fate in fates.items() if index not in told})
        if told:
            await self._tell_relayed(batch.item, told, now)
            self._mark_taken(batch.item, told)

    async def _tell_relayed(self, item: QueueItem, told: dict[int, Fate], now: datetime) -> None:
        """The next server reports no deliveries, so that this is the last its sender can hear (RFC 3461 section 5.2.2).

        The report comes before the mark, since with the mark the message may go; what cannot be told is marked all the same.
        """
        try:
            await self._reports.tell(item, "relayed", told, now)
        except StorageError as error:
            log.error("report not sent", id=item.id, problem=str(error))
        except Exception:
            log.exception("report not sent, unforeseen", id=item.id)

    def _mark_taken(self, item: QueueItem, fates: dict[int, Fate]) -> None:
        """Not waited for: no attempt begins before all marks that were made before are written, as it is marked itself."""
        if fates:
            self._spool.end([(item.id, index, fate.text) for index, fate in fates.items()])

    async def _tell_failed(self, batch: Batch, lost: Sequence[int], fates: dict[int, Fate], now: datetime) -> str:
        """The report is certain before the recipients are marked; a crash in between tells the sender twice, not never.

        Returns as `Reports.tell` does.
        """
        kept = await self._reports.tell(batch.item, "failed", {index: fates[index] for index in lost}, now)
        await self._spool.finish([(batch.item.id, index, fates[index].text) for index in lost])
        return kept

    async def _tell_late(self, batch: Batch, waiting: Sequence[int], fates: dict[int, Fate], now: datetime) -> frozenset[int]:
        """The first failed attempt that is late enough sends the notice. Returns for whom that was done."""
        available_at = batch.item.available_at
        if (now - available_at).total_seconds() < self._notice_after_s(batch.item):
            return frozenset()
        states = self._spool.open_recipients(batch.item.id)
        late = {
            index: replace(fates[index], status="4.4.7") if batch.item.by_mode == "N" else fates[index]
            for index in waiting
            if index in states and not states[index].text.startswith(LATE)
        }
        failures = min((states[index].failures + 1 for index in late), default=1)
        until = gives_up_at(now, available_at, failures, self._give_up_after_s)
        try:
            if late:
                await self._reports.tell(batch.item, "delayed", late, now, until)
        except StorageError as error:  # the mail itself matters more
            log.error("delay notice not sent, trying again", id=batch.item.id, problem=str(error))
            return frozenset()
        except Exception:
            log.exception("delay notice not sent, unforeseen", id=batch.item.id)
            return frozenset()
        return frozenset(late)

    def _notice_after_s(self, item: QueueItem) -> float:
        """When its sender hears that it is late: at the moment that he set, else as always (RFC 2852, mode N)."""
        if item.by_mode != "N":
            return self._delay_notice_after_s
        return (datetime.fromisoformat(item.deliver_by) - item.available_at).total_seconds()

    def defer(
        self, batch: Batch, indexes: Iterable[int], fate: Fate, *, wait_s: float | None = None, is_told: bool = False
    ) -> dict[int, str]:
        """Journal failed attempts and plan the next ones, by their number or in `wait_s`. Returns what to tell of them."""
        item, now = batch.item, self._clock.now()
        states = self._spool.open_recipients(item.id)
        told = {}
        for index in indexes:
            if index not in states:
                continue
            failures = states[index].failures + 1
            moments_s = (self._notice_after_s(item), self._give_up_after_s)
            usual_s = relay_delay_s(now, item.available_at, failures, self._chance(), *moments_s)
            if item.returns_at is not None and item.returns_at > now:  # it is to go back then, and not when its turn comes
                usual_s = min(usual_s, (item.returns_at - now).total_seconds())
            delay_s = usual_s if wait_s is None else wait_s
            next_at = now + timedelta(seconds=delay_s)
            is_late = is_told or states[index].text.startswith(LATE)
            self._spool.failed_attempt(item.id, index, (LATE if is_late else "") + kept(states[index].text, fate), next_at)
            batch.agenda.again(item.id, index, ROUTE, delay_s)
            told[index] = f"attempt {failures} failed, next after {utc_text(next_at)}: {fate.text}"
            if failures >= ALARM_AFTER and fate.is_ours:
                log.error("relaying fails for a reason of our own", id=item.id, attempt=failures, problem=fate.text)
        return told


def _is_relaying_told(item: QueueItem, index: int, fate: Fate) -> bool:
    """Of a delivery that nobody else will tell of (RFC 3461); of one whose time nobody else keeps, and where the way is traced,
    unless the sender wants to hear nothing at all (RFC 2852 sections 4.1.4 and 4.1.4.2)."""
    said = item.recipients[index].parameters
    if said.wants("SUCCESS") and not fate.reports_there:
        return True
    return said.notify != ("NEVER",) and (item.by_trace or (item.by_mode == "N" and not fate.times_there))


def kept(earlier: str, fate: Fate) -> str:
    """What the journal keeps of a failure, after what it has of those before."""
    if not fate.is_ours:
        return fate.text
    before = _before(earlier)
    return f"{OURS}{fate.text}{BEFORE}{before}" if before else f"{OURS}{fate.text}"


def _before(text: str) -> str:
    """Of what the journal has: how the last attempt failed that did not fail by us."""
    said = text.removeprefix(LATE)
    return said.partition(BEFORE)[2] if said.startswith(OURS) else said
