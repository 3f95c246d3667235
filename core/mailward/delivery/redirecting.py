"""A copy that an account's script sends on to another address (RFC 5228 section 4.2).

It goes as an alias would forward it: as it was received, with our trace fields and the edits of its recipient, from a
reverse-path of ours where the sender's domain is not (`formats.srs`), and with the owner's address in Delivered-To (RFC 9228).
By that field it is known again: who has had it before does not send it on once more (T-RELAY-15).
"""

from collections.abc import Callable
from dataclasses import replace

from mailward.api.services import Clock
from mailward.delivery.mda import Copy
from mailward.delivery.ports import Directory
from mailward.delivery.submitting import OwnMail
from mailward.formats.address import parse_mailbox
from mailward.formats.message import MessageView
from mailward.formats.srs import Srs
from mailward.model.address import Address
from mailward.model.decision import DecisionRecord, RecipientDecision, utc_text
from mailward.model.edits import AddHeader, RemoveHeader
from mailward.model.envelope import RcptParameters
from mailward.model.ids import QueueId, queue_id_for
from mailward.queue.item import QueuedRecipient, QueueItem

DELIVERED_TO = "Delivered-To"
MOST_PASSED = 4
"""Owners here who have sent a message on: each may send on four copies, so a few of them would make thousands."""


def has_passed(message: MessageView, owner: Address) -> bool:
    """Did this owner, or an alias of this name, send it on before?"""
    return str(owner).lower() in _passed(message)


def passed_here(message: MessageView, is_ours: Callable[[str], bool]) -> int:
    """How many owners of domains of this server have sent it on. Scripts can neither write nor delete the field."""
    return sum("@" in address and is_ours(address.rpartition("@")[2]) for address in _passed(message))


def _passed(message: MessageView) -> list[str]:
    return [field.value.strip().lower().decode("utf-8", "replace") for field in message.all(DELIVERED_TO)]


class Redirecting:
    """Belongs to the queue process and its loop."""

    def __init__(self, mail: OwnMail, directory: Directory, srs: Srs, clock: Clock) -> None:
        self._mail = mail
        self._directory = directory
        self._srs = srs
        self._clock = clock

    def id_of(self, copy: Copy, to: Address) -> QueueId:
        """The same however often a delivery is repeated, and by whichever of a mailbox's addresses."""
        return queue_id_for(f"redirected\0{copy.delivery_key}\0{self._directory.resolve(to) or to}")

    async def send(self, copy: Copy, owner: Address, to: Address, edited: MessageView | None, why: str) -> QueueId:
        """Its id. edited: what is sent instead, as it would be stored; None for the copy. why: for `explain`.

        Raises StorageError.
        """
        id = self.id_of(copy, to)
        item = self._item(id, copy, self._recipient(copy, owner, to), f"redirected from {owner} by {why}")
        if edited is None:
            await self._mail.put(item, copy.octets)
        else:  # it has our trace fields, and Return-Path, which is written at final delivery only (RFC 5321 section 4.4)
            (recipient,) = item.recipients
            own = replace(recipient, edits=(AddHeader(DELIVERED_TO, str(owner)),))
            octets = bytes(edited.octets)
            # Its author is whoever the script says, so nobody signs for it (T-DKIM-15).
            item = replace(item, origin="inbound", user="", trace="", edits=(RemoveHeader("Return-Path"),))
            item = replace(item, recipients=(own,), size_octets=len(octets))
            await self._mail.put(item, octets)
        return id

    def _recipient(self, copy: Copy, owner: Address, to: Address) -> QueuedRecipient:
        said = copy.recipient.parameters
        account = self._directory.resolve(to)
        return QueuedRecipient(
            str(to),
            "relay" if account is None else "mailbox",
            account or "",
            edits=(*copy.recipient.edits, AddHeader(DELIVERED_TO, str(owner))),
            # Who wanted to hear of success has heard it with this delivery.
            parameters=said if said.notify == ("NEVER",) else RcptParameters(original_recipient=said.original_recipient),
            reverse_path=self._reverse_path(copy, owner),
        )

    def _reverse_path(self, copy: Copy, owner: Address) -> str | None:
        """None where the sender's own is right: the null one, and of domains that we may send for."""
        text = copy.item.reverse_path_of(copy.index)
        sender = parse_mailbox(text) if text else None
        if sender is None or self._directory.is_local_domain(sender.domain):
            return text
        made = self._srs.forwarded(sender, owner.domain)
        return text if made is None else str(made)

    def _item(self, id: QueueId, copy: Copy, recipient: QueuedRecipient, why: str) -> QueueItem:
        item, now = copy.item, utc_text(self._clock.now())
        record = DecisionRecord(
            id=id,
            received_at=now,
            direction="outbound",
            reverse_path=recipient.reverse_path or "",
            message_id=item.decision.message_id,
            size_octets=item.size_octets,
            facts=item.decision.facts,  # what was proven of its sender decides who may hear of it
            recipients=(RecipientDecision(recipient.forward_path, "accept", 0.0, "core", why, ""),),
            reply=f"none: it came as {item.id}",
        )
        return replace(item, id=id, received_at=now, recipients=(recipient,), decision=record, hold_until="")
