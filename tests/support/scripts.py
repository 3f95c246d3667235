"""Two processes that deliver to accounts with Sieve scripts, on one real spool and one real store: one takes mail, the other is the queue's."""

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from mailward.delivery.manager import DeliveryManager
from mailward.delivery.mda import Mda
from mailward.delivery.passes import Passes
from mailward.delivery.redirecting import Redirecting
from mailward.delivery.reporting import SpooledReports
from mailward.delivery.script_allowance import ScriptAllowance
from mailward.delivery.script_lists import ScriptLists
from mailward.delivery.script_mail import ScriptMail
from mailward.delivery.script_memory import ScriptMemory
from mailward.delivery.scripted import Scripted
from mailward.delivery.submitting import OwnMail
from mailward.directory.aliases import Alias, MayPass, Meaning, NoEnd, Way, anybody, expand
from mailward.directory.forwarding import Forwarding
from mailward.disk import Disk
from mailward.formats.srs import Srs
from mailward.lists import ListStore
from mailward.model.address import Address
from mailward.model.decision import DecisionRecord
from mailward.model.evidence import FactValue
from mailward.model.ids import AccountId, QueueId
from mailward.quarantine import Quarantine
from mailward.queue.agenda import Agenda
from mailward.queue.item import QueuedRecipient, QueueItem
from mailward.queue.spool import Spool
from mailward.services.hourly import Hourly, HourlyLimits
from mailward.services.kv import SqliteKeyValue
from mailward.store.embedded import EmbeddedStore
from mailward.store.ops import ActivateScript, PutScript
from support.spooling import Clock, Ledger, flush, item_for
from support.stores import NoHints

OCTETS = b"Subject: Lunch\r\nFrom: A <a@example.net>\r\nTo: ann@example.org\r\nMessage-ID: <1@example.net>\r\n\r\nat one?\r\n"


class Directory:
    """example.org is ours, with ann and bob; ann has a second address. aliases: by their local-parts, none at first."""

    def __init__(self) -> None:
        self.names: tuple[str, ...] = ("ann", "bob")
        self.aliases: dict[str, Alias] = {}

    def expand(self, address: Address, may_pass: MayPass = anybody) -> tuple[Way, ...]:
        return expand(address, self._meaning, may_pass)

    def _meaning(self, address: Address) -> Meaning:
        if address.domain != "example.org":
            return NoEnd.ELSEWHERE
        account = self.resolve(address)
        return self.aliases.get(address.local_part, NoEnd.NOBODY) if account is None else account

    def is_local_domain(self, domain: str) -> bool:
        return domain == "example.org"

    def addresses_of(self, account: AccountId) -> tuple[Address, ...]:
        further = (Address("anna", "example.org"),) if account == "ann" else ()
        return (Address(account, "example.org"), *further) if account in self.names else ()

    def resolve(self, address: Address) -> AccountId | None:
        name = address.local_part.partition("+")[0].replace("anna", "ann")
        return AccountId(name) if address.domain == "example.org" and name in self.names else None

    def detail(self, address: Address) -> str:
        return address.local_part.partition("+")[2]


