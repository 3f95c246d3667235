"""Mail in the server's own name that plugins send, such as reports, or the server itself: into the queue, once for each key.

The id of such a message is made of its key. What is in the spool, or has begun to leave it and so has a decision record, is
not put there again: a plugin that was interrupted may simply do its work once more.
"""

import asyncio
from datetime import datetime
from typing import Protocol

import structlog

from mailward.api.services import Clock, Submit
from mailward.delivery.own_mail import own_mail, way_to
from mailward.delivery.ports import Directory
from mailward.formats.message import MessageView
from mailward.model.decision import DecisionRecord
from mailward.model.ids import QueueId, queue_id_for
from mailward.queue.agenda import Agenda
from mailward.queue.item import QueueItem
from mailward.queue.spool import Spool

log = structlog.get_logger("mailward.delivery")


def own_id(sender: str, key: str) -> QueueId:
    """Of what a plugin, or a part of the server, sends under this key."""
    return queue_id_for(f"{sender}\0{key}")


class KnownDecisions(Protocol):
    """Which messages have begun to leave the spool?"""

    def get(self, id: QueueId) -> DecisionRecord | None:
        """May raise StorageError."""
        ...


class OwnMail:
    """Belongs to the queue process and its loop."""

    def __init__(self, spool: Spool, agenda: Agenda, directory: Directory, decisions: KnownDecisions, clock: Clock) -> None:
        self._spool = spool
        self._agenda = agenda
        self._directory = directory
        self._decisions = decisions
        self._clock = clock
        self._one_at_a_time = asyncio.Lock()

    def of_plugin(self, plugin: str) -> Submit:
        """What one plugin sends by."""
        return self._of(plugin, f"sent by the plugin {plugin}")

    def of_server(self, what: str) -> Submit:
        """What a part of the server sends by. what: of two words at least, which no plugin's name is."""
        return self._of(what, what)

    def _of(self, sender: str, why: str) -> Submit:
        """sender: whose keys they are. why: for `explain`."""

        async def submit(
            forward_path: str, octets: bytes, *, key: str, not_before: datetime | None = None, tls_optional: bool = False
        ) -> bool:
            item = own_mail(
                own_id(sender, key),
                way_to(self._directory, forward_path),
                why=why,
                message_id=MessageView(octets).message_id,
                size_octets=len(octets),
                at=self._clock.now(),
                tls_optional=tls_optional,
                not_before=not_before,
            )
            return await self.put(item, octets)

        return submit

    async def is_known(self, id: QueueId) -> bool:
        """Was a message of this id ever put into the queue? Raises StorageError."""
        return await asyncio.to_thread(self._is_known, id)

    async def put(self, item: QueueItem, octets: bytes) -> bool:
        """Into the queue, unless a message of this id ever was. Raises StorageError."""
        async with self._one_at_a_time:
            if await asyncio.to_thread(self._is_known, item.id):
                return False
            incoming = self._spool.begin(item.id, kept=True)
            incoming.write(octets)
            await incoming.commit(item)
        why = item.decision.recipients[0].source_name
        log.info("own mail", id=item.id, why=why, to=item.recipients[0].forward_path)
        for index in range(len(item.recipients)):
            self._agenda.plan(item.id, index)
        return True

    def _is_known(self, id: QueueId) -> bool:
        return bool(self._spool.open_recipients(id)) or self._decisions.get(id) is not None
