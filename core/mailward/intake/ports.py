"""What reception needs from the parts below it, as Protocols; `app/build` hands the objects in."""

import mmap
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from mailward.directory import Names
from mailward.directory.aliases import MayPass, Way
from mailward.formats.message import MessageView
from mailward.model.address import Address, ForwardPath
from mailward.model.decision import DecisionRecord, Looked
from mailward.model.envelope import Envelope
from mailward.model.ids import AccountId, QueueId
from mailward.model.receipt import Receipt
from mailward.model.reply import Reply
from mailward.model.session import Session
from mailward.pipeline.meeting import Meeting
from mailward.pipeline.transaction import Judgement
from mailward.policy.ruling import RecipientFacts
from mailward.queue.item import QueueItem


class Directory(Protocol):
    """Which domains and mailboxes are ours. All calls are quick and may raise StorageError."""

    def is_local_domain(self, domain: str) -> bool: ...

    def resolve(self, address: Address) -> AccountId | None:
        """Whose mailbox the address means, None when nobody's. Aliases mean nobody's."""
        ...

    def expand(self, address: Address, may_pass: MayPass = ..., /) -> tuple[Way, ...]:
        """Everywhere that mail for an address goes in the end, of those ways that pass no alias but those that may be passed."""
        ...

    def groups_of(self, accounts: Iterable[AccountId], /) -> tuple[str, ...]:
        """The names of the groups that any of these accounts is in."""
        ...

    def names_of(self, accounts: Sequence[AccountId], /) -> Names:
        """What policies call these mailboxes by."""
        ...

    def detail(self, address: Address, /) -> str:
        """What stands behind the "+" of a subaddress, "" where the whole local-part is an address of its own."""
        ...


class Incoming(Protocol):
    """One message on its way into the spool."""

    @property
    def octets(self) -> bytes | mmap.mmap:
        """The whole message, after the last `write`."""
        ...

    @property
    def is_on_disk(self) -> bool:
        """It is too large to wait for its end in memory."""
        ...

    def write(self, octets: bytes) -> None:
        """Append. Raises StorageError."""
        ...

    async def commit(self, item: QueueItem) -> None:
        """Returns when octets and item are durable. Raises StorageError; the message is then not taken."""
        ...

    def abort(self) -> None:
        """Forget the message; twice is no error."""
        ...


class Spool(Protocol):
    def begin(self, id: QueueId, /) -> Incoming:
        """Make room for a message. Raises StorageError."""
        ...


class Trial(Protocol):
    """The judging of one mail transaction, stage by stage. A reply of None means: go on."""

    async def mail(self, session: Session, envelope: Envelope) -> Reply | None: ...

    async def rcpt(
        self, session: Session, envelope: Envelope, forward_path: ForwardPath, recipient: RecipientFacts
    ) -> Reply | None: ...

    def refusal(
        self, queue_id: QueueId, session: Session, envelope: Envelope, reply: Reply, recipient: RecipientFacts | None = None
    ) -> DecisionRecord:
        """The record of what `mail` or `rcpt` just refused; `reply` as it is sent."""
        ...

    async def message(
        self, queue_id: QueueId, session: Session, envelope: Envelope, recipients: Sequence[RecipientFacts], message: MessageView
    ) -> Judgement: ...


class Judge(Protocol):
    @property
    def replies(self) -> Mapping[str, str]:
        """The admin's words for the replies of `model.replies`, by name."""
        ...

    @property
    def needs_rdns(self) -> bool:
        """Somebody reads what reverse DNS says of the peer, so `session.rdns` must be known from MAIL on."""
        ...

    def meet(self) -> Meeting:
        """For one client, as soon as it is there."""
        ...

    def begin(self, session: Session, meeting: Meeting | None = None) -> Trial:
        """A fresh trial; nothing of an earlier transaction is in it. meeting: of this client, if there is one."""
        ...


class Decisions(Protocol):
    def add(self, record: DecisionRecord) -> None:
        """Keep the record of mail that was taken. Blocks for the disk; raises StorageError."""
        ...

    def add_refused(self, record: DecisionRecord) -> None:
        """Keep the record of mail that was not taken. Blocks for a moment; raises StorageError."""
        ...

    def add_looked(self, id: QueueId, looked: Looked) -> None:
        """Keep what was found after the reply. Blocks for a moment; raises StorageError."""
        ...

    def add_receipts(self, receipts: Sequence[tuple[QueueId, Receipt]]) -> None:
        """Keep what plugins can be run again by. Blocks for a moment; raises StorageError."""
        ...
