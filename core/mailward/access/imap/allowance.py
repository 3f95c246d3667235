"""How much of something may an account do in a while? So that no client keeps plugins busy with learning, or guesses names."""

import time
from collections import Counter
from collections.abc import Callable

from mailward.model.ids import AccountId


class Allowance:
    """most: of one account in period_s, in one process. now: a clock in seconds that only goes forward."""

    def __init__(self, most: int, period_s: float, now: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._period_s = period_s
        self._now = now
        self._until = now()
        self._taken: Counter[AccountId] = Counter()

    def left(self, account: AccountId) -> int:
        if self._now() >= self._until:
            self._until = self._now() + self._period_s
            self._taken.clear()
        return self._most - self._taken[account]

    def take(self, account: AccountId, wanted: int = 1) -> int:
        """As many of the wanted as are left."""
        granted = min(wanted, self.left(account))
        self._taken[account] += granted
        return granted

    def give_back(self, account: AccountId) -> None:
        """One that was taken and not used. It is lost where the while has ended meanwhile."""
        if self.left(account) < self._most:
            self._taken[account] -= 1
