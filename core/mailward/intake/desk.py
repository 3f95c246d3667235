"""What all SMTP sessions of a process share: who judges, where mail goes, and how much there may be of it."""

from collections.abc import Callable
from dataclasses import dataclass, field

from mailward.api.services import Clock, RunBlocking
from mailward.auth.exchange import Authenticator
from mailward.intake.allowances import Allowances
from mailward.intake.peer import ReverseLookup
from mailward.intake.ports import Decisions, Judge, Spool
from mailward.intake.receipts import Receipts
from mailward.intake.refusing import record_budget
from mailward.intake.relaying import RelayGuard
from mailward.intake.room import MailboxRoom
from mailward.intake.submission import SubmissionRights
from mailward.intake.verifying import RecipientVerifier
from mailward.model.session import Role
from mailward.queue.item import QueueItem
from mailward.services.rates import Rates
from mailward.services.room import Room

JUDGED_OCTETS = 8 << 20
"""Of large messages so much is judged at once, in one process."""
JUDGING_WAIT_S = 120.0
"""Together with the time for judging it is well within the ten minutes that a client waits (RFC 5321 section 4.5.3.2.6): one that
gives up sends its message a second time."""


@dataclass(frozen=True, slots=True)
class Desk:
    """What all sessions of a process share.

    judge: gives the judge of today for a session's role; a reload swaps it, transactions under way keep theirs.
    authenticator, rights: for submission. on_committed: told of each item once it is durable. free_octets: free space where the
    spool lies; under `least_free_octets` MAIL gets 452. allowances: how much may be sent in an hour.
    null_recipients: of one message from the null reverse-path, 0 for any number. account_priority: the
    highest a user may ask for. verifier: of strangers' recipients elsewhere. mailbox_room: for what strangers send here; None:
    it is taken without. reverse_name: asks for the name of a peer by its address; None: nobody is asked. room: for the messages
    that are judged.
    """

    hostname: str
    judge: Callable[[Role], Judge]
    guard: RelayGuard
    rights: SubmissionRights
    authenticator: Authenticator
    spool: Spool
    decisions: Decisions
    receipts: Receipts
    clock: Clock
    run_blocking: RunBlocking
    on_committed: Callable[[QueueItem], None]
    free_octets: Callable[[], int]
    least_free_octets: int
    allowances: Allowances
    null_recipients: int = 0
    account_priority: int = 0
    verifier: RecipientVerifier | None = None
    mailbox_room: MailboxRoom | None = None
    reverse_name: ReverseLookup | None = None
    recorded: Rates = field(default_factory=record_budget)
    room: Room = field(default_factory=lambda: Room(JUDGED_OCTETS, wait_s=JUDGING_WAIT_S))
