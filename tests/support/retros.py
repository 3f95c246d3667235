"""Delivered mail, and all that is needed to take it back, in a folder."""

from dataclasses import dataclass, field

from mailward.decisions.retro import Deed, Order, Retro, RetroLog
from mailward.delivery.mda import Copy, Mda
from mailward.delivery.release import Released
from mailward.delivery.retro import RetroActions, Target
from mailward.model.decision import DecisionRecord
from mailward.model.ids import AccountId, QueueId
from mailward.quarantine import Held
from mailward.queue.item import QueuedRecipient
from mailward.store.flags import names_of
from support.releasing import OCTETS, Place
from support.spooling import NOW, Clock, item_for

ANN = "ann@example.org"


@dataclass
class RetroPlace(Place):
    """Everything in `folder`, opened as a command opens it. learnt: the messages of which plugins were told."""

    learnt: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.log = RetroLog(self.folder / "retro.sqlite")
        self.actions = RetroActions(
            self.log, self.quarantine, self.store, self.release, self.decisions, Clock(), self._learn
        )  # fmt: skip

    async def _learn(self, held: Held, released: Released) -> None:
        self.learnt.append(released.octets)

    def deliver(self, account: AccountId, flags: tuple[str, ...] = (), *, id: QueueId | None = None) -> DecisionRecord:
        """One message into Ann's INBOX, as delivery does it, with its decision record."""
        item = item_for(OCTETS, [QueuedRecipient(ANN, "mailbox", account=account, flags=flags)], queue_id=id)
        self.decisions.add(item.decision)
        Mda(self.store, self.quarantine, Clock()).deliver([Copy(item, 0, OCTETS)])
        return item.decision

    def begin(self, deed: Deed = "quarantine", tag: str = "", *, even_infected: bool = False) -> Retro:
        return self.log.begin(Order("root", "inbound", "score > 3", "--since 7d", deed, tag, even_infected), NOW)

    def target(self, record: DecisionRecord, account: AccountId) -> Target:
        """The one copy in a mailbox."""
        found = self.actions.in_mailboxes(record, ANN, ANN, account) or []
        assert len(found) == 1
        return found[0]

    def target_of_first(self, record: DecisionRecord, account: AccountId) -> Target:
        """Of several copies in mailboxes."""
        return (self.actions.in_mailboxes(record, ANN, ANN, account) or [])[0]

    def mail(self, account: AccountId) -> list[tuple[str, bytes, tuple[str, ...]]]:
        """Mailbox, octets and flags of every message."""
        store = self.store.open(account)
        views = [store.view(info.id) for info in store.mailboxes()]
        return [
            (view.mailbox.name, store.read(message), names_of(bits, view.keywords))
            for view in views
            for message, bits in zip(view.messages, view.flags, strict=True)
        ]

    def story(self, id: QueueId) -> list[str]:
        """What `explain` says of what happened later."""
        record = self.decisions.get(id)
        return [event.text for event in record.events] if record else []

    async def close(self) -> None:
        self.log.close()
        await super().close()
