"""Who is relayed when: lanes per domain, connections within their limits, each attempt and each result in the journal.

The recipients of one message in one domain travel together. A lane's connection serves its messages one after another; a
second one is made when there is more to do and the first worked. A slow domain holds its own connections and nobody else's.
The journal has the attempt before it begins, and the end of a recipient right after the reply: a crash between the two
sends at most the messages under way a second time (T-Q-10), and never one that is marked (T-Q-11).
"""

import asyncio
import random
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

import structlog

from mailward.api.relaying import Relaying
from mailward.api.services import Clock
from mailward.delivery.bounce import returned
from mailward.delivery.fate import Fate, local_problem, too_late, unsendable
from mailward.delivery.ports import Decisions, Hop, Reports, Rules
from mailward.delivery.relay import Attempt, Relay
from mailward.delivery.results import ROUTE, Batch, Results
from mailward.formats.address import parse_mailbox
from mailward.formats.domains import AddressSyntaxError
from mailward.formats.edits import render_pieces
from mailward.model.address import NULL_REVERSE_PATH, ReversePath
from mailward.model.envelope import DeliverBy
from mailward.model.errors import HooksUnavailable, StorageError
from mailward.protocol.smtp.outgoing import OutgoingMail, Result
from mailward.queue.agenda import Agenda, Due, set_aside
from mailward.queue.item import QueueItem
from mailward.queue.spool import NotHere, Spool

SUSPECTS = "(suspects)"
"""The lane of recipients whose last attempt began and never ended: one at a time, of whatever domain (T-Q-08)."""

log = structlog.get_logger("mailward.outbound")


@dataclass(frozen=True, slots=True)
class OutboundLimits:
    """give_up_after_s: then it bounces. delay_notice_after_s: then its sender hears that it is still tried.

    connections: at the same time, over all domains. recipients: of one transaction (RFC 5321 section 4.5.3.1.8).
    messages: over one connection, before another lane gets its turn. grace_s: for attempts under way when the server stops.
    """

    give_up_after_s: float = 5 * 86400.0
    delay_notice_after_s: float = 4 * 3600.0
    connections_per_domain: int = 5
    connections: int = 50
    recipients: int = 100
    messages: int = 100
    grace_s: float = 20.0


@dataclass(slots=True)
class _Lane:
    """allowed: connections at once; grows while they work, and is one again after a failure."""

    name: str
    waiting: deque[Batch] = field(default_factory=deque)
    workers: int = 0
    allowed: int = 1


