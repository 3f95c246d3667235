"""Delivery reports on their way: written by `bounce`, put into the spool, and from there delivered like any other mail."""

import asyncio
import time
from collections.abc import Callable, Mapping
from datetime import datetime

import structlog

from mailward.delivery.bounce import Report, lost_report, no_report_reason, report
from mailward.delivery.fate import Fate
from mailward.delivery.mda import Copy
from mailward.delivery.ports import Directory, Keeper
from mailward.formats.address import parse_mailbox
from mailward.formats.domains import AddressSyntaxError
from mailward.formats.dsn import Action
from mailward.model.address import Address
from mailward.model.envelope import Notify
from mailward.model.ids import new_queue_id
from mailward.queue.agenda import Agenda
from mailward.queue.item import QueuedRecipient, QueueItem
from mailward.queue.spool import Spool
from mailward.services.rates import Rates

_NEWS: dict[Action, Notify] = {
    "failed": "FAILURE",
    "delayed": "DELAY",
    "delivered": "SUCCESS",
    "relayed": "SUCCESS",
    "expanded": "SUCCESS",
}
"""The word of NOTIFY that asks for it."""
REPORTED_ROUTES = ("mailbox", "relay", "expanded")
"""What our own policy keeps back gets no report (T-RELAY-13)."""

LOST_TOLD_AN_HOUR = 3
"""Reports of ours that could not be delivered, of which the postmaster is told."""
UNTOLD_A_DAY_OCTETS = 1 << 30
"""Of mail that is lost and that nobody is told of, so much is kept: strangers decide how much of it there is."""

log = structlog.get_logger("mailward.delivery")


class SpooledReports:
    """Implements `delivery.ports.Reports` in the queue process, whose own spool takes the reports.

    free_octets: where the quarantine lies; copies of lost mail leave `least_free_octets` of them free.
    """

    def __init__(
        self,
        spool: Spool,
        agenda: Agenda,
        directory: Directory,
        keeper: Keeper,
        hostname: str,
        free_octets: Callable[[], int],
        least_free_octets: int,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._spool = spool
        self._agenda = agenda
        self._directory = directory
        self._keeper = keeper
        self._hostname = hostname
        self._free_octets = free_octets
        self._least_free_octets = least_free_octets
        self._monotonic_s = monotonic_s
        self._copies = Rates(UNTOLD_A_DAY_OCTETS, 86400.0, sources=1)
        self._notices = Rates(LOST_TOLD_AN_HOUR, 3600.0, sources=1)
        self._untold = 0

    async def tell(
        self, item: QueueItem, action: Action, fates: Mapping[int, Fate], at: datetime, retry_until: datetime | None = None
    ) -> str:
        told: dict[QueuedRecipient | None, dict[int, Fate]] = {}
        for index, fate in fates.items():
            if _is_told(item, item.recipients[index], action):
                told.setdefault(self._owner(item.recipients[index]), {})[index] = fate
        kept = ""
        for owner, some in told.items():
            if item.origin == "server" and action == "failed":
                await self._tell_postmaster(item, some, at)
                continue
            to = owner or self._way_to_sender(item)
            if not isinstance(to, str):
                await self._tell(item, action, some, at, retry_until, to)
                continue
            log.warning("nobody is told", id=item.id, reason=to)
            if action == "failed":
                kept = f"nobody is told, since {to}; {await asyncio.to_thread(self._keep, item, some, to)}"
        return kept

    def _keep(self, item: QueueItem, fates: Mapping[int, Fate], why_untold: str) -> str:
        """Neither sender nor recipient has it or hears of it, and nothing is lost in silence: an admin finds it. Within limits,
        since a stranger can make as much of it as he likes; what was done, in plain words."""
        octets = self._spool.octets(item.id)
        reason = self._why_no_copy(len(octets))
        if reason:
            log.error("no copy is kept of lost mail", id=item.id, reason=reason, recipients=len(fates), size=len(octets))
            return f"no copy is kept, since {reason}"
        for index, fate in fates.items():
            self._keeper.keep(Copy(item, index, octets), f"not delivered ({fate.text}), and nobody is told, since {why_untold}")
        return "a copy is in quarantine"

    def _why_no_copy(self, octets: int) -> str:
        """ "" when there may be one, which then counts."""
        if self._free_octets() < self._least_free_octets + octets:
            return "the disk would be left with less than limits.free_disk_octets"
        if not self._copies.take("", self._monotonic_s(), octets):
            return f"of such mail {UNTOLD_A_DAY_OCTETS >> 20} MiB a day are kept"
        return ""

    async def _tell(
        self,
        item: QueueItem,
        action: Action,
        told: Mapping[int, Fate],
        at: datetime,
        retry_until: datetime | None,
        to: QueuedRecipient,
    ) -> None:
        octets = await asyncio.to_thread(self._spool.octets, item.id)
        made = report(
            item,
            octets,
            action,
            told,
            retry_until,
            to=to,
            hostname=self._hostname,
            from_domain=self._from_domain(to.forward_path),
            at=at,
            id=new_queue_id(),
        )
        await self._send(made, action, item)

    async def _tell_postmaster(self, item: QueueItem, told: Mapping[int, Fate], at: datetime) -> None:
        """A report of ours was lost. It is not bounced; a few an hour are told (T-Q-12)."""
        account = self._directory.resolve(Address("postmaster", ""))
        if account is None or not self._notices.take("", self._monotonic_s()):
            self._untold += 1
            log.warning("report lost", id=item.id, to=item.recipients[0].forward_path)
            return
        to = QueuedRecipient(f"postmaster@{self._hostname}", "mailbox", account)
        octets = await asyncio.to_thread(self._spool.octets, item.id)
        made = lost_report(item, octets, told, self._untold, to=to, hostname=self._hostname, at=at, id=new_queue_id())
        self._untold = 0
        await self._send(made, "lost", item)

    async def _send(self, made: Report, action: str, item: QueueItem) -> None:
        incoming = self._spool.begin(made.item.id, kept=True)
        incoming.write(made.octets)
        await incoming.commit(made.item)
        log.info("report", id=made.item.id, action=action, about=item.id, to=made.item.recipients[0].forward_path)
        self._agenda.plan(made.item.id, 0)

    def _owner(self, recipient: QueuedRecipient) -> QueuedRecipient | None:
        """Who hears of a copy that a list made: its owner, whatever is known of who posted (RFC 5321 section 3.9.2)."""
        path = recipient.reverse_path
        account = self._directory.resolve(parse_mailbox(path)) if path else None
        return None if path is None or account is None else QueuedRecipient(path, "mailbox", account)

    def _way_to_sender(self, item: QueueItem) -> QueuedRecipient | str:
        """How a report gets to the reverse-path, or why nobody is told."""
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
        return reason

    def _from_domain(self, reverse_path: str) -> str:
        """That of the reverse-path when it is ours: there the report is signed, and believed."""
        domain = reverse_path.rpartition("@")[2]
        return domain if self._directory.is_local_domain(domain) else self._hostname


def _is_told(item: QueueItem, recipient: QueuedRecipient, action: Action) -> bool:
    said = recipient.parameters
    wanted = said.wants(_NEWS[action]) or (action == "relayed" and item.by_mode != "" and said.notify != ("NEVER",))
    return recipient.route in REPORTED_ROUTES and wanted
