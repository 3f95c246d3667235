"""A copy that an account's script sends on to another address (RFC 5228 section 4.2).

It goes as an alias would forward it: as it was received, with our trace fields and the edits of its recipient, to another server
from a reverse-path of ours where the sender's domain is not (`directory.forwarding`). Delivered-To names the owner, and an alias
that leads on (RFC 9228); by that it is known again: who has had it before does not send it on once more (T-RELAY-15).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from mailward.api.services import Clock
from mailward.delivery.mda import Copy
from mailward.delivery.submitting import OwnMail
from mailward.directory.forwarding import DELIVERED_TO, End, Forwarding, Leading
from mailward.formats.address import parse_mailbox
from mailward.formats.message import MessageView
from mailward.formats.trace import count_received
from mailward.model.address import NULL_REVERSE_PATH, Address, ReversePath
from mailward.model.decision import DecisionRecord, RecipientDecision, utc_text
from mailward.model.edits import AddHeader, RemoveHeader
from mailward.model.envelope import RcptParameters
from mailward.model.ids import QueueId, queue_id_for
from mailward.queue.item import QueuedRecipient, QueueItem

MOST_PASSED = 4
"""Owners and aliases here who have sent a message on: each may make many copies, so a few of them would make thousands."""

MOST_HOPS = 50
"""Received fields of mail that is sent on: far more than mail has, and fewer than its reception allows."""


def why_not_on(message: MessageView, owner: Address, is_ours: Callable[[str], bool]) -> str:
    """Has it been on its way for too long to be sent on for this owner? In plain words; "" when it has not (T-RELAY-15).

    is_ours: of a domain. Scripts can neither write nor delete the fields that say so.
    """
    before = _passed(message)
    if str(owner).lower() in before:  # or an alias of this name
        return f"{owner} has had it before"
    if sum("@" in address and is_ours(address.rpartition("@")[2]) for address in before) >= MOST_PASSED:
        return f"{MOST_PASSED} mailboxes of this server have sent it on"
    if count_received(message) > MOST_HOPS:
        return "it has passed too many servers"
    return ""


def _passed(message: MessageView) -> list[str]:
    """All who say that they have sent it on, in lower case."""
    return [field.value.strip().lower().decode("utf-8", "replace") for field in message.all(DELIVERED_TO)]


@dataclass(frozen=True, slots=True)
class Onward:
    """A copy to be sent on. owner: of the script. to: the address it names. edited: what is sent instead, as it would be stored;
    None for the copy. why: for `explain`.
    """

    copy: Copy
    owner: Address
    to: Address
    edited: MessageView | None
    why: str


class Redirecting:
    """Belongs to the queue process and its loop."""

    def __init__(self, mail: OwnMail, directory: Leading, forwarding: Forwarding, clock: Clock) -> None:
        self._mail = mail
        self._directory = directory
        self._forwarding = forwarding
        self._clock = clock

    def ends(self, onward: Onward) -> tuple[End, ...]:
        """Everywhere that the address leads; () when it is nobody's. Raises MembersOnlyError, StorageError."""
        sender = _sender(onward.copy)
        return self._forwarding.ends(self._forwarding.ways(onward.to, sender), onward.to, sender, onward.owner.domain)

    def has_passed(self, message: MessageView, ends: Sequence[End]) -> bool:
        """Did an alias that leads there send it on before?"""
        return self._forwarding.has_passed({end.alias for end in ends if end.alias}, _passed(message))

    def id_of(self, onward: Onward) -> QueueId:
        """The same however often a delivery is repeated, and by whichever of a mailbox's addresses."""
        to = self._directory.resolve(onward.to) or onward.to
        return queue_id_for(f"redirected\0{onward.copy.delivery_key}\0{to}")

    async def send(self, onward: Onward, ends: Sequence[End]) -> QueueId:
        """To these ends, of those that there are. Raises StorageError."""
        copy, edited = onward.copy, onward.edited
        item = self._item(onward, [self._recipient(onward, end) for end in ends])
        octets = copy.octets
        if edited is not None:  # it has our trace fields, and Return-Path, which is written at final delivery only (RFC 5321 4.4)
            octets = bytes(edited.octets)
            # Its author is whoever the script says, so nobody signs for it (T-DKIM-15).
            item = replace(
                item, origin="inbound", user="", trace="", edits=(RemoveHeader("Return-Path"),), size_octets=len(octets)
            )
        await self._mail.put(item, octets)
        return item.id

    def _recipient(self, onward: Onward, end: End) -> QueuedRecipient:
        copy, asked = onward.copy, str(onward.to)
        said = copy.recipient.parameters
        path = copy.item.reverse_path_of(copy.index)
        traces = (AddHeader(DELIVERED_TO, str(onward.owner)), *((AddHeader(DELIVERED_TO, asked),) if end.is_expanded else ()))
        return QueuedRecipient(
            end.path,
            end.route,
            end.account or "",
            edits=traces if onward.edited is not None else (*copy.recipient.edits, *traces),
            # Who wanted to hear of success has heard it with this delivery.
            parameters=said if said.notify == ("NEVER",) else RcptParameters(original_recipient=said.original_recipient),
            reverse_path=path if end.reverse_path is None else end.reverse_path,
            asked=asked if end.is_expanded else "",
        )

    def _item(self, onward: Onward, recipients: Sequence[QueuedRecipient]) -> QueueItem:
        item, now, id = onward.copy.item, utc_text(self._clock.now()), self.id_of(onward)
        why = f"redirected from {onward.owner} by {onward.why}"
        record = DecisionRecord(
            id=id,
            received_at=now,
            direction="outbound",
            reverse_path=recipients[0].reverse_path or "",
            message_id=item.decision.message_id,
            size_octets=item.size_octets,
            facts=item.decision.facts,  # what was proven of its sender decides who may hear of it
            recipients=tuple(RecipientDecision(one.forward_path, "accept", 0.0, "core", why, "") for one in recipients),
            reply=f"none: it came as {item.id}",
        )
        return replace(item, id=id, received_at=now, recipients=tuple(recipients), decision=record, hold_until="")


def _sender(copy: Copy) -> ReversePath:
    text = copy.item.reverse_path_of(copy.index)
    return ReversePath(parse_mailbox(text)) if text else NULL_REVERSE_PATH
