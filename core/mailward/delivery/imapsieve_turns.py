"""Whose command meets the script next? Those of each account wait in their order, and the accounts take turns."""

from array import array
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import replace

from mailward.model.ids import AccountId
from mailward.store.events import Event

MOST_PLACES = 1_000_000
"""Of 4 octets for each message that waits, and `COMMAND_PLACES` for each command: some 35 MB in all."""
COMMAND_PLACES = 20


class Turns:
    """A line for each account that gives commands, on whosever mailboxes. Locks nothing.

    An account may have a tenth of the places that others leave: 100,000 where nobody else waits, so that there is room for
    the next however many wait (T-DOS-06).
    """

    def __init__(self) -> None:
        self._lines: dict[AccountId, deque[Event]] = {}  # the first of them is next
        self._places: Counter[AccountId] = Counter()

    @property
    def waiting(self) -> tuple[int, int]:
        """How many commands, and messages of them."""
        commands = sum(map(len, self._lines.values()))
        return commands, self._places.total() - commands * COMMAND_PLACES

    def add(self, event: Event) -> bool:
        """To the end of its line. False where that is too long: it does not wait."""
        account = event.identity.account
        own = self._places[account] + _places(event)
        if own > (MOST_PLACES - (self._places.total() - self._places[account])) // 10:
            return False
        self._places[account] = own
        self._lines.setdefault(account, deque()).append(replace(event, uids=array("I", event.uids)))
        return True

    def next(self) -> Event | None:
        """Still in its line until it is `done`. None when nothing waits."""
        return next(iter(self._lines.values()))[0] if self._lines else None

    def done(self, rest: Sequence[int]) -> None:
        """With the next, but for these UIDs. Its account is behind all others now."""
        account = next(iter(self._lines))
        line = self._lines.pop(account)
        event = line.popleft()
        self._places[account] -= _places(event)
        if rest:
            line.appendleft(replace(event, uids=rest))
            self._places[account] += _places(line[0])
        if line:
            self._lines[account] = line
        else:
            del self._places[account]


def _places(event: Event) -> int:
    return COMMAND_PLACES + len(event.uids)
