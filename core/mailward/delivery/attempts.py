"""One attempt for one batch, in the journal from its beginning to its end.

The journal has the attempt before it begins, and the end of a recipient right after the reply: a crash between the two
sends at most the messages under way a second time (T-Q-10), and never one that is marked (T-Q-11).
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Literal

import structlog

from mailward.api.relaying import Relaying, RelayingAttempt, RelayOutcome
from mailward.api.services import Clock
from mailward.delivery.bounce import returned
from mailward.delivery.fate import Fate, local_problem, too_late, unsendable
from mailward.delivery.lanes import Waiting
from mailward.delivery.ports import Decisions, Hop, Rules, Standing
from mailward.delivery.relay import Attempt, Errand, Relay
from mailward.delivery.results import LATE, ROUTE, Batch, Results, kept
from mailward.delivery.shared_failures import Shared
from mailward.formats.address import parse_mailbox
from mailward.formats.domains import AddressSyntaxError
from mailward.formats.edits import render_pieces
from mailward.formats.seven_bit import in_seven_bits
from mailward.model.address import NULL_REVERSE_PATH, ForwardPath, ReversePath
from mailward.model.envelope import DeliverBy
from mailward.model.errors import HooksUnavailable, StorageError
from mailward.protocol.smtp.outgoing import OutgoingMail, Result
from mailward.queue.agenda import set_aside
from mailward.queue.item import QueueItem
from mailward.queue.schedule import FIRST_DELAY_S
from mailward.queue.spool import NotHere, Spool
from mailward.services.room import SMALL_OCTETS, Room

ROOM_OCTETS = 256 << 20
"""Of large messages so many octets are under way at once, however many connections there are; senders share them."""
INTERRUPTED = local_problem("interrupted: the server was stopped")
UNFORESEEN = local_problem("an unforeseen failure, see the log")

_WORDS: dict[Result, Literal["accepted", "temporary", "permanent"]] = {
    Result.ACCEPTED: "accepted",
    Result.TEMPORARY: "temporary",
    Result.PERMANENT: "permanent",
}

log = structlog.get_logger("mailward.outbound")


class Attempts:
    """Belongs to one event loop. rules: those of today, since a reload swaps them. attempted: hears of each attempt in which
    somebody was asked, once its results are in the journal.
    """

    def __init__(
        self,
        spool: Spool,
        relay: Relay,
        rules: Callable[[], Rules],
        results: Results,
        decisions: Decisions,
        standing: Standing,
        clock: Clock,
        attempted: Callable[[RelayingAttempt], None],
    ) -> None:
        self._spool = spool
        self._relay = relay
        self._rules = rules
        self._results = results
        self._decisions = decisions
        self._standing = standing
        self._clock = clock
        self._attempted = attempted
        self._talking: set[asyncio.Task[object]] = set()
        self._room = Room(ROOM_OCTETS, small_octets=SMALL_OCTETS)
        self._ending = False

    def interrupt(self) -> None:
        """End those under way; what is in them is tried again after the next start."""
        self._ending = True
        for talking in self._talking:
            talking.cancel()

    def interrupted(self, waiting: Waiting) -> None:
        """One that no connection takes any more before this process ends. Only what has begun must be told so."""
        if waiting.is_begun and waiting.item is not None:
            batch = Batch(waiting.agenda, waiting.item, waiting.domain, waiting.indexes)
            self._results.defer(batch, batch.indexes, INTERRUPTED, wait_s=0.0)

    async def make(
        self,
        waiting: Waiting,
        hop: Hop | None,
        *,
        patience: Callable[[], AbstractContextManager[None]],
        goes_on: Callable[[Attempt], bool],
        put_back: Callable[[Waiting], None],
    ) -> Attempt | None:
        """What came of the attempt, journalled already; None when it was interrupted, or ended before anybody was asked.

        hop: a connection left by an attempt before; used or closed, but for None, which leaves it as it is. patience: entered
        while others let us wait. goes_on: was only this one connection not to be had? Then the attempt has not failed, and
        put_back is called with what is left of it.
        """
        if not self._room.is_needed(waiting.octets):
            return await self._make(waiting, hop, patience, goes_on, put_back)
        async with contextlib.AsyncExitStack() as room:
            with patience():
                await room.enter_async_context(self._room.of(waiting.octets, waiting.turn[1]))
            return await self._make(waiting, hop, patience, goes_on, put_back)

    async def _make(
        self,
        waiting: Waiting,
        hop: Hop | None,
        patience: Callable[[], AbstractContextManager[None]],
        goes_on: Callable[[Attempt], bool],
        put_back: Callable[[Waiting], None],
    ) -> Attempt | None:
        if self._ending:
            self.interrupted(waiting)
            return None
        try:
            (batch,) = await self._begun([waiting])
        except Exception:
            log.exception("attempt not begun", id=waiting.id, domain=waiting.domain)
            self._put_off(waiting)
            return None
        if batch is None:
            return None
        try:
            octets = await self._prepared(batch, is_recorded=waiting.is_recorded)
            if octets is None:
                return None
            return await self._made(waiting, batch, octets, hop, patience, goes_on, put_back)
        except Exception:
            log.exception("relaying failed unforeseen", id=batch.item.id, domain=batch.domain)
            if hop is not None:  # nobody knows how far the last transaction over it came
                await hop.close()
            await self._failed_unforeseen(batch)
            return None

    async def fail(self, sharing: Sequence[Shared]) -> None:
        """What waited for next hops that could not be reached shares their failures, but for what is held meanwhile."""
        waiting = [one for one, _ in sharing]
        try:
            begun = await self._begun(waiting)
        except Exception:
            log.exception("failure not shared", domains=sorted({one.domain for one in waiting}))
            for one in waiting:
                self._put_off(one)
        else:
            await asyncio.gather(*(self._fail(batch, fate) for batch, (_, fate) in zip(begun, sharing, strict=True) if batch))

    def _put_off(self, waiting: Waiting) -> None:
        """It may be that an attempt has begun, as far as the journal knows; and only the end of one makes another possible."""
        next_at = self._clock.now() + timedelta(seconds=FIRST_DELAY_S)
        states = self._spool.open_recipients(waiting.id)
        for index in set(waiting.indexes) & states.keys():
            late = LATE if states[index].text.startswith(LATE) else ""
            self._spool.failed_attempt(waiting.id, index, late + kept(states[index].text, UNFORESEEN), next_at)
        _again(waiting)

    async def _fail(self, batch: Batch, fate: Fate) -> None:
        try:
            await self._results.end(batch, dict.fromkeys(batch.indexes, fate))
        except Exception:
            log.exception("relaying failed unforeseen", id=batch.item.id, domain=batch.domain)
            await self._failed_unforeseen(batch)

    async def _made(
        self,
        waiting: Waiting,
        batch: Batch,
        octets: bytes | Fate,
        hop: Hop | None,
        patience: Callable[[], AbstractContextManager[None]],
        goes_on: Callable[[Attempt], bool],
        put_back: Callable[[Waiting], None],
    ) -> Attempt | None:
        if isinstance(octets, Fate):
            await self._ended(batch, octets)
            return None
        try:
            paths = batch.paths()
        except AddressSyntaxError as error:  # no parser of ours lets one through; a later release may be stricter
            text = f"not an address that mail can be sent to: {error}"
            await self._ended(batch, Fate(Result.PERMANENT, "5.1.3", text, "", str(error)))
            return None
        item = batch.item
        if item.returns_at is not None and self._clock.now() >= item.returns_at:
            await self._ended(batch, too_late(item.deliver_by))
            return None
        forward_paths, reverse_path = tuple(map(str, paths)), item.reverse_path_of(batch.indexes[0])
        relaying = Relaying(item.id, batch.domain, item.origin, item.user, reverse_path, forward_paths, item.tls_optional)
        rules = self._rules()
        try:
            leaving = await rules.edits(relaying, octets)
        except HooksUnavailable as error:
            await self._ended(batch, _unruled(error))
            return None
        via = self._standing.route(item, batch.domain)
        mail = _outgoing(item, paths, leaving, self._clock.now())
        errand = Errand(
            batch.domain,
            mail,
            requirements=partial(rules.tls_requirements, relaying),
            taken=partial(self._taken, batch, paths),
            seven_bits=partial(_in_seven_bits, rules, relaying, octets),
            via=via,
        )
        talking = asyncio.current_task()
        assert talking is not None
        self._talking.add(talking)
        try:
            with patience():
                attempt = await self._relay.attempt(errand, hop)
        except HooksUnavailable as error:
            await self._ended(batch, _unruled(error))
            return None
        except asyncio.CancelledError:
            if not talking.uncancel():  # it was `interrupt`, which is over with this
                self._results.defer(batch, batch.rest, INTERRUPTED, wait_s=0.0)
                return None
            raise
        finally:
            self._talking.discard(talking)
        try:
            fates = _by_index(paths, attempt.fates)
            if goes_on(attempt):
                left = tuple(index for index, fate in fates.items() if fate.result is Result.TEMPORARY)
                await self._results.end(batch, {index: fate for index, fate in fates.items() if index not in left})
                crowded_out = waiting.crowded_out + attempt.is_crowded_out
                put_back(replace(waiting, indexes=left, item=batch.item, is_begun=True, crowded_out=crowded_out))
            else:
                await self._results.end(batch, fates)
            if attempt.sessions or not attempt.is_crowded_out:
                self._tell(_told(relaying, self._clock.now(), attempt))
        except BaseException:
            if attempt.hop is not None:
                await attempt.hop.close()
            raise
        return attempt

    async def _taken(self, batch: Batch, paths: Mapping[ForwardPath, Sequence[int]], fates: Mapping[ForwardPath, Fate]) -> None:
        """In the journal, even if we are interrupted meanwhile, before another host is tried."""
        ending = asyncio.get_running_loop().create_task(self._journalled(batch, _by_index(paths, fates)))
        try:
            await asyncio.shield(ending)
        except asyncio.CancelledError:
            await ending
            raise

    async def _journalled(self, batch: Batch, fates: dict[int, Fate]) -> None:
        await self._results.end(batch, fates)
        await self._spool.finish(())  # with all that was marked before

    def _tell(self, attempt: RelayingAttempt) -> None:
        try:
            self._attempted(attempt)
        except Exception:  # what came of it is in the journal, whoever watches
            log.exception("attempt not told", id=attempt.relaying.id)

    async def _ended(self, batch: Batch, fate: Fate) -> None:
        """Without anybody being asked."""
        await self._results.end(batch, dict.fromkeys(batch.indexes, fate))

    async def _failed_unforeseen(self, batch: Batch) -> None:
        """As any failure of our own, of those that nobody has taken yet; but when it is telling the sender that fails, the mail
        must wait all the same."""
        still_open = self._spool.open_recipients(batch.item.id)
        left = [index for index in batch.rest if index in still_open]
        try:
            await self._results.end(batch, dict.fromkeys(left, UNFORESEEN))
        except Exception as error:  # noqa: BLE001  whatever it is, the mail must wait
            log.error("the sender cannot be told", id=batch.item.id, problem=str(error))
            self._results.defer(batch, left, UNFORESEEN)

    # How an attempt begins

    async def _begun(self, some: Sequence[Waiting]) -> list[Batch | None]:
        """The journal knows of the attempts. None for what is held, dropped or under way meanwhile."""
        items = [waiting.item for waiting in some]
        if not all(items):
            items = await asyncio.to_thread(self._items, some)
        allowed = await self._spool.begun(
            [
                (item.id, index)
                for item, waiting in zip(items, some, strict=True)
                if item and not waiting.is_begun
                for index in waiting.indexes
            ]
        )
        batches: list[Batch | None] = []
        for item, waiting in zip(items, some, strict=True):
            begun = tuple(index for index in waiting.indexes if waiting.is_begun or (waiting.id, index) in allowed)
            batches.append(Batch(waiting.agenda, item, waiting.domain, begun) if item and begun else None)
        return batches

    async def _prepared(self, batch: Batch, *, is_recorded: bool) -> bytes | Fate | None:
        """The octets, or why they are not there; None when the message is gone.

        The decision record is kept before, so that after the reply nothing but the journal stands between the peer's 250 and our
        mark. From here on the journal knows of the attempt, so that whatever goes wrong is what it comes to.
        """
        if not is_recorded and (problem := await asyncio.to_thread(self._record, batch)) is not None:
            return problem
        received = self._spool.octets_at_hand(batch.item.id)
        return self._rendered(batch, received) if received is not None else await asyncio.to_thread(self._fetched, batch)

    def _record(self, batch: Batch) -> Fate | None:
        """In a thread. Why the decision record could not be kept."""
        try:
            self._decisions.add_all([(batch.item.decision, ())])
        except StorageError as error:
            return local_problem(str(error))
        except Exception:
            log.exception("decision record not kept", id=batch.item.id)
            return UNFORESEEN
        return None

    def _fetched(self, batch: Batch) -> bytes | Fate | None:
        """In a thread."""
        try:
            return self._rendered(batch, self._spool.octets(batch.item.id))
        except NotHere:
            return None
        except StorageError as error:
            if error.permanent and set_aside(self._spool, batch.item.id, error):
                return None
            return local_problem(str(error))

    def _rendered(self, batch: Batch, received: bytes) -> bytes | Fate:
        item = batch.item
        try:
            edited = render_pieces(received, (*item.edits, *item.recipients[batch.indexes[0]].edits))
            return b"".join((item.trace.encode("utf-8"), *edited))
        except Exception:
            log.exception("message not rendered", id=item.id)
            return UNFORESEEN

    def _items(self, some: Sequence[Waiting]) -> list[QueueItem | None]:
        """In a thread, as all that follows."""
        return [waiting.item or self._item(waiting) for waiting in some]

    def _item(self, waiting: Waiting) -> QueueItem | None:
        """None when it is gone, damaged, or cannot be read now and is planned again."""
        try:
            return self._spool.item(waiting.id)
        except NotHere:
            return None
        except StorageError as error:
            if error.permanent and set_aside(self._spool, waiting.id, error):
                return None
            log.error("queue item not readable, trying again", id=waiting.id, problem=str(error))
        except Exception:
            log.exception("queue item not read", id=waiting.id)
        _again(waiting)  # nothing has begun
        return None


async def _in_seven_bits(rules: Rules, relaying: Relaying, octets: bytes) -> bytes:
    """The message for a server without 8BITMIME: signed as it leaves, whatever signatures of others it had (decision 0011)."""
    try:
        converted = await asyncio.to_thread(in_seven_bits, octets)
    except ValueError as error:
        log.warning("not converted to seven bits", id=relaying.id, problem=str(error))
        raise
    return await rules.edits(relaying, converted)


def _by_index(paths: Mapping[ForwardPath, Sequence[int]], fates: Mapping[ForwardPath, Fate]) -> dict[int, Fate]:
    return {index: fates[path] for path, indexes in paths.items() if path in fates for index in indexes}


def _told(relaying: Relaying, at: datetime, attempt: Attempt) -> RelayingAttempt:
    fates = attempt.fates.items()
    outcomes = tuple(RelayOutcome(str(path), _WORDS[fate.result], fate.status, fate.words) for path, fate in fates)
    return RelayingAttempt(relaying, at, tuple(attempt.sessions), outcomes)


def _again(waiting: Waiting) -> None:
    for index in waiting.indexes:
        waiting.agenda.again(waiting.id, index, ROUTE, FIRST_DELAY_S)


def _unruled(error: HooksUnavailable) -> Fate:
    """Mail must not leave unsigned or less protected, whatever a plugin raises."""
    return unsendable(error.reason) if error.permanent else local_problem(f"outbound rules failed: {error}")


def _outgoing(item: QueueItem, paths: dict[ForwardPath, list[int]], octets: bytes, now: datetime) -> OutgoingMail:
    (reverse_path,) = {item.reverse_path_of(index) for indexes in paths.values() for index in indexes}
    return OutgoingMail(
        ReversePath(parse_mailbox(reverse_path)) if reverse_path else NULL_REVERSE_PATH,
        tuple(paths),
        octets,
        item.smtputf8,
        returned(item),
        item.envelope_id,
        {path: item.recipients[indexes[0]].parameters for path, indexes in paths.items()},
        item.require_tls,
        _left(item, now),
        item.priority,
    )


def _left(item: QueueItem, now: datetime) -> DeliverBy | None:
    """What is left of the time for its delivery (RFC 2852 section 4.1.4); in mode R there is some."""
    if not item.by_mode:
        return None
    left_s = int((datetime.fromisoformat(item.deliver_by) - now).total_seconds())
    returns = item.by_mode == "R"
    return DeliverBy(max(left_s, 1) if returns else left_s, returns, item.by_trace)
