"""Which sessions of this process want to hear that an account's mail has changed; a slow poll covers lost hints.

The first change is told at once, those that come soon after it together. To tell a session takes time, so the more of them hear
of an account, the longer its changes are gathered (T-IMAP-17).
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable

from mailward.model.ids import AccountId
from mailward.store.changes import POLL_S

_TOGETHER_S = 0.02
_EACH_S = 0.002
"""For each session that is told."""
_SHARES = 30
"""In which all accounts are polled."""


class Watchers:
    """On one event loop."""

    def __init__(self) -> None:
        self._callbacks: dict[AccountId, set[Callable[[], None]]] = defaultdict(set)
        self._gathering: dict[AccountId, bool] = {}
        """Accounts that were told of a short while ago, and whether there has been another change since."""
        self._due: list[AccountId] = []
        self._share = 1
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, account: AccountId, callback: Callable[[], None]) -> Callable[[], None]:
        """Call back whenever the account may have changed; returns how to stop it."""
        self._callbacks[account].add(callback)

        def stop() -> None:
            self._callbacks[account].discard(callback)
            if not self._callbacks[account]:
                del self._callbacks[account]

        return stop

    def changed(self, account: AccountId) -> None:
        """A hint came in."""
        if account in self._gathering:
            self._gathering[account] = True
        elif account in self._callbacks:
            callbacks = tuple(self._callbacks[account])
            self._gathering[account] = False
            asyncio.get_running_loop().call_later(max(_TOGETHER_S, len(callbacks) * _EACH_S), self._gathered, account)
            for callback in callbacks:
                callback()

    def _gathered(self, account: AccountId) -> None:
        if self._gathering.pop(account):
            self.changed(account)

    def start(self) -> None:
        """Begin polling."""
        self._timer = asyncio.get_running_loop().call_later(POLL_S / _SHARES, self._poll)

    def _poll(self) -> None:
        """A share of the accounts each time: else thousands of sessions would look at their mailboxes at once."""
        if not self._due:
            self._due = list(self._callbacks)
            self._share = -(-len(self._due) // _SHARES)
        for account in self._due[-self._share :]:
            self.changed(account)
        del self._due[-self._share :]
        self.start()

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
