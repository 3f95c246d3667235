"""What happened to mail is written where `explain` shows it: a moment later, for all of that moment in one transaction.

Nobody waits for it, since the journal is what counts: a crash costs the words of the last moment. What waits here stays little:
no attempt begins before its decision record is kept in the same place, so what holds up the one holds up the other.
"""

import asyncio
from collections.abc import Sequence

import structlog

from mailward.delivery.ports import Decisions
from mailward.model.decision import DecisionRecord, LaterEvent
from mailward.model.errors import StorageError

MOMENT_S = 0.1

Happened = tuple[DecisionRecord, tuple[LaterEvent, ...]]

log = structlog.get_logger("mailward.outbound")


class Noting:
    """Belongs to one event loop."""

    def __init__(self, decisions: Decisions) -> None:
        self._decisions = decisions
        self._happened: list[Happened] = []
        self._writing: asyncio.Task[None] | None = None

    def note(self, record: DecisionRecord, events: tuple[LaterEvent, ...]) -> None:
        """What has become of a message; in this order."""
        self._happened.append((record, events))
        if self._writing is None:
            self._writing = asyncio.get_running_loop().create_task(self._write())

    async def noted(self) -> None:
        """Returns when everything is written, or lost with a line in the log."""
        if self._writing is not None:
            await self._writing

    async def _write(self) -> None:
        try:
            while self._happened:
                await asyncio.sleep(MOMENT_S)
                happened, self._happened = self._happened, []
                await asyncio.to_thread(self._add, happened)
        finally:
            self._writing = None

    def _add(self, happened: Sequence[Happened]) -> None:
        try:
            self._decisions.add_all(happened)
        except StorageError as error:
            for record, _ in happened:
                log.warning("decision events lost", id=record.id, problem=str(error))
        except Exception:
            if len(happened) > 1:  # one of them may be the reason
                for one in happened:
                    self._add([one])
            else:
                log.exception("decision events lost, unforeseen", id=happened[0][0].id)
