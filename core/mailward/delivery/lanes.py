"""Whose mail is relayed next, and over how many connections at once? Pure: no I/O, time and chance come in as arguments.

Mail waits in lanes, one for each next hop, so that many domains on one host share its connections. Senders take turns, within
a lane and over all lanes: nobody's ten thousand messages are in the way of anybody's one. Higher priorities go first (RFC 6710).
A lane begins with one connection, has more as they work, and fewer when one fails. A next hop that could not be reached at all is
left alone for a while, ever longer, and is in doubt from then on: such lanes have connections of their own, so that the dead
take none from the living (T-Q-15, T-Q-16).
"""

from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from mailward.model.ids import QueueId
from mailward.queue.agenda import Agenda, Rest
from mailward.queue.item import QueueItem
from mailward.queue.schedule import rest_s

MOST_REMEMBERED = 50_000
"""Next hops that could not be reached; of more the one that failed the longest ago is forgotten."""

LONGEST_STEP = 128
FEW = 2
"""Messages that wait for each connection there is, and are no reason for another."""

Key = Hashable
"""What tells one next hop from another."""
Turn = tuple[int, str]
"""A priority and a sender."""

May = Callable[[str], bool]
"""Is there a place for this sender?"""

T = TypeVar("T")


def everybody(sender: str) -> bool:
    """There is one for all of them."""
    return True


@dataclass(frozen=True, slots=True)
class Waiting:
    """Recipients of one message that travel together: one domain, the same edits and reverse-path.

    octets: of the message. item: None while so many wait that their items stay on the disk. is_recorded: its decision record is
    kept. is_begun: its attempt has, as the journal knows, and goes on over another connection. crowded_out: how often our own
    limit kept this attempt from its hosts.
    """

    agenda: Agenda
    id: QueueId
    domain: str
    indexes: tuple[int, ...]
    turn: Turn
    octets: int = 0
    item: QueueItem | None = None
    is_recorded: bool = False
    is_begun: bool = False
    crowded_out: int = 0


class Turns(Generic[T]):
    """A queue for each turn. Next is the highest priority, and of that the sender whose last turn is the longest ago."""

    def __init__(self) -> None:
        self._levels: dict[int, OrderedDict[str, deque[T]]] = {}

    def __bool__(self) -> bool:
        return bool(self._levels)

    def __contains__(self, turn: Turn) -> bool:
        return turn[1] in self._levels.get(turn[0], ())

    def all(self) -> list[Turn]:
        return [(priority, sender) for priority, senders in self._levels.items() for sender in senders]

    def add(self, turn: Turn, one: T) -> None:
        self._levels.setdefault(turn[0], OrderedDict()).setdefault(turn[1], deque()).append(one)

    def put_back(self, turn: Turn, one: T) -> None:
        """It is the next of its priority."""
        self._levels.setdefault(turn[0], OrderedDict()).setdefault(turn[1], deque()).appendleft(one)
        self.prefer(turn)

    def __iter__(self) -> Iterator[T]:
        return (one for senders in self._levels.values() for queue in senders.values() for one in queue)

    def next(self, may: May = everybody) -> Turn | None:
        """Whose turn it is, of those who may; None when it is nobody's."""
        return next(((p, who) for p in sorted(self._levels, reverse=True) for who in self._levels[p] if may(who)), None)

    def take(self, turn: Turn) -> tuple[Turn, T]:
        """The first of those whose turn it is."""
        priority, sender = turn
        senders = self._levels[priority]
        queue = senders[sender]
        one = queue.popleft()
        if queue:
            senders.move_to_end(sender)
        else:
            del senders[sender]
            if not senders:
                del self._levels[priority]
        return (priority, sender), one

    def prefer(self, turn: Turn) -> None:
        """Let it be the next of its priority."""
        self._levels[turn[0]].move_to_end(turn[1], last=False)


@dataclass(slots=True, eq=False)
class Lane:
    """Mail for one next hop. most: connections at once, however well it goes; allowed: by how it went. step: messages that must
    go well before one more is allowed; gained: of these, since the last one.

    workers: connections that it has now, or tries to make; working: those of them over which something has gone well; idle:
    those that are kept for the next message, so that no other is made for it. count: of what waits. is_paused: it gets no
    connection now. in_line: senders in whose turn it stands in the line for a connection.
    """

    key: Key
    most: int
    is_doubtful: bool
    allowed: int = 1
    step: int = 1
    gained: int = 0
    workers: int = 0
    working: int = 0
    idle: int = 0
    count: int = 0
    is_paused: bool = False
    waiting: Turns[Waiting] = field(default_factory=Turns)
    in_line: set[Turn] = field(default_factory=set)

    @property
    def sender(self) -> str:
        """Whose message is the next one, "" for nobody's."""
        return (self.waiting.next() or (0, ""))[1]

    @property
    def has_room(self) -> bool:
        """For one connection more, which is worth it only for a few messages."""
        return self.workers < self.allowed and not (self.idle or self.is_paused) and self.count > FEW * self.workers

    def take(self) -> Waiting | None:
        """The next one."""
        turn = self.waiting.next()
        if turn is None:
            return None
        self.count -= 1
        return self.waiting.take(turn)[1]


@dataclass(slots=True)
class _Failing:
    """A next hop that could not be reached: how often in succession, and until when it is left alone."""

    rest: Rest
    failures: int = 0
    until_s: float = 0.0


