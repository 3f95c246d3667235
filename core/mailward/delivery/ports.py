"""What delivery asks of others: connections, requirements, signatures, reports, records. Implemented above, given by `app`."""

import enum
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from mailward.api.delivering import Delivery
from mailward.api.relaying import MailHost, Relaying
from mailward.delivery.fate import Fate
from mailward.delivery.mda import Copy
from mailward.delivery.route import Target
from mailward.delivery.static_hop import StaticHop
from mailward.formats.dsn import Action
from mailward.model.address import Address, ForwardPath
from mailward.model.decision import DecisionRecord, LaterEvent
from mailward.model.errors import MailwardError
from mailward.model.ids import AccountId
from mailward.model.reply import Reply
from mailward.model.session import TlsFacts
from mailward.model.tls import TlsLevel, TlsRequirement, TlsResult
from mailward.pipeline.folders import Chosen
from mailward.protocol.smtp.outgoing import Outcome, OutgoingMail
from mailward.queue.item import QueueItem


class HostFault(enum.Enum):
    """Why a host could not be used. NO_TLS: it is needed and not offered. TLS: the handshake or the certificate failed.

    NO_REQUIRETLS: the message needs it, and it is not offered. LOGIN: it does not let us in, or we have nothing to log in with.
    CROWDED: nobody was asked, since we have as many connections to its network as we allow ourselves.
    """

    UNREACHABLE = "unreachable"
    NO_TLS = "no TLS offered"
    TLS = "TLS failed"
    NO_REQUIRETLS = "no REQUIRETLS offered"
    LOGIN = "login failed"
    CROWDED = "too many connections of ours"


class HostFailed(MailwardError):
    """No transaction with this target now. reply: what it said, when that is why. result: what a TLS report says of it.

    sending_ip: of the connection that was made, "" when there was none.
    """

    def __init__(self, fault: HostFault, text: str, reply: Reply | None = None, result: TlsResult | None = None) -> None:
        super().__init__(text)
        self.fault = fault
        self.reply = reply
        self.result = result
        self.sending_ip = ""


class Hop(Protocol):
    """One connection that has got as far as its first transaction. domain: whose mail it was made for. tls: None in clear.
    level: what it fulfils. requirement: what it was made for.
    """

    @property
    def target(self) -> Target: ...

    @property
    def domain(self) -> str: ...

    @property
    def tls(self) -> TlsFacts | None: ...

    @property
    def level(self) -> TlsLevel: ...

    @property
    def requirement(self) -> TlsRequirement: ...

    @property
    def setback(self) -> HostFailed | None:
        """Why it is not protected as well as the host's offer promised, None when it is."""
        ...

    @property
    def unproven(self) -> str | None:
        """As in `TlsSession`."""
        ...

    @property
    def sending_ip(self) -> str:
        """Our address on it."""
        ...

    @property
    def offers_requiretls(self) -> bool: ...

    @property
    def is_usable(self) -> bool:
        """False when it has ended, or the server spoke out of turn."""
        ...

    @property
    def may_have_arrived(self) -> bool:
        """Was the last message written to its end, whatever was answered?"""
        ...

    def wants_seven_bits(self, mail: OutgoingMail) -> bool:
        """Would it take this message but for its 8-bit content?"""
        ...

    async def send(self, mail: OutgoingMail) -> tuple[Outcome, ...]:
        """One transaction; one outcome for each forward-path, in their order, whatever happens."""
        ...

    async def ask(self, forward_path: ForwardPath) -> Outcome:
        """Would it take a report for this recipient? Accepted or permanent only by its own reply to RCPT."""
        ...

    async def close(self) -> None:
        """QUIT where that is possible, without waiting long."""
        ...


class Connector(Protocol):
    """Makes connections."""

    async def connect(self, target: Target, domain: str, requirement: TlsRequirement) -> Hop:
        """A connection that fulfils the requirement; its `testing` is not looked at. Raises HostFailed."""
        ...


class Rules(Protocol):
    """What policies/outbound.yaml and its plugins say. Both calls raise HooksUnavailable."""

    async def tls_requirements(self, relaying: Relaying, host: MailHost) -> Sequence[TlsRequirement]:
        """How well the connection to this host must be protected; the strictest holds."""
        ...

    async def edits(self, relaying: Relaying, octets: bytes) -> bytes:
        """The copy that leaves: signed, for example."""
        ...


class Folders(Protocol):
    """What the plugins of policies/inbound.yaml say about folders."""

    @property
    def asks_anybody(self) -> bool: ...

    async def choose(self, delivery: Delivery, octets: bytes) -> Chosen | None:
        """Where this copy goes, None for no word on it. octets: as they were received. Raises HooksUnavailable."""
        ...


class Mailboxes(Protocol):
    """Whose mailboxes there are."""

    def resolve(self, address: Address) -> AccountId | None:
        """Whose mailbox the address means, None when nobody's. May raise StorageError."""
        ...


class Standing(Protocol):
    """What an admin ordered for mail to other servers."""

    def route(self, item: QueueItem, domain: str) -> StaticHop | None:
        """Where to send it instead, None when it goes where it would."""
        ...

    def hold_reason(self, item: QueueItem, forward_path: str) -> str:
        """Why it is to be held, "" when it is not."""
        ...


class Directory(Mailboxes, Protocol):
    """Which domains and mailboxes are ours."""

    def is_local_domain(self, domain: str) -> bool:
        """May raise StorageError."""
        ...


class Decisions(Protocol):
    """Where decision records are kept."""

    def add(self, record: DecisionRecord, events: tuple[LaterEvent, ...] = ()) -> None:
        """Keep the record, unless it is there, and the events. Raises StorageError."""
        ...

    def add_all(self, happened: Sequence[tuple[DecisionRecord, tuple[LaterEvent, ...]]]) -> None:
        """The same for many, all of them or none. Raises StorageError."""
        ...


class Keeper(Protocol):
    """What `Mda` does."""

    def keep(self, copy: Copy, reason: str) -> None:
        """Put a copy into the quarantine; durable when it returns. Raises StorageError."""
        ...


class Reports(Protocol):
    """Tells the sender."""

    async def tell(
        self, item: QueueItem, action: Action, fates: Mapping[int, Fate], at: datetime, retry_until: datetime | None = None
    ) -> str:
        """What became of these recipients, by their index in the item, as far as the sender wants to hear it.

        at: when the attempt ended. retry_until: of what is delayed. Returns when the report is certain: after a crash it may be
        told twice, never not at all. Of failures that nobody may be told, a copy is kept, and this says so, or why it is not;
        else it returns "".
        Raises StorageError.
        """
        ...
