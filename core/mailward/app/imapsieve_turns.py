"""Whose command meets the script next? Those of each account wait in their order, and the accounts take turns."""

from collections import deque
from collections.abc import Sequence
from dataclasses import replace

from mailward.access.imap.events import Event
from mailward.model.ids import AccountId

MOST_WAITING = 5000
"""Commands of one account whose messages have not met the script yet."""


class Turns:
    """A line for each account that gives commands, on whosever mailboxes. Locks nothing."""

    def __init__(self) -> None:
        self._lines: dict[AccountId, deque[Event]] = {}  # the first of them is next

    def add(self, event: Event) -> bool:
        """To the end of its line. False where that is too long: it does not wait."""
        account = event.identity.account
        if len(self._lines.get(account, ())) >= MOST_WAITING:
            return False
        self._lines.setdefault(account, deque()).append(event)
        return True

    def next(self) -> Event | None:
        """Still in its line until it is `done`. None when nothing waits."""
        return next(iter(self._lines.values()))[0] if self._lines else None

    def done(self, rest: Sequence[int]) -> None:
        """With the next, but for these UIDs. Its account is behind all others now."""
        account = next(iter(self._lines))
        line = self._lines.pop(account)
        event = line.popleft()
        if rest:
            line.appendleft(replace(event, uids=rest))
        if line:
            self._lines[account] = line
