"""How many messages may an account have learnt in a minute? So that no client keeps the plugins that learn busy."""

import time
from collections import Counter
from collections.abc import Callable

import structlog

from mailward.model.ids import AccountId

MAX_LEARNT_MESSAGES = 1000
"""Of one account in a minute, in one process; what is more is not learnt."""
MINUTE_S = 60.0

log = structlog.get_logger("mailward.imap")


class Allowance:
    """now: a clock in seconds that only goes forward."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._until = now()
        self._taken: Counter[AccountId] = Counter()

    def take(self, account: AccountId, wanted: int) -> int:
        """As many of the wanted as are left."""
        if self._now() >= self._until:
            self._until = self._now() + MINUTE_S
            self._taken.clear()
        left = MAX_LEARNT_MESSAGES - self._taken[account]
        granted = min(wanted, left)
        self._taken[account] += granted
        if granted < wanted and left > 0:  # once a minute
            log.warning("lessons left out", account=account, learnt_in_a_minute=MAX_LEARNT_MESSAGES)
        return granted
