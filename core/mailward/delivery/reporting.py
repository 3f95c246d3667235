"""Delivery reports on their way: written by `bounce`, put into the spool, and from there delivered like any other mail."""

import asyncio
from collections.abc import Sequence
from datetime import datetime

import structlog

from mailward.api.services import Clock
from mailward.delivery.bounce import FailedRecipient, Report, delay_report, failure_report, no_report_reason
from mailward.delivery.ports import Directory
from mailward.formats.address import AddressSyntaxError, parse_mailbox
from mailward.model.ids import new_queue_id
from mailward.queue.agenda import Agenda
from mailward.queue.item import QueuedRecipient, QueueItem
from mailward.queue.spool import Spool

log = structlog.get_logger("mailward.delivery")


class SpooledReports:
    """Implements `delivery.ports.Reports` in the queue process, whose own spool takes the reports."""

    def __init__(self, spool: Spool, agenda: Agenda, directory: Directory, hostname: str, clock: Clock) -> None:
        self._spool = spool
        self._agenda = agenda
        self._directory = directory
        self._hostname = hostname
        self._clock = clock

    async def failed(self, item: QueueItem, failures: Sequence[FailedRecipient]) -> None:
        to = self._way_to_sender(item)
        if to is not None:
            octets = await asyncio.to_thread(self._spool.octets, item.id)
            now, new_id, domain = self._clock.now(), new_queue_id(), self._from_domain(item)
            await self._commit(
                failure_report(item, octets, failures, to=to, hostname=self._hostname, now=now, id=new_id, from_domain=domain),
                item,
            )

    async def delayed(self, item: QueueItem, delays: Sequence[FailedRecipient], retry_until: datetime) -> None:
        to = self._way_to_sender(item)
        if to is not None:
            octets = await asyncio.to_thread(self._spool.octets, item.id)
            now, new_id, domain = self._clock.now(), new_queue_id(), self._from_domain(item)
            await self._commit(
                delay_report(
                    item, octets, delays, to=to, hostname=self._hostname, now=now, id=new_id, retry_until=retry_until,
                    from_domain=domain,
                ),
                item,
            )  # fmt: skip

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
        domain = item.reverse_path.rpartition("@")[2]
        return domain if self._directory.is_local_domain(domain) else ""

    async def _commit(self, report: Report | None, about: QueueItem) -> None:
        if report is None:
            return
        incoming = self._spool.begin(report.item.id, kept=True)
        incoming.write(report.octets)
        await incoming.commit(report.item)
        log.info("report", id=report.item.id, about=about.id, to=report.item.recipients[0].forward_path)
        for index in range(len(report.item.recipients)):
            self._agenda.plan(report.item.id, index)
