"""Who is relayed when: what is due goes into the lanes of its next hops, lanes get connections within the limits.

Three kinds of connections are counted apart. Those that answer are limited, since they cost work. Those whose server has been
silent for a moment cost next to nothing, and so have a far larger limit: a tenth of dead hosts, each of which takes half
a minute to find out, must not hold up the rest (T-Q-16). And those to a host that was dead the last time have a small limit
of their own. Of each kind, and of look-ups, one sender has only a share.
"""

import asyncio
import contextlib
import enum
import random
import time
from collections.abc import Callable, Collection, Coroutine, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

import structlog

from mailward.api.relaying import RelayingAttempt
from mailward.api.services import Clock
from mailward.delivery.attempts import Attempts
from mailward.delivery.lanes import Key, Lane, Lanes, Turn, Waiting
from mailward.delivery.limits import OutboundLimits
from mailward.delivery.lookups import Lookups, Way
from mailward.delivery.noting import Noting
from mailward.delivery.places import Places
from mailward.delivery.ports import Decisions, Hop, Reports, Rules, Standing
from mailward.delivery.relay import Attempt, Relay
from mailward.delivery.results import ROUTE, Results
from mailward.delivery.shared_failures import SharedFailures
from mailward.model.decision import LaterEvent, utc_text
from mailward.model.errors import StorageError
from mailward.model.ids import QueueId
from mailward.queue.agenda import Agenda, Due
from mailward.queue.item import QueueItem
from mailward.queue.schedule import FIRST_DELAY_S
from mailward.queue.spool import Spool

log = structlog.get_logger("mailward.outbound")

SUSPECTS = "(suspects)"
"""The lane of recipients whose last attempt began and never ended: one at a time, of whatever domain (T-Q-08)."""
MOST_A_PASS = 2_000
"""Recipients that one pass takes from the agenda, so that it is soon over however many are due."""
MOST_CROWDED_OUT = 6
"""With the pauses that double, some five minutes; then the attempt has failed, so that its sender hears of it when it is time."""
RECORDED_TOGETHER = 100
"""Decision records in one transaction, so that one that cannot be kept is not in the way of many."""
MOST_ITEMS = 5_000
"""While more batches wait than this, the items of further ones are read again when their turn comes."""


class Kind(enum.Enum):
    """Among which connections one is counted."""

    ANSWERING = "answering"
    SILENT = "silent"
    IDLE = "idle"
    DOUBTFUL = "doubtful"


@dataclass(slots=True, eq=False)
class _Worker:
    """Serves a lane over one connection. sender: of the message that is on its way. works: something has gone well over it."""

    lane: Lane
    kind: Kind
    sender: str
    works: bool = False


