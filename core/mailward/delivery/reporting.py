"""Delivery reports on their way: written by `bounce`, put into the spool, and from there delivered like any other mail."""

import asyncio
from collections.abc import Mapping
from datetime import datetime

import structlog

from mailward.delivery.bounce import no_report_reason, report
from mailward.delivery.fate import Fate
from mailward.delivery.ports import Directory
from mailward.formats.address import parse_mailbox
from mailward.formats.domains import AddressSyntaxError
from mailward.formats.dsn import Action
from mailward.model.envelope import Notify
from mailward.model.ids import new_queue_id
from mailward.queue.agenda import Agenda
from mailward.queue.item import QueuedRecipient, QueueItem
from mailward.queue.spool import Spool

_NEWS: dict[Action, Notify] = {"failed": "FAILURE", "delayed": "DELAY", "delivered": "SUCCESS", "relayed": "SUCCESS"}
"""The word of NOTIFY that asks for it."""
REPORTED_ROUTES = ("mailbox", "relay")
"""What our own policy keeps back gets no report (T-RELAY-13)."""

log = structlog.get_logger("mailward.delivery")


class SpooledReports:
    """Implements `delivery.ports.Reports` in the queue process, whose own spool takes the reports."""

    def __init__(self, spool: Spool, agenda: Agenda, directory: Directory, hostname: str) -> None:
        self._spool = spool
        self._agenda = agenda
        self._directory = directory
        self._hostname = hostname

    async def tell(
        self, item: QueueItem, action: Action, fates: Mapping[int, Fate], at: datetime, retry_until: datetime | None = None
    ) -> None:
        told = {index: fate for index, fate in fates.items() if _is_told(item, item.recipients[index], action)}
        to = self._way_to_sender(item) if told else None
        if to is None:
            return
        octets = await asyncio.to_thread(self._spool.octets, item.id)
        made = report(
            item,
            octets,
            action,
            told,
            retry_until,
            to=to,
            hostname=self._hostname,
            from_domain=self._from_domain(item),
            at=at,
            id=new_queue_id(),
        )
        incoming = self._spool.begin(made.item.id, kept=True)
        incoming.write(made.octets)
        await incoming.commit(made.item)
        log.info("report", id=made.item.id, action=action, about=item.id, to=to.forward_path)
        self._agenda.plan(made.item.id, 0)

    def _way_to_sender(self, item: QueueItem) -> QueuedRecipient | None:
        """How a report gets to the reverse-path; None when nobody is told."""
        reason = no_report_reason(item)
        if not reason:
            try:
                address = parse_mailbox(item.reverse_path)
            except AddressSyntaxError as error:
                reason = f"its reverse-path is no address: {error}"
            else:
                account = self._directory.resolve(address)
                if account is not None:
                    return QueuedRecipient(item.reverse_path, "mailbox", account)
                if not self._directory.is_local_domain(address.domain):
                    return QueuedRecipient(item.reverse_path, "relay")
                reason = "its reverse-path is no mailbox here"
        log.warning("nobody is told", id=item.id, reason=reason)
        return None

    def _from_domain(self, item: QueueItem) -> str:
        """That of the reverse-path when it is ours: there the report is signed, and believed."""
        domain = item.reverse_path.rpartition("@")[2]
        return domain if self._directory.is_local_domain(domain) else self._hostname


def _is_told(item: QueueItem, recipient: QueuedRecipient, action: Action) -> bool:
    said = recipient.parameters
    wanted = said.wants(_NEWS[action]) or (action == "relayed" and item.by_mode != "" and said.notify != ("NEVER",))
    return recipient.route in REPORTED_ROUTES and wanted
