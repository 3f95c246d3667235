"""What is kept of a message so that its plugins can be run again, after the reply and some messages at a time.

Nobody waits for it. A process that ends takes the last second of it along, and when mail comes faster than it can be written some
is left out: such a message is judged again by what was found, as one whose copy is gone.
"""

import asyncio
import hashlib
from dataclasses import dataclass

import structlog

from mailward.api.services import RunBlocking
from mailward.formats.arrived import removed_by
from mailward.formats.header import header_end
from mailward.formats.octets import Octets
from mailward.intake.peer import Peer
from mailward.intake.ports import Decisions
from mailward.model.edits import RecordedEdit, RemoveHeader
from mailward.model.errors import StorageError
from mailward.model.ids import QueueId
from mailward.model.receipt import Receipt
from mailward.pipeline.answered import Answered
from mailward.queue.item import QueueItem
from mailward.rounds import Rounds

EVERY_S = 1.0
MOST_MESSAGES = 1000
MOST_OCTETS = 16 << 20
"""Of the messages that wait, those in files are not counted: a map takes no memory of ours."""

REMOVED = (RemoveHeader("Return-Path"),)
"""By final delivery, of every copy."""

_log = structlog.get_logger("mailward.smtp")


@dataclass(frozen=True, slots=True)
class _Waiting:
    """answered: of the client and of the message, which may grow until it is written."""

    octets: Octets
    protocol: str
    former: str | None
    removing: tuple[RecordedEdit, ...]
    answered: tuple[Answered, Answered]

    def receipt(self) -> Receipt:
        of_client, of_message = self.answered
        both = of_message.with_earlier(of_client)
        header, whole = (hashlib.sha256(part).digest() for part in (self.octets[: header_end(self.octets)], self.octets))
        removed = removed_by(self.octets, self.removing)
        return Receipt(both.heard, both.cut, self.protocol, self.former, header, whole, removed)


class Receipts:
    """Those of one process."""

    def __init__(self, decisions: Decisions, run_blocking: RunBlocking) -> None:
        self._decisions = decisions
        self._run_blocking = run_blocking
        self._waiting: dict[QueueId, _Waiting] = {}
        self._octets = 0
        self._left_out = 0
        self._rounds = Rounds("writing receipts", self.write, every_s=EVERY_S, first_after_s=EVERY_S)

    def start(self) -> None:
        self._rounds.start()

    async def stop(self) -> None:
        """What waits is written, or said to be lost: what else is to be closed must not hang on it."""
        await self._rounds.stop()
        try:
            await self.write()
        except StorageError as error:
            _log.error("receipts lost", problem=str(error))

    def keep(self, item: QueueItem, octets: Octets, protocol: str, peer: Peer, of_message: Answered) -> None:
        """Write it soon. octets: as they were judged. protocol: as in `Receipt`. Once more for one item: when more was asked."""
        id = item.id
        former = peer.meeting.former if peer.meeting else None
        size = len(octets) if isinstance(octets, bytes) else 0
        if id not in self._waiting:
            if len(self._waiting) >= MOST_MESSAGES or self._octets + size > MOST_OCTETS:
                self._left_out += 1
                return
            self._octets += size
        self._waiting[id] = _Waiting(
            octets, protocol, former, (*REMOVED, *item.edits, *_of_all(item)), (peer.answered, of_message)
        )

    async def write(self) -> None:
        """Write what waits. Raises StorageError, and then it is lost; what is written twice is written once."""
        waiting, self._waiting, self._octets = self._waiting, {}, 0
        if self._left_out:
            _log.warning("receipts left out", messages=self._left_out)
            self._left_out = 0
        if not waiting:
            return
        try:
            await self._run_blocking(lambda: self._decisions.add_receipts([(id, one.receipt()) for id, one in waiting.items()]))
        except asyncio.CancelledError:  # by `stop`, which writes what waits
            self._waiting = {**waiting, **self._waiting}
            raise


def _of_all(item: QueueItem) -> tuple[RecordedEdit, ...]:
    """What is done to each recipient's copy alike."""
    first, *others = (one.edits for one in item.recipients)
    return tuple(edit for edit in first if all(edit in edits for edits in others))