class OutboundManager:
    """Belongs to the loop of the queue process. rules: those of today, since a reload swaps them.

    monotonic_s: a clock that never jumps. attempted: as in `Attempts`.
    """

    def __init__(
        self,
        spool: Spool,
        relay: Relay,
        rules: Callable[[], Rules],
        reports: Reports,
        decisions: Decisions,
        standing: Standing,
        clock: Clock,
        *,
        limits: OutboundLimits | None = None,
        chance: Callable[[], float] = random.random,
        monotonic_s: Callable[[], float] = time.monotonic,
        attempted: Callable[[RelayingAttempt], None] = lambda _: None,
    ) -> None:
        self._spool = spool
        self._relay = relay
        self._decisions = decisions
        self._standing = standing
        self._limits = limits or OutboundLimits()
        self._clock = clock
        self._noting = Noting(decisions)
        results = Results(
            spool,
            reports,
            self._noting,
            clock,
            give_up_after_s=self._limits.give_up_after_s,
            delay_notice_after_s=self._limits.delay_notice_after_s,
            chance=chance,
        )
        self._attempts = Attempts(spool, relay, rules, results, decisions, standing, clock, attempted)
        self._lanes = Lanes(self._limits.connections_per_domain, monotonic_s, chance)
        self._shared_failures = SharedFailures(self._attempts.fail, self._is_busy, self._begin, monotonic_s)
        self._batches = 0  # in the lanes, or on their way there
        self._lookups: Lookups[_Arrival] = Lookups(lambda way: relay.next_hop(*way), self._found, self._begin)
        self._places = {
            Kind.ANSWERING: Places(self._limits.connections),
            Kind.SILENT: Places(self._limits.silent),
            Kind.IDLE: Places(self._limits.idle),
            Kind.DOUBTFUL: Places(self._limits.doubtful),
        }
        self._idle: dict[Key, set[asyncio.Future[None]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._pauses: set[asyncio.Task[None]] = set()
        self._stopping = False

    async def run_pass(self, agenda: Agenda) -> None:
        """Begin what is due."""
        due, recorded = await asyncio.to_thread(self._taken, agenda)
        for batch in _batches([one for one in due if not one.is_suspect], self._limits.recipients):
            way = (_domain(batch[0]), self._standing.route(batch[0].item, _domain(batch[0])))
            self._sort(way, self._arrival(agenda, batch, recorded))
        for batch in _batches([one for one in due if one.is_suspect], 1):
            self._put(SUSPECTS, self._arrival(agenda, batch, recorded))
        self._start()

    def _taken(self, agenda: Agenda) -> tuple[list[Due], frozenset[QueueId]]:
        """What is due, and the messages whose decision records are kept. In a thread."""
        due = self._take(agenda)
        return due, self._record([one.item for one in due])

    def _record(self, items: Sequence[QueueItem]) -> frozenset[QueueId]:
        """Keep the decision records of mail that is to be tried; of many together, which costs half of what it costs for each.

        Returns those that are kept. The others' attempts find out what is wrong, each for itself.
        """
        kept: set[QueueId] = set()
        for start in range(0, len(items), RECORDED_TOGETHER):
            some = {item.id: (item.decision, ()) for item in items[start : start + RECORDED_TOGETHER]}
            with contextlib.suppress(Exception):
                self._decisions.add_all(list(some.values()))
                kept.update(some)
        return frozenset(kept)

    def _take(self, agenda: Agenda) -> list[Due]:
        """What is due and is not held by an order that stands; what an admin wants tried now is not."""
        due = agenda.take((ROUTE,), MOST_A_PASS)
        reasons = [
            "" if one.is_ordered else self._standing.hold_reason(one.item, one.item.recipients[one.index].forward_path)
            for one in due
        ]
        for reason in {reason for reason in reasons if reason}:
            self._hold([one for one, why in zip(due, reasons, strict=True) if why == reason], reason, agenda)
        return [one for one, reason in zip(due, reasons, strict=True) if not reason]

    def _hold(self, due: Sequence[Due], reason: str, agenda: Agenda) -> None:
        at = utc_text(self._clock.now())
        try:
            self._spool.hold([(one.item.id, one.index) for one in due], reason)
            self._decisions.add_all(
                [(o.item.decision, (LaterEvent(at, o.item.recipients[o.index].forward_path, f"held: {reason}"),)) for o in due]
            )
        except StorageError as error:
            log.error("not held as ordered, trying again", problem=str(error))
            for one in due:
                agenda.again(one.item.id, one.index, ROUTE, FIRST_DELAY_S)

    async def idle(self) -> None:
        """Returns when nothing is waiting or under way, no connection is kept, and what happened is written down."""
        while self._tasks:
            await asyncio.wait(self._tasks)
        await self._spool.finish(())
        await self._noting.noted()

    async def stop(self) -> None:
        """Let attempts under way end; after a while they are interrupted. What waits stays in the spool."""
        self._stopping = True
        self._lookups.stop()
        for pause in self._pauses:
            pause.cancel()
        for idle in [idle for some in self._idle.values() for idle in some if not idle.done()]:
            idle.set_result(None)
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=self._limits.grace_s)
            self._attempts.interrupt()
            if late:
                await asyncio.wait(late)
        for waiting in self._lanes.begun():
            self._attempts.interrupted(waiting)
        await self._noting.noted()

    # From the agenda into the lanes

    def _arrival(self, agenda: Agenda, due: Sequence[Due], recorded: Collection[QueueId]) -> "_Arrival":
        """Of so many that wait, for their turn or for a look-up, the items stay on the disk."""
        item = due[0].item
        indexes = tuple(one.index for one in due)
        kept = item if self._batches < MOST_ITEMS else None
        self._batches += 1
        is_recorded = item.id in recorded
        waiting = Waiting(agenda, item.id, _domain(due[0]), indexes, _turn(item), item.size_octets, kept, is_recorded)
        return _Arrival(waiting, any(one.is_ordered for one in due), item.returns_at)

    def _sort(self, way: Way, arrival: "_Arrival") -> None:
        """Into the lane of its next hop, once that is known; not now where looking for it failed a moment ago."""
        if arrival.is_ordered:
            self._lanes.forgive(way)
        if self._lanes.rest(way) is not None:
            self._put(way, arrival)
            return
        self._lookups.add(way, arrival.waiting.turn, arrival)

    def _found(self, way: Way, key: Key, arrivals: "Sequence[_Arrival]") -> None:
        ended = self._lanes.reached(way) if key != way else None
        if ended is not None:
            arrivals[0].waiting.agenda.end(ended, ROUTE)
        for arrival in arrivals:
            self._put(key, arrival)
        self._start()

    def _put(self, key: Key, arrival: "_Arrival") -> None:
        """Into a lane, or back into the agenda while the next hop is left alone."""
        if arrival.is_ordered:
            self._lanes.forgive(key)
        waiting = arrival.waiting
        resting = None if self._is_over(arrival) else self._lanes.rest(key)
        if resting is not None:
            self._batches -= 1
            for index in waiting.indexes:
                waiting.agenda.rest(waiting.id, index, ROUTE, *resting)
            return
        self._lanes.add(key, waiting, alone=key == SUSPECTS)
        self._wake(key)

    def _put_back(self, lane: Lane, waiting: Waiting) -> None:
        self._batches += 1
        self._lanes.put_back(lane, waiting)
        self._wake(lane.key)

    def _wake(self, key: Key) -> None:
        """One of the connections that are kept for the next message has it now."""
        for idle in self._idle.get(key, ()):
            if not idle.done():
                idle.set_result(None)
                break

    def _is_over(self, arrival: "_Arrival") -> bool:
        """Is it to go back to its sender, for which nobody needs to be reached?"""
        return arrival.returns_at is not None and self._clock.now() >= arrival.returns_at

    # Connections

    def _start(self) -> None:
        """Give lanes their connections."""
        if self._stopping:
            return
        for kind in (Kind.ANSWERING, Kind.DOUBTFUL):
            places = self._places[kind]
            while places.are_left:
                lane = self._lanes.next(places.may, doubtful=kind is Kind.DOUBTFUL)
                if lane is None:
                    break
                worker = _Worker(lane, kind, lane.sender)
                places.take(worker.sender)
                self._begin(self._serve(worker)).add_done_callback(partial(self._served, worker))

    def _begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _served(self, worker: _Worker, task: asyncio.Task[None]) -> None:
        self._places[worker.kind].free(worker.sender)
        worker.lane.working -= worker.works
        self._lanes.ended(worker.lane)
        self._start()

    async def _serve(self, worker: _Worker) -> None:
        """One connection's worth of messages."""
        hop: Hop | None = None
        for count in range(1, self._limits.messages + 1):
            waiting = None if self._stopping else worker.lane.take()
            if waiting is None and hop is not None:
                waiting = await self._more(worker)
            if waiting is None:
                break
            self._batches -= 1
            self._places[worker.kind].free(worker.sender)
            worker.sender = waiting.turn[1]
            self._places[worker.kind].take(worker.sender)
            hop = await self._attempt(worker, waiting, hop)
            if hop is None and (worker.lane.is_paused or worker.lane.workers > worker.lane.allowed):
                break
            if worker.kind in (Kind.SILENT, Kind.IDLE):  # it answers now, and there is no place for it among those that do
                break
            if count >= self._limits.turn and self._is_wanted(worker):
                break
        if hop is not None:
            await hop.close()

    async def _more(self, worker: _Worker) -> Waiting | None:
        """Keep the connection for a moment, as long as there are not too many of them: what comes for it meanwhile."""
        if self._stopping or worker.kind is not Kind.ANSWERING or not self._places[Kind.IDLE].may(worker.sender):
            return None
        lane = worker.lane
        idle = asyncio.get_running_loop().create_future()
        kept = self._idle.setdefault(lane.key, set())
        kept.add(idle)
        lane.idle += 1
        self._recount(worker, Kind.IDLE)
        await asyncio.wait([idle], timeout=self._limits.linger_s)
        kept.discard(idle)
        if not kept:
            self._idle.pop(lane.key, None)
        is_possible = self._recount(worker, Kind.ANSWERING) and not self._stopping
        waiting = lane.take() if is_possible else None
        self._lanes.resumed(lane)
        return waiting

    def _pause(self, lane: Lane, pause_s: float) -> None:
        """No more connections are tried for it meanwhile. By then its network may have a place."""
        if lane.is_paused or self._stopping:
            return
        self._lanes.pause(lane)
        pause = self._begin(self._paused(lane, pause_s))
        self._pauses.add(pause)
        pause.add_done_callback(self._pauses.discard)

    async def _paused(self, lane: Lane, pause_s: float) -> None:
        await asyncio.sleep(pause_s)
        self._lanes.go_on(lane)
        self._start()

    def _is_busy(self) -> bool:
        """Do living hosts wait for connections that they will get?"""
        return not self._stopping and self._lanes.is_wanted(doubtful=False)

    def _is_wanted(self, worker: _Worker) -> bool:
        """Would its place go to another lane?"""
        is_full = not self._places[worker.kind].may(worker.sender)
        return is_full and self._lanes.is_wanted(doubtful=worker.kind is Kind.DOUBTFUL)

    async def _attempt(self, worker: _Worker, waiting: Waiting, hop: Hop | None) -> Hop | None:
        """Returns the connection when it can take another message."""
        lane = worker.lane
        attempt = await self._attempts.make(
            waiting,
            hop,
            patience=partial(self._patience, worker),
            goes_on=partial(_goes_on, worker, waiting),
            put_back=partial(self._put_back, lane),
        )
        left = hop if attempt is None else attempt.hop
        if left is not None and left.is_usable:
            if attempt is not None:
                lane.working += not worker.works
                worker.works = True
                ended = self._lanes.worked(lane)
                if ended is not None:
                    waiting.agenda.end(ended, ROUTE)
                self._start()
            return left
        if left is not None:
            await left.close()
        lane.working -= worker.works
        worker.works = False
        if attempt is None or lane.key == SUSPECTS or attempt.next_hop not in (None, lane.key):
            return None  # DNS says something else of its domain by now, which is no word about the others in this lane
        if attempt.is_crowded_out and not lane.working:
            self._pause(lane, self._limits.crowded_s * 2**waiting.crowded_out)
        elif attempt.is_domain_down and not lane.working:
            (fate, *_) = attempt.fates.values()
            sharing = self._lanes.down(lane, fate.text)
            self._batches -= len(sharing)
            self._shared_failures.add(sharing, fate)
        else:
            self._lanes.broke(lane)
        return None

    @contextlib.contextmanager
    def _patience(self, worker: _Worker) -> Iterator[None]:
        """While its server lets us wait for long, or there is no room, a connection is not counted among those that answer."""
        if worker.kind is not Kind.ANSWERING:
            yield
            return
        patience = asyncio.get_running_loop().call_later(self._limits.patience_s, self._recount, worker, Kind.SILENT)
        try:
            yield
        finally:
            patience.cancel()
            self._recount(worker, Kind.ANSWERING)

    def _recount(self, worker: _Worker, kind: Kind) -> bool:
        """False when there are enough of this kind, or enough of its sender."""
        if worker.kind is kind:
            return True
        if not self._places[kind].may(worker.sender):
            return False
        self._places[worker.kind].free(worker.sender)
        self._places[kind].take(worker.sender)
        worker.kind = kind
        self._start()
        return True


def _goes_on(worker: _Worker, waiting: Waiting, attempt: Attempt) -> bool:
    """Over the other connections to this next hop that work; or later, when nobody was asked."""
    if attempt.is_crowded_out:
        return attempt.next_hop == worker.lane.key and waiting.crowded_out < MOST_CROWDED_OUT
    return attempt.is_domain_down and worker.lane.working > worker.works


@dataclass(frozen=True, slots=True)
class _Arrival:
    """What is due and travels together. is_ordered: one of them, by hand. returns_at: as in its item."""

    waiting: Waiting
    is_ordered: bool
    returns_at: datetime | None


def _turn(item: QueueItem) -> Turn:
    """Each user for themselves; so do all reports together, and all mail from outside."""
    return item.priority, item.user or item.origin


def _domain(due: Due) -> str:
    return due.item.recipients[due.index].forward_path.rpartition("@")[2]


def _batches(due: Sequence[Due], most: int) -> list[list[Due]]:
    """Recipients together that one transaction can serve."""
    groups: dict[tuple[str, str, object, str | None], list[Due]] = {}
    for one in due:
        recipient = one.item.recipients[one.index]
        groups.setdefault((one.item.id, _domain(one), recipient.edits, recipient.reverse_path), []).append(one)
    return [group[start : start + most] for group in groups.values() for start in range(0, len(group), most)]
