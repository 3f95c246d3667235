"""What is kept of a message so that its plugins can be run again, after the reply and some messages at a time.

Nobody waits for it. A process that ends takes the last second of it along, and when mail comes faster than it can be written some
is left out: such a message is judged again by what was found, as one whose copy is gone.
"""

import asyncio
import hashlib
from dataclasses import dataclass

import structlog

from mailward.api.services import RunBlocking
from mailward.formats.header import header_end
from mailward.formats.octets import Octets
from mailward.intake.ports import Decisions
from mailward.model.ids import QueueId
from mailward.model.receipt import Receipt
from mailward.pipeline.answered import Answered
from mailward.rounds import Rounds

EVERY_S = 1.0
MOST_MESSAGES = 1000
MOST_OCTETS = 16 << 20
"""Of the messages that wait, those in files are not counted: a map takes no memory of ours."""

_log = structlog.get_logger("mailward.smtp")


@dataclass(frozen=True, slots=True)
class _Waiting:
    """answered: of the client and of the message, which may grow until it is written."""

    octets: Octets
    protocol: str
    answered: tuple[Answered, Answered]

    def receipt(self) -> Receipt:
        of_client, of_message = self.answered
        both = of_message.with_earlier(of_client)
        header = hashlib.sha256(memoryview(self.octets)[: header_end(self.octets)])
        return Receipt(both.heard, both.cut, self.protocol, header.digest(), hashlib.sha256(self.octets).digest())


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
        """What waits is written."""
        await self._rounds.stop()
        await self.write()

    def keep(self, id: QueueId, octets: Octets, protocol: str, of_client: Answered, of_message: Answered) -> None:
        """Write it soon. octets: as they were judged. protocol: as in `Receipt`. Once more for one id: when more was asked."""
        size = len(octets) if isinstance(octets, bytes) else 0
        if id not in self._waiting:
            if len(self._waiting) >= MOST_MESSAGES or self._octets + size > MOST_OCTETS:
                self._left_out += 1
                return
            self._octets += size
        self._waiting[id] = _Waiting(octets, protocol, (of_client, of_message))

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
