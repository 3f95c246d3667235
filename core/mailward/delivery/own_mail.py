"""The frame of a message that this server wrote itself: from the null reverse-path, to one recipient, with a decision record."""

from datetime import UTC, datetime

from mailward.delivery.ports import Directory, Mailboxes
from mailward.formats.address import parse_mailbox
from mailward.formats.address_lists import read_address_list
from mailward.model.address import Address
from mailward.model.decision import DecisionRecord, RecipientDecision, utc_text
from mailward.model.envelope import RcptParameters
from mailward.model.ids import AccountId, QueueId
from mailward.queue.item import QueuedRecipient, QueueItem


def way_to(directory: Directory, forward_path: str) -> QueuedRecipient:
    """Where it goes, and nobody hears of that. Raises ValueError when it is of a domain of ours, and nobody's; StorageError."""
    address = parse_mailbox(forward_path)
    silent = RcptParameters(notify=("NEVER",))
    account = directory.resolve(address)
    if account is not None:
        return QueuedRecipient(forward_path, "mailbox", account, parameters=silent)
    if directory.is_local_domain(address.domain):
        raise ValueError(f"{forward_path} is no mailbox here")
    return QueuedRecipient(f"{address.local_part}@{address.domain}", "relay", parameters=silent)


def own_author(directory: Mailboxes, account: AccountId, owner: Address, named: str) -> str:
    """Who writes what a script sends: whom it names, where that is one address of its owner's, else he himself.

    What the server sends is signed (T-RELAY-11). Raises StorageError.
    """
    found = [mailbox.address for mailbox in read_address_list(named.encode()).mailboxes]
    return named if len(found) == 1 and found[0] is not None and directory.resolve(found[0]) == account else str(owner)


def own_mail(
    id: QueueId,
    to: QueuedRecipient,
    *,
    why: str,
    message_id: str,
    size_octets: int,
    at: datetime,
    tls_optional: bool = False,
    not_before: datetime | None = None,
) -> QueueItem:
    """why: for `explain`. at, not_before: aware."""
    record = DecisionRecord(
        id=id,
        received_at=utc_text(at),
        direction="outbound",
        reverse_path="",
        message_id=message_id,
        size_octets=size_octets,
        recipients=(RecipientDecision(to.forward_path, "accept", 0.0, "core", why, ""),),
        reply="none: the server wrote it itself",
    )
    return QueueItem(
        id=id,
        received_at=record.received_at,
        reverse_path="",
        size_octets=size_octets,
        trace="",
        edits=(),
        recipients=(to,),
        decision=record,
        smtputf8=not to.forward_path.isascii(),
        origin="server",
        tls_optional=tls_optional,
        hold_until="" if not_before is None else not_before.astimezone(UTC).isoformat(),
    )