class OutboundManager:
    """Belongs to the loop of the queue process. rules: those of today, since a reload swaps them."""

    def __init__(
        self,
        spool: Spool,
        relay: Relay,
        rules: Callable[[], Rules],
        reports: Reports,
        decisions: Decisions,
        clock: Clock,
        *,
        limits: OutboundLimits | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._spool = spool
        self._relay = relay
        self._rules = rules
        self._decisions = decisions
        self._limits = limits or OutboundLimits()
        self._clock = clock
        self._results = Results(
            spool,
            reports,
            decisions,
            clock,
            give_up_after_s=self._limits.give_up_after_s,
            delay_notice_after_s=self._limits.delay_notice_after_s,
            chance=chance,
        )
        self._lanes: dict[str, _Lane] = {}
        self._workers: set[asyncio.Task[None]] = set()
        self._talks: set[asyncio.Task[Attempt]] = set()
        self._stopping = False

    async def run_pass(self, agenda: Agenda) -> None:
        """Begin what is due."""
        due = await asyncio.to_thread(agenda.take, (ROUTE,))
        for batch in _batches(agenda, [d for d in due if not d.is_suspect], self._limits.recipients):
            self._lane(batch.domain).waiting.append(batch)
        for batch in _batches(agenda, [d for d in due if d.is_suspect], 1):
            self._lane(SUSPECTS).waiting.append(batch)
        for lane in self._lanes.values():
            lane.waiting = deque(sorted(lane.waiting, key=_by_priority))
        self._start()

    async def idle(self) -> None:
        """Returns when nothing is waiting or under way."""
        while self._workers:
            await asyncio.wait(self._workers)

    async def stop(self) -> None:
        """Let attempts under way end; after a while they are interrupted. What waits stays in the spool."""
        self._stopping = True
        if self._workers:
            _, late = await asyncio.wait(self._workers, timeout=self._limits.grace_s)
            for talk in self._talks:
                talk.cancel()
            if late:
                await asyncio.wait(late)

    # Lanes

    def _lane(self, name: str) -> _Lane:
        return self._lanes.setdefault(name, _Lane(name))

    def _start(self) -> None:
        """Give lanes their connections, by turns: that of the highest priority, then the one that waited longest first."""
        if self._stopping:
            return
        lanes = [lane for lane in self._lanes.values() if lane.waiting]
        if any(lane.waiting[0].item.priority for lane in lanes):
            lanes.sort(key=lambda lane: _by_priority(lane.waiting[0]))
        for lane in lanes:
            most = 1 if lane.name == SUSPECTS else min(lane.allowed, self._limits.connections_per_domain)
            if lane.workers < most and len(self._workers) < self._limits.connections:
                lane.workers += 1
                worker = asyncio.get_running_loop().create_task(self._serve(lane))
                self._workers.add(worker)
                worker.add_done_callback(partial(self._served, lane))

    def _served(self, lane: _Lane, worker: asyncio.Task[None]) -> None:
        self._workers.discard(worker)
        lane.workers -= 1
        if not lane.workers:
            del self._lanes[lane.name]
            if lane.waiting:
                self._lanes[lane.name] = lane  # at the end of the line
        self._start()

    async def _serve(self, lane: _Lane) -> None:
        """One connection's worth of messages."""
        hop: Hop | None = None
        domain = ""
        for _ in range(self._limits.messages):
            if not lane.waiting or self._stopping:
                break
            batch = lane.waiting.popleft()
            if hop is not None and batch.domain != domain:
                await hop.close()
                hop = None
            domain = batch.domain
            try:
                hop = await self._attempt(lane, batch, hop)
            except Exception:
                log.exception("relaying failed unforeseen", id=batch.item.id, domain=batch.domain)
                await self._failed_unforeseen(batch)
        if hop is not None:
            await hop.close()

    # Attempts

    async def _attempt(self, lane: _Lane, batch: Batch, hop: Hop | None) -> Hop | None:
        """One attempt for one batch, in the journal from its beginning to its end."""
        begun, octets = await asyncio.to_thread(self._begin, batch)
        if octets is None:
            return hop
        batch = Batch(batch.agenda, batch.item, batch.domain, begun)
        if isinstance(octets, Fate):
            await self._results.end(batch, dict.fromkeys(begun, octets))
            return hop
        item = batch.item
        try:
            paths = batch.paths()
        except AddressSyntaxError as error:  # no parser of ours lets one through; a later release may be stricter
            fate = Fate(Result.PERMANENT, "5.1.3", f"not an address that mail can be sent to: {error}", "", str(error))
            await self._results.end(batch, dict.fromkeys(begun, fate))
            return hop
        forward_paths = tuple(map(str, paths))
        relaying = Relaying(item.id, batch.domain, item.origin, item.user, item.reverse_path, forward_paths, item.tls_optional)
        try:
            requirement = await self._rules().tls_requirement(relaying)
            octets = await self._rules().edits(relaying, octets)
        except HooksUnavailable as error:  # mail must not leave unsigned or less protected, whatever a plugin raises
            fate = unsendable(error.reason) if error.permanent else local_problem(f"outbound rules failed: {error}")
            await self._results.end(batch, dict.fromkeys(begun, fate))
            return hop
        now = self._clock.now()
        if item.returns_at is not None and now >= item.returns_at:
            await self._results.end(batch, dict.fromkeys(begun, too_late(item.deliver_by)))
            return hop
        sender = ReversePath(parse_mailbox(item.reverse_path)) if item.reverse_path else NULL_REVERSE_PATH
        said = {path: item.recipients[indexes[0]].parameters for path, indexes in paths.items()}
        ret = returned(item)
        mail = OutgoingMail(
            sender,
            tuple(paths),
            octets,
            item.smtputf8,
            ret,
            item.envelope_id,
            said,
            item.require_tls,
            _left(item, now),
            item.priority,
        )
        talk = asyncio.get_running_loop().create_task(self._relay.attempt(batch.domain, mail, requirement, hop))
        self._talks.add(talk)
        try:
            attempt = await talk
        except asyncio.CancelledError:
            self._results.defer(batch, begun, local_problem("interrupted: the server was stopped"), wait_s=0.0)
            return None
        finally:
            self._talks.discard(talk)
        try:
            fates = {index: attempt.fates[path] for path, indexes in paths.items() for index in indexes}
            await self._results.end(batch, fates)
            return await self._after(lane, attempt)
        except BaseException:
            if attempt.hop is not None:
                await attempt.hop.close()
            raise

    async def _failed_unforeseen(self, batch: Batch) -> None:
        """As any failure of our own; but when it is telling the sender that fails, the mail must wait all the same."""
        problem = local_problem("an unforeseen failure, see the log")
        try:
            await self._results.end(batch, dict.fromkeys(batch.indexes, problem))
        except Exception as error:  # noqa: BLE001  whatever it is, the mail must wait
            log.error("the sender cannot be told", id=batch.item.id, problem=str(error))
            self._results.defer(batch, batch.indexes, problem)

    async def _after(self, lane: _Lane, attempt: Attempt) -> Hop | None:
        """What the attempt says about the domain."""
        hop = attempt.hop
        if hop is not None and hop.is_usable:
            lane.allowed += 1
            self._start()
            return hop
        lane.allowed = 1
        if hop is not None:
            await hop.close()
        if attempt.is_domain_down and lane.name != SUSPECTS:
            # What waits for the same hosts shares the failure to reach them, else each would find it out at its own pace.
            (fate, *_) = attempt.fates.values()
            waiting, lane.waiting = lane.waiting, deque()
            for batch in waiting:
                await self._results.end(batch, dict.fromkeys(batch.indexes, fate))
        return None

    def _begin(self, batch: Batch) -> tuple[tuple[int, ...], bytes | Fate | None]:
        """In a thread: the journal knows of the attempt, the decision record is kept, the octets are there; or why they are not.

        The record is kept before, so that after the reply nothing but the journal stands between the peer's 250 and our mark.
        """
        item = batch.item
        allowed = self._spool.begin_attempts([(item.id, index) for index in batch.indexes])
        begun = tuple(index for index in batch.indexes if (item.id, index) in allowed)
        if not begun:  # held, dropped or under way meanwhile
            return (), None
        try:
            self._decisions.add(item.decision)
            received = self._spool.octets(item.id)
            edited = render_pieces(received, (*item.edits, *item.recipients[begun[0]].edits))
            return begun, b"".join((item.trace.encode("utf-8"), *edited))
        except NotHere:
            return (), None
        except StorageError as error:
            if not error.permanent:
                return begun, local_problem(str(error))
            set_aside(self._spool, item.id, error)
            return (), None


def _by_priority(batch: Batch) -> int:
    return -batch.item.priority


def _left(item: QueueItem, now: datetime) -> DeliverBy | None:
    """What is left of the time for its delivery (RFC 2852 section 4.1.4); in mode R there is some."""
    if not item.by_mode:
        return None
    left_s = int((datetime.fromisoformat(item.deliver_by) - now).total_seconds())
    returns = item.by_mode == "R"
    return DeliverBy(max(left_s, 1) if returns else left_s, returns, item.by_trace)


def _batches(agenda: Agenda, due: Sequence[Due], most: int) -> list[Batch]:
    """Recipients together that one transaction can serve."""
    groups: dict[tuple[str, str, object], list[Due]] = {}
    for one in due:
        recipient = one.item.recipients[one.index]
        domain = recipient.forward_path.rpartition("@")[2]
        groups.setdefault((one.item.id, domain, recipient.edits), []).append(one)
    batches = []
    for (_, domain, _), group in groups.items():
        for start in range(0, len(group), most):
            some = group[start : start + most]
            batches.append(Batch(agenda, some[0].item, domain, tuple(one.index for one in some)))
    return batches
