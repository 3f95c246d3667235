"""What must be added to a submitted message, and what removed, before it goes out? (RFC 6409 section 8)

The answers are edits of the queue item, so the spool keeps the octets that the user sent.
"""

from datetime import UTC, datetime
from email.utils import format_datetime

from mailward.formats.message import MessageView
from mailward.model.edits import AddHeader, RecordedEdit, RemoveHeader
from mailward.model.ids import QueueId

_REMOVED = ("Bcc", "Resent-Bcc", "Return-Path")
"""Bcc is for the sender's eyes (RFC 5322 section 3.6.3), Return-Path is written at final delivery (RFC 5321 section 4.4)."""


def own_message_id(id: QueueId, hostname: str) -> str:
    """What a message is called whose writer gave it no Message-ID."""
    return f"<{id}@{hostname}>"


def mended(message: MessageView, id: QueueId, at: datetime, hostname: str) -> tuple[RecordedEdit, ...]:
    """The edits that make it fit to be sent: what is missing is added, what must not go out removed (RFC 6409 section 8)."""
    edits: list[RecordedEdit] = [RemoveHeader(name) for name in _REMOVED if message.all(name)]
    if not message.all("Message-ID"):
        edits.append(AddHeader("Message-ID", own_message_id(id, hostname)))
    if not message.all("Date"):
        edits.append(AddHeader("Date", format_datetime(at.astimezone(UTC))))
    return tuple(edits)
