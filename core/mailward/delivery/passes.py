"""The rhythm of the queue process: take over what has no owner, then let each manager begin what is due."""

import asyncio
from collections.abc import Sequence
from typing import Protocol

from mailward.queue.agenda import Agenda

ADOPT_EVERY_S = 0.25


class Manager(Protocol):
    """Serves some of the routes."""

    async def run_pass(self, agenda: Agenda) -> None:
        """Begin what is due, without waiting for how it goes."""
        ...


class Passes:
    """Of one agenda. Whatever one pass meets, the mail is in the spool and the next pass comes."""

    def __init__(self, agenda: Agenda, managers: Sequence[Manager]) -> None:
        self._agenda = agenda
        self._managers = managers

    async def run_once(self) -> bool:
        """One pass. Returns whether there may be more to take over: a long queue is taken over in steps, and served meanwhile."""
        is_more = await asyncio.to_thread(self._agenda.adopt)
        for manager in self._managers:
            await manager.run_pass(self._agenda)
        return is_more
