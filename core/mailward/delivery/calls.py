"""What may be asked of the queue, and what it answers: the values of `QueueControl`, for the command line and any console.

They cross the local socket as JSON (`net.queued`), so a field is text, a number, a truth value, or a tuple of such values. Times
are ISO 8601 in UTC.
"""

from dataclasses import dataclass
from typing import Literal

from mailward.model.ids import QueueId

Status = Literal["waiting", "postponed", "held", "under way"]
"""waiting: for its next attempt. postponed: for the moment its sender named (RFC 4865). held: for a release by the admin."""
By = Literal["domain", "sender", "status", "answer"]
"""What recipients are counted by: domain of the forward-path, domain of the reverse-path, status, how the last attempt ended."""

AGES_S = (300, 3600, 4 * 3600, 86400, 3 * 86400)
"""A `Group` counts recipients below each of these ages, and above the last, as Postfix's qshape does."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which recipients of which messages: those that meet all that is given.

    to: an address or a domain of the forward-path. reverse_path: likewise, "<>" for the null one. problem: a part of the last
    answer, or of the reason it is held for. All are compared without case.
    """

    id: str = ""
    to: str = ""
    reverse_path: str = ""
    status: Status | Literal[""] = ""
    problem: str = ""
    older_than_s: float = 0.0


@dataclass(frozen=True, slots=True)
class StandingOrder:
    """What holds for mail to other servers that waits or comes yet: a reroute when it has a `via`, else a hold.

    id: one message alone (reroutes). to: a domain, of holds an address too. reverse_path: likewise (holds); both "" for any.
    via: the next hop, as `parse_hop` reads it. at: when it was given.
    """

    id: str = ""
    to: str = ""
    reverse_path: str = ""
    via: str = ""
    reason: str = ""
    at: str = ""


@dataclass(frozen=True, slots=True)
class WaitingRecipient:
    """A recipient for whom something is still to be done. failures: attempts that failed. next_at: "" for at once or never.

    gives_up_at: by when it goes back to its sender, "" for never: what is for mailboxes here, and is held. reason: why it is
    held. left_alone: why its next hop is not asked before next_at, "" when that is not what it waits for.
    words: how the last attempt ended. notify: "SUCCESS,DELAY", "" when the client did not say.
    via: the next hop it is rerouted to, "" when it goes where it would.
    """

    index: int
    forward_path: str
    route: str
    status: Status
    reason: str
    failures: int
    next_at: str
    gives_up_at: str
    left_alone: str
    words: str
    via: str
    notify: str
    original_recipient: str


@dataclass(frozen=True, slots=True)
class WaitingMessage:
    """A message that is not finished, with the recipients that were selected."""

    id: QueueId
    received_at: str
    reverse_path: str
    size_octets: int
    origin: str
    user: str
    ret: str
    envelope_id: str
    require_tls: bool
    tls_optional: bool
    hold_until: str
    deliver_by: str
    by_mode: str
    priority: int
    recipients: tuple[WaitingRecipient, ...]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far one call has come: no call takes long or has a large answer, however long the queue is.

    following: ask with it as `after` for the rest, "" at the end. looked: messages looked at. total: messages in the queue.
    """

    following: str
    looked: int
    total: int


@dataclass(frozen=True, slots=True)
class Page:
    """Messages in the order of their ids. A message with very many recipients may go on in the next page."""

    messages: tuple[WaitingMessage, ...]
    progress: Progress


@dataclass(frozen=True, slots=True)
class Group:
    """Recipients that have something in common. ages: how many are below each of AGES_S, then how many above the last.

    words: how the last attempt ended for the one that waits longest.
    """

    name: str
    recipients: int
    held: int
    oldest_at: str
    ages: tuple[int, ...]
    words: str

    def joined(self, other: "Group") -> "Group":
        """Both counted together, as groups of the same name in two answers are."""
        oldest = min(self, other, key=lambda group: group.oldest_at)
        ages = tuple(mine + its for mine, its in zip(self.ages, other.ages, strict=True))
        return Group(self.name, self.recipients + other.recipients, self.held + other.held, oldest.oldest_at, ages, oldest.words)


@dataclass(frozen=True, slots=True)
class Counts:
    """The groups among the messages of one call."""

    groups: tuple[Group, ...]
    progress: Progress


@dataclass(frozen=True, slots=True)
class Done:
    """For whom an order was carried out. why_not: "" when it was, else why it was not, in plain words.

    until: the moment that why_not speaks of, "" for none.
    """

    id: QueueId
    forward_path: str
    why_not: str
    until: str = ""


@dataclass(frozen=True, slots=True)
class Ordered:
    """What became of an order, which has not reached further yet than `progress` says."""

    recipients: tuple[Done, ...]
    progress: Progress