class Lanes:
    """most: connections at once to one next hop. monotonic_s: a clock that never jumps. chance: randomness, from 0 up to 1."""

    def __init__(self, most: int, monotonic_s: Callable[[], float], chance: Callable[[], float]) -> None:
        self._most = most
        self._monotonic_s = monotonic_s
        self._chance = chance
        self._lanes: dict[Key, Lane] = {}
        self._lines: dict[bool, Turns[Lane]] = {False: Turns(), True: Turns()}
        self._failing: OrderedDict[Key, _Failing] = OrderedDict()

    def __bool__(self) -> bool:
        """Does anything wait, or is under way?"""
        return bool(self._lanes)

    # Mail and connections

    def add(self, key: Key, waiting: Waiting, *, alone: bool = False) -> None:
        """alone: in a lane that never has more than one connection."""
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = Lane(key, 1 if alone else self._most, is_doubtful=key in self._failing)
        lane.waiting.add(waiting.turn, waiting)
        lane.count += 1
        self._line_up(lane, [waiting.turn])

    def put_back(self, lane: Lane, waiting: Waiting) -> None:
        """Its connection was one too many: it is the first to go over another one of this lane, that is there or will be."""
        lane.waiting.put_back(waiting.turn, waiting)
        lane.count += 1
        self._line_up(lane, [waiting.turn])

    def begun(self) -> list[Waiting]:
        """What was put back and waits still."""
        return [waiting for lane in self._lanes.values() for waiting in lane.waiting if waiting.is_begun]

    def next(self, may: May = everybody, *, doubtful: bool) -> Lane | None:
        """A lane that gets a connection more, of those in doubt or of the others, in the turn of a sender who may have one; None
        when none wants it. It ends by `ended`.
        """
        line = self._lines[doubtful]
        while (found := line.next(may)) is not None:
            turn, lane = line.take(found)
            lane.in_line.discard(turn)
            if lane.is_doubtful is doubtful and turn in lane.waiting and lane.has_room:
                lane.workers += 1
                lane.waiting.prefer(turn)
                self._line_up(lane, [turn])
                return lane
        return None

    def is_wanted(self, *, doubtful: bool) -> bool:
        """Does a lane perhaps wait for a connection?"""
        return bool(self._lines[doubtful])

    def ended(self, lane: Lane) -> None:
        """One of its connections is over."""
        lane.workers -= 1
        if lane.workers or lane.waiting:
            self._line_up(lane, lane.waiting.all())
        elif self._lanes.get(lane.key) is lane:
            del self._lanes[lane.key]

    def resumed(self, lane: Lane) -> None:
        """One of its connections is idle no more."""
        lane.idle -= 1
        self._line_up(lane, lane.waiting.all())

    def pause(self, lane: Lane) -> None:
        """It gets no connection until `go_on`, and nothing of what waits in it is at fault."""
        lane.is_paused = True

    def go_on(self, lane: Lane) -> None:
        """Its pause is over."""
        lane.is_paused = False
        self._line_up(lane, lane.waiting.all())

    def _line_up(self, lane: Lane, turns: list[Turn]) -> None:
        if lane.has_room:
            for turn in turns:
                if turn not in lane.in_line and turn in lane.waiting:
                    lane.in_line.add(turn)
                    self._lines[lane.is_doubtful].add(turn, lane)

    # How it went

    def worked(self, lane: Lane) -> Rest | None:
        """A message got its replies over a connection that is good for another: one more may be made, and nothing is in doubt.

        Returns the rest that is over with this.
        """
        had_room = lane.has_room and not lane.is_doubtful
        lane.gained += 1
        if lane.gained >= lane.step:
            lane.gained = 0
            lane.allowed = min(lane.allowed + 1, lane.most)
        ended = self.reached(lane.key)
        if ended is not None or lane.is_doubtful:
            lane.is_doubtful = False
            lane.in_line.clear()
        if not had_room:
            self._line_up(lane, lane.waiting.all())
        return ended

    def broke(self, lane: Lane) -> None:
        """A connection broke, or one more than those that work was refused: half as many, and more again at half the pace."""
        lane.allowed = max(1, min(lane.allowed, lane.workers) // 2)
        lane.gained, lane.step = 0, min(lane.step * 2, LONGEST_STEP)

    def down(self, lane: Lane, words: str) -> list[Waiting]:
        """No host could be reached. Returns what waits, which shares the failure; what comes meanwhile is to wait `rest_s`."""
        lane.allowed = 1
        lane.gained = 0
        known = self._failing.setdefault(lane.key, _Failing(Rest(words)))
        known.rest.words = words
        self._failing.move_to_end(lane.key)
        if len(self._failing) > MOST_REMEMBERED:
            self._failing.popitem(last=False)
        known.failures += 1
        known.until_s = self._monotonic_s() + rest_s(known.failures, self._chance())
        lane.is_doubtful = True
        lane.in_line.clear()
        waiting = []
        while (one := lane.take()) is not None:
            waiting.append(one)
        return waiting

    def rest(self, key: Key) -> tuple[float, Rest] | None:
        """For how many seconds this next hop is still left alone; None when it is not."""
        known = self._failing.get(key)
        left_s = 0.0 if known is None else known.until_s - self._monotonic_s()
        return None if known is None or left_s <= 0 else (left_s, known.rest)

    def reached(self, key: Key) -> Rest | None:
        """It is in doubt no more. Returns the rest that is over with this."""
        failing = self._failing.pop(key, None)
        return None if failing is None else failing.rest

    def forgive(self, key: Key) -> None:
        """Somebody wants it tried now."""
        if key in self._failing:
            self._failing[key].until_s = self._monotonic_s()
