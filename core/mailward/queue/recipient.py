"""What is still to be done for one recipient: its state, and the one table of how that may change.

What a living process marks and what the journal of a dead one says go through the same table (`journal`). Values only: whoever
changes a state puts another value in its place, so that readers in any thread need neither locks nor copies.
"""

import enum
from collections.abc import Mapping
from typing import NamedTuple

from mailward.queue.record import Kind
from mailward.queue.schedule import HOLD_AFTER


class State(enum.IntEnum):
    """Where a recipient stands."""

    ACCEPTED = 1  # the process that accepted the message delivers it at once, and leaves what it cannot deliver
    WAITING = 2  # for the moment of its next attempt
    BEGUN = 3  # an attempt is under way
    HELD = 4  # no attempt before it is released
    BEGUN_HELD = 5  # an attempt is under way, and none follows it before it is released
    LEFT = 6  # this process begins nothing more; whoever takes the segment over does
    DONE = 7  # nothing more is to be done


MOVES: Mapping[State, Mapping[Kind, State]] = {
    State.ACCEPTED: {
        Kind.BEGUN: State.ACCEPTED,
        Kind.FAILED: State.LEFT,
        Kind.DONE: State.DONE,
    },
    State.WAITING: {
        Kind.BEGUN: State.BEGUN,
        Kind.FAILED: State.WAITING,
        Kind.HELD: State.HELD,
        Kind.RELEASED: State.WAITING,
        Kind.DUE: State.WAITING,
        Kind.DONE: State.DONE,
    },
    State.BEGUN: {
        Kind.FAILED: State.WAITING,
        Kind.HELD: State.BEGUN_HELD,
        Kind.RELEASED: State.BEGUN,
        Kind.DUE: State.BEGUN,
        Kind.DONE: State.DONE,
    },
    State.HELD: {
        Kind.FAILED: State.HELD,
        Kind.HELD: State.HELD,
        Kind.RELEASED: State.WAITING,
        Kind.DONE: State.DONE,
    },
    State.BEGUN_HELD: {
        Kind.FAILED: State.HELD,
        Kind.HELD: State.BEGUN_HELD,
        Kind.RELEASED: State.BEGUN,
        Kind.DONE: State.DONE,
    },
    State.LEFT: {
        Kind.FAILED: State.LEFT,
        Kind.HELD: State.LEFT,
        Kind.RELEASED: State.LEFT,
        Kind.DUE: State.LEFT,
        Kind.DONE: State.DONE,
    },
    State.DONE: {},
}
"""What a record of the journal makes of a state. One that is not named here is not written: an attempt of what is held, say."""

TAKEN_OVER: Mapping[State, State] = {
    State.ACCEPTED: State.WAITING,
    State.BEGUN: State.WAITING,
    State.BEGUN_HELD: State.HELD,
    State.LEFT: State.WAITING,
}
"""What the end of a process makes of a state; no record says so."""

IDLE = frozenset((State.WAITING, State.HELD))
"""Nothing is under way, and this process is who acts next."""
CLAIMED = frozenset((*IDLE, State.ACCEPTED, State.BEGUN, State.BEGUN_HELD))
"""This process means to act, so its segment stays with it."""

_DONE, _WAITING, _HELD = State.DONE, State.WAITING, State.HELD  # until Python 3.12 a look-up in an enum runs code


class OpenRecipient(NamedTuple):
    """A recipient for whom something is still to be done, or who is DONE.

    route: as in its `QueuedRecipient`. failures: attempts that ended badly. begun: attempts that began and did not end.
    next_at: ISO 8601 in UTC, "" for now. text: how the last one ended. held: why an admin holds it, "" when none does.
    """

    route: str
    state: State
    failures: int = 0
    begun: int = 0
    next_at: str = ""
    text: str = ""
    held: str = ""

    @property
    def is_open(self) -> bool:
        """Something is to be done, by whomever."""
        return self.state is not _DONE

    @property
    def waiting(self) -> bool:
        """This process may act on it, and no attempt is under way."""
        return self.state in IDLE

    @property
    def hold_reason(self) -> str:
        """Why no attempt is made before it is released, "" when attempts are made (T-Q-08)."""
        if self.held or self.state is not _HELD:
            return self.held
        return f"{self.begun} attempts ended with the process"

    def left(self) -> "OpenRecipient":
        """This process gives it up."""
        return self if self.state is _DONE else self._replace(state=State.LEFT)

    def taken_over(self) -> "OpenRecipient":
        """Another process has it now, and an attempt that was under way has died with the one before."""
        state = TAKEN_OVER.get(self.state, self.state)
        if state is _WAITING and (self.held or self.begun >= HOLD_AFTER):
            state = _HELD
        return self if state is self.state else self._replace(state=state)


FINISHED = OpenRecipient("", State.DONE)
"""What stays of a recipient in the place that its index names."""
