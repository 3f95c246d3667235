"""A quarantine with one kept message, and all that a release needs, in a folder."""

from dataclasses import dataclass, field
from pathlib import Path

from mailward.decisions import DecisionStore
from mailward.delivery.mda import Copy, Mda
from mailward.delivery.release import Release
from mailward.directory import Directory
from mailward.disk import Disk
from mailward.formats.address import parse_mailbox
from mailward.model.ids import AccountId
from mailward.quarantine import Held, Quarantine
from mailward.queue.item import QueuedRecipient
from mailward.queue.spool import Spool
from mailward.store.embedded import EmbeddedStore
from support.spooling import Clock, item_for
from support.stores import NoHints

OCTETS = b"Subject: Lunch\r\nFrom: a@example.net\r\n\r\nat one?\r\n"


@dataclass
class Place:
    """Everything in `folder`, opened as a command opens it. Make a new one for each command."""

    folder: Path
    quarantine: Quarantine = field(init=False)

    def __post_init__(self) -> None:
        disk = Disk()
        self.quarantine = Quarantine(self.folder / "quarantine", disk)
        self.store = EmbeddedStore(self.folder / "accounts", disk, NoHints())
        self.spool = Spool(self.folder / "spool", disk, owner="admin1")
        self.directory = Directory(self.folder / "directory.sqlite")
        self.decisions = DecisionStore(self.folder / "decisions.sqlite")
        self.release = Release(self.quarantine, self.store, self.spool, self.directory, self.decisions, Clock())

    def account(self, address: str) -> AccountId:
        """A new account."""
        parsed = parse_mailbox(address)
        self.directory.add_domain(parsed.domain)
        return self.directory.add_account(parsed)

    def hold(self, recipient: str = "ann@example.org", route: str = "mailbox", *, infected: bool = False) -> Held:
        """One message in quarantine, put there as delivery does it, with its decision record."""
        item = item_for(OCTETS, [QueuedRecipient(recipient, "quarantine", reason="rule odd", destination=route)])
        if infected:
            item.decision.facts["antivirus.infected"] = True  # type: ignore[index]
        self.decisions.add(item.decision)
        Mda(self.store, self.quarantine, Clock()).deliver([Copy(item, 0, OCTETS)])
        return self.quarantine.find(item.id)[0]

    def inbox(self, account: AccountId) -> list[bytes]:
        store = self.store.open(account)
        return [store.read(message) for message in store.view(store.mailbox("INBOX").id).messages]

    def events(self, held: Held) -> list[str]:
        record = self.decisions.get(held.id)
        return [event.text for event in record.events] if record else []

    async def close(self) -> None:
        await self.spool.close()
        self.store.close()
        self.quarantine.close()
        self.directory.close()
        self.decisions.close()
