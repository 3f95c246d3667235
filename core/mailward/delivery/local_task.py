"""One recipient whose mail is delivered here, as the modules about local deliveries hand it on."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from mailward.model.ids import QueueId
from mailward.queue.agenda import Agenda
from mailward.queue.item import QueuedRecipient, QueueItem

DISCARD = "discard"
"""The route on which there is nothing to deliver, and so nothing to wait for."""
EXPANDED = "expanded"
"""The route on which there is nothing but the sender to be told that an alias led to several ends (RFC 3464 section 2.3.3)."""
ROUTES = ("mailbox", "quarantine", DISCARD, EXPANDED)
"""What is served here."""

Lane = tuple[str, str]
"""Route and account, or "told" and the id of a message."""


@dataclass(frozen=True, slots=True)
class LocalTask:
    """One recipient to be served. agenda: of the queue process, which tells the journal before it begins; None elsewhere."""

    item: QueueItem
    index: int
    agenda: Agenda | None = None

    @property
    def recipient(self) -> QueuedRecipient:
        return self.item.recipients[self.index]

    def is_too_late(self, now: datetime) -> bool:
        return self.recipient.route == "mailbox" and self.item.returns_at is not None and now >= self.item.returns_at

    @property
    def lane(self) -> Lane:
        return ("told", self.item.id) if is_told(self.recipient) else (self.recipient.route, self.recipient.account)


Served = tuple[LocalTask, str]
"""Who is through, and what became of the copy, in plain words."""


def ids(tasks: Sequence[LocalTask]) -> list[QueueId]:
    return sorted({task.item.id for task in tasks})


def is_told(recipient: QueuedRecipient) -> bool:
    """Does the sender want to hear of the delivery?"""
    return recipient.route in ("mailbox", EXPANDED) and recipient.parameters.wants("SUCCESS")
