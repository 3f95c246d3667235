"""The frame of a message that this server wrote itself: from the null reverse-path, to one recipient, with a decision record."""

from datetime import UTC, datetime

from mailward.model.decision import DecisionRecord, RecipientDecision, utc_text
from mailward.model.ids import QueueId
from mailward.queue.item import QueuedRecipient, QueueItem


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
