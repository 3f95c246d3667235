"""Whose turn is it? What takes much memory is done for one command at a time, of all that a process serves."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary

from mailward.model.ids import AccountId


class Turns:
    """In the order in which they are asked for, but no account waits for two at once: however many sessions somebody opens,
    others wait for one command of his."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()
        self._of: WeakValueDictionary[AccountId, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def take(self, account: AccountId) -> AsyncIterator[None]:
        """The only one that has a turn, until it is given back."""
        own = self._of.get(account)
        if own is None:
            own = self._of[account] = asyncio.Lock()
        async with own, self._turn:
            yield
