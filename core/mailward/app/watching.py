"""Which sessions of this process want to hear that an account's mail has changed; a slow poll covers lost hints."""

import asyncio
from collections import defaultdict
from collections.abc import Callable

from mailward.model.ids import AccountId
from mailward.store.changes import POLL_S


class Watchers:
    """On one event loop."""

    def __init__(self) -> None:
        self._callbacks: dict[AccountId, set[Callable[[], None]]] = defaultdict(set)
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
        for callback in tuple(self._callbacks.get(account, ())):
            callback()

    def start(self) -> None:
        """Begin polling."""
        self._timer = asyncio.get_running_loop().call_later(POLL_S, self._poll)

    def _poll(self) -> None:
        for account in tuple(self._callbacks):
            self.changed(account)
        self.start()

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
