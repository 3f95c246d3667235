"""The outbound side of a queue process with its real spool, journal and connections, a clock that is told, and static routes."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC
from pathlib import Path

from mailward.api.relaying import MailHost, Origin, Relaying, RelayingAttempt
from mailward.delivery.limits import OutboundLimits
from mailward.delivery.outbound import OutboundManager
from mailward.delivery.passes import Passes
from mailward.delivery.ports import Connector
from mailward.delivery.relay import Relay
from mailward.delivery.reporting import SpooledReports
from mailward.delivery.route import Router
from mailward.delivery.standing import StandingOrders
from mailward.delivery.static_hop import StaticHop
from mailward.disk import Disk
from mailward.model.address import Address
from mailward.model.errors import HooksUnavailable
from mailward.model.ids import AccountId, new_queue_id
from mailward.model.tls import TlsLevel, TlsRequirement
from mailward.net.connect import SmtpConnector
from mailward.net.hop import Timeouts
from mailward.queue.agenda import Agenda
from mailward.queue.item import QueuedRecipient, QueueItem
from mailward.queue.spool import Spool
from mailward.testing.fakes import FakeZone
from support.smtp_peer import Peer
from support.spooling import Clock, Kept, Ledger, flush, item_for

SENDER = "ann@example.org"
SHORT = Timeouts(
    connect_s=5, greeting_s=2, command_s=2, handshake_s=2, data_s=2, block_s=2, message_s=2, transaction_s=10, goodbye_s=0.5
)


class FakeRules:
    """levels: by domain. failing: domains for which a plugin fails. unsendable: for which it says that the message is at fault."""

    def __init__(self) -> None:
        self.levels: dict[str, TlsLevel] = {}
        self.failing: set[str] = set()
        self.unsendable: set[str] = set()
        self.asked: list[Relaying] = []

    async def tls_requirements(self, relaying: Relaying, host: MailHost) -> tuple[TlsRequirement, ...]:
        self.asked.append(relaying)
        if relaying.domain in self.failing:
            raise HooksUnavailable("acme", "collect_tls_requirement", "a secret of the admin's")
        return (TlsRequirement(self.levels.get(relaying.domain, TlsLevel.OPPORTUNISTIC), "the test says so"),)

    async def edits(self, relaying: Relaying, octets: bytes) -> bytes:
        if relaying.domain in self.unsendable:
            raise HooksUnavailable("dkim", "edit_relay", "it has too many fields", permanent=True)
        return b"X-Signed: yes\r\n" + octets


class FakeDirectory:
    """example.org is ours, with ann alone, who is the postmaster."""

    def is_local_domain(self, domain: str) -> bool:
        return domain == "example.org"

    def resolve(self, address: Address) -> AccountId | None:
        return AccountId("ann") if str(address) == SENDER or address == Address("postmaster", "") else None


def _static(way: Peer | StaticHop) -> StaticHop:
    return way if isinstance(way, StaticHop) else StaticHop(way.address, way.port)


class Office:
    """One queue process. routes: domain -> peer, or its next hop. linger_s: for how long it keeps a connection when there is nothing to send."""

    def __init__(
        self,
        folder: Path,
        routes: Mapping[str, Peer | StaticHop],
        *,
        limits: OutboundLimits | None = None,
        connector: Connector | None = None,
        zone: FakeZone | None = None,
        clock: Clock | None = None,
        linger_s: float = 0.0,
    ) -> None:
        self.clock = clock or Clock()
        self.ledger = Ledger()
        self.kept = Kept()
        self.rules = FakeRules()
        self.directory = FakeDirectory()
        self.spool = Spool(folder / "spool", Disk(), owner="queue")
        self.agenda = Agenda(self.spool, self.clock, self.clock.monotonic_s)
        self.standing = StandingOrders(folder / "orders.json", Disk(), self.clock)
        router = Router(
            zone or FakeZone(),
            hostname="mail.example.org",
            routes={domain: _static(way) for domain, way in routes.items()},
        )
        self.relay = Relay(router, connector or SmtpConnector("mail.example.org", timeouts=SHORT))
        self.manager = OutboundManager(
            self.spool,
            self.relay,
            lambda: self.rules,
            SpooledReports(self.spool, self.agenda, self.directory, self.kept, "mail.example.org", lambda: 1 << 40, 0),
            self.ledger,
            self.standing,
            self.clock,
            limits=replace(limits or OutboundLimits(), linger_s=linger_s),
            chance=lambda: 0.5,
            monotonic_s=self.clock.monotonic_s,
            attempted=lambda attempt: self.attempts.append(attempt),
        )
        self.attempts: list[RelayingAttempt] = []
        self.passes = Passes(self.agenda, (self.manager,))

    async def post(
        self,
        *to: str,
        octets: bytes = b"Subject: x\r\n\r\nbody\r\n",
        sender: str = SENDER,
        origin: Origin = "submission",
        **said: object,
    ) -> QueueItem:
        """One message, received now. said: fields of the item."""
        made = item_for(octets, [QueuedRecipient(path, "relay") for path in to], queue_id=new_queue_id(), reverse_path=sender)
        raw = {name: getattr(made, name) for name in QueueItem.__slots__}
        received_at = self.clock.now().astimezone(UTC).isoformat()
        item = QueueItem(**{**raw, "origin": origin, "received_at": received_at, **said})
        incoming = self.spool.begin(item.id, kept=True)
        incoming.write(octets)
        await incoming.commit(item)
        for index in range(len(to)):
            self.agenda.plan(item.id, index)
        return item

    async def work(self) -> None:
        """One pass, until everything it began has ended."""
        await self.passes.run_once()
        async with asyncio.timeout(60):
            await self.manager.idle()
        flush(self.spool)

    async def later(self, seconds: float) -> None:
        """The clocks move on, and a pass."""
        self.clock.seconds += seconds
        await self.work()

    def open(self, item: QueueItem) -> dict[int, int]:
        """Failures of each recipient that is not finished."""
        return {index: state.failures for index, state in self.spool.open_recipients(item.id).items()}

    def events(self, item: QueueItem) -> list[str]:
        return [event.text for queue_id, event in self.ledger.events if queue_id == item.id]

    def reports(self) -> Sequence[tuple[QueueItem, str]]:
        """Those that wait in the spool for somebody to deliver them."""
        found = [item for item in map(self.spool.item, self.spool.ids()) if item.origin == "server"]
        return [(item, self.spool.octets(item.id).decode("utf-8")) for item in found]

    async def close(self) -> None:
        await self.manager.stop()
        await self.spool.close()
