"""What is made of a message once, when it is stored, so that FETCH, SORT and SEARCH only copy it."""

import os
from dataclasses import dataclass

from mailward.formats import imap
from mailward.formats.message import MessageView
from mailward.store.base import Append
from mailward.store.sortkeys import base_subject, mailbox_key, sent_date


@dataclass(frozen=True, slots=True)
class Rendered:
    """The columns of one message, see `store.base.Column`. record: the random id of its record in a pack."""

    record: int
    header_octets: int
    internal_date: int
    sent_date: int
    envelope: bytes
    bodystructure: bytes
    body: bytes
    headers: bytes
    subject_key: str
    from_key: str
    to_key: str


def render(op: Append) -> Rendered:
    """Parse the message. Takes the time; done before any lock is asked for."""
    view = MessageView(op.octets)
    internal_date = int(op.internal_date.timestamp())
    headers = view.header_octets
    body, bodystructure = imap.structures(view)
    return Rendered(
        record=int.from_bytes(os.urandom(8), "little") >> 1,
        header_octets=len(headers),
        internal_date=internal_date,
        sent_date=sent_date(view, internal_date),
        envelope=imap.envelope(view),
        bodystructure=bodystructure,
        body=body,
        headers=headers,
        subject_key=base_subject(view.subject),
        from_key=mailbox_key(view.authors),
        to_key=mailbox_key(view.addresses("To").mailboxes),
    )