class Known:
    """The decision records of a ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def get(self, id: QueueId) -> DecisionRecord | None:
        return self._ledger.records.get(id)


def to(address: str = "ann@example.org", **said: object) -> QueuedRecipient:
    account = re.split(r"[@+]", address)[0].replace("anna", "ann")
    return QueuedRecipient(address, "mailbox", account, **said)  # type: ignore[arg-type]


@dataclass
class Place:
    """A life of both processes; another Place of the same folder is the next life. accounts: what each may send in an hour.
    lists: names of `kept_lists` that scripts may ask, by their URIs.
    """

    folder: Path
    clock: Clock = field(default_factory=Clock)
    ledger: Ledger = field(default_factory=Ledger)
    accounts: HourlyLimits = field(default_factory=HourlyLimits)
    lists: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.store = EmbeddedStore(self.folder / "accounts", Disk(), NoHints())
        self.quarantine = Quarantine(self.folder / "quarantine", Disk())
        self.mda = Mda(self.store, self.quarantine, self.clock)
        self.smtp, self.queue = (Spool(self.folder / "spool", Disk(), owner=one) for one in ("smtp", "queue"))
        self.agenda = Agenda(self.queue, self.clock, self.clock.monotonic_s)
        self.directory = directory = Directory()
        loop = asyncio.get_running_loop()
        mail = OwnMail(self.queue, self.agenda, directory, Known(self.ledger), self.clock)
        redirecting = Redirecting(mail, directory, Forwarding(directory, Srs([b"key"], lambda: 20_000)), self.clock)
        self.reports = SpooledReports(self.queue, self.agenda, directory, self.mda, "mail.example.org", lambda: 1 << 40, 0)
        self.values = SqliteKeyValue(self.folder / "noted.sqlite", self.clock)
        memory = ScriptMemory(self.values)
        self.sent = Hourly(self.accounts)
        self.sender = ScriptMail(redirecting, mail, memory, ScriptAllowance(self.sent), directory, self.clock, loop)
        self.kept_lists = ListStore(self.folder / "lists.sqlite")
        lists = ScriptLists(self.lists, self.kept_lists)
        self.scripted = Scripted(None, self.store, directory, self.clock, None, lists)
        self.first = self._manager(self.smtp, self.scripted)
        self.sending = Scripted(None, self.store, directory, self.clock, self.sender, lists)
        self.second = self._manager(self.queue, self.sending)
        self.passes = Passes(self.agenda, (self.second,))

    def _manager(self, spool: Spool, sorter: Scripted) -> DeliveryManager:
        return DeliveryManager(spool, self.mda, self.ledger, self.clock, reports=self.reports, sorter=sorter, chance=lambda: 0.5)

    def script(self, text: str, account: str = "ann", name: str = "main") -> None:
        self.store.open(AccountId(account)).apply([PutScript(name, text.encode()), ActivateScript(name)])

    async def deliver(
        self, octets: bytes = OCTETS, *recipients: QueuedRecipient, facts: Mapping[str, FactValue] | None = None, **said: object
    ) -> QueueItem:
        """Take a message, and do all there is to do about it and what follows from it."""
        item = await self.accept(octets, recipients or (to(),), facts=facts, **said)
        self.first.offer(item)
        await asyncio.to_thread(self.first.wait_idle)
        await self.work()
        return item

    async def accept(
        self,
        octets: bytes,
        recipients: Sequence[QueuedRecipient],
        *,
        facts: Mapping[str, FactValue] | None = None,
        **said: object,
    ) -> QueueItem:
        """facts: what filters found. said: fields of the item."""
        made = item_for(octets, recipients)
        made = replace(made, decision=replace(made.decision, facts=facts or {}))
        raw = {name: getattr(made, name) for name in QueueItem.__slots__}
        item = QueueItem(**{**raw, **said})
        incoming = self.smtp.begin(item.id)
        incoming.write(octets)
        await incoming.commit(item)
        return item

    async def work(self) -> None:
        """Passes of the queue until there is nothing left but what is for other servers."""
        for _ in range(6):
            await asyncio.to_thread(self.first.wait_idle)
            self.first._hand_over.flush()
            flush(self.smtp)
            await self.passes.run_once()
            await asyncio.to_thread(self.second.wait_idle)
            flush(self.queue)

    def contents(self, mailbox: str, account: str = "ann") -> list[bytes]:
        store = self.store.open(AccountId(account))
        return [store.read(message) for message in store.view(store.mailbox(mailbox).id).messages]

    def flags(self, mailbox: str, account: str = "ann") -> list[set[str]]:
        """Of each message there."""
        store = self.store.open(AccountId(account))
        view = store.view(store.mailbox(mailbox).id)
        names = ("\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "\\Draft", "", "", "", *view.keywords)
        return [{name for bit, name in enumerate(names) if flags >> bit & 1} for flags in view.flags]

    def leaving(self) -> list[QueueItem]:
        """What waits to go to other servers."""
        return [self.queue.item(id) for id in self.queue.ids()]

    def told(self, item: QueueItem) -> list[str]:
        """What `explain` shows of it."""
        return [event.text for id, event in self.ledger.events if id == item.id]

    async def end(self) -> None:
        await self.first.stop()
        await self.second.stop()
        await self.smtp.close()
        await self.queue.close()
        self.values.close()
