"""What is made of a message once, when it is stored, so that FETCH, SORT, THREAD and SEARCH only copy it."""

import hashlib
import os
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter

from mailward.formats import imap
from mailward.formats.common_fields import common_fields
from mailward.formats.identifiers import read_identifiers
from mailward.formats.message import MessageView
from mailward.formats.octets import Octets
from mailward.formats.preview import preview
from mailward.formats.subjects import base_subject
from mailward.formats.surrogate import surrogate_header
from mailward.store.sortkeys import display_key, first_address, mailbox_key, sent_date, subject_key

RENDERING = 4
"""By which form of this file a message was made. Raise it when the file makes something else: `store.renewal` does the rest."""

COLUMNS = (
    "header_octets", "internal_date", "sent_date", "envelope", "bodystructure", "body", "subject_key", "from_key", "to_key",
    "preview", "ids", "is_answer", "cc_key", "from_display_key", "to_display_key",
    "surrogate_growth",
)  # fmt: skip
"""In the order of the table."""

_MOST_REFERENCES = 100
"""Of more the oldest one and the latest are kept."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """The columns of one message, see `store.base.Column`. record: the random id of its record in a pack, of 63 bits."""

    record: int
    header_octets: int
    internal_date: int
    sent_date: int
    envelope: bytes
    bodystructure: bytes
    body: bytes
    headers: bytes
    common_fields: bytes
    subject_key: str
    from_key: str
    to_key: str
    preview: str
    ids: bytes
    is_answer: int
    cc_key: str
    from_display_key: str
    to_display_key: str
    surrogate_growth: int


values_of: Callable[[Rendered], tuple[int | bytes | str, ...]] = attrgetter(*COLUMNS)
"""What COLUMNS hold."""


def new_record() -> int:
    """An id for a new record."""
    return int.from_bytes(os.urandom(8), "little") >> 1


def render(octets: Octets, internal_date: int, record: int) -> Rendered:
    """Parse the message. Takes the time; done before any lock is asked for."""
    view = MessageView(octets)
    headers = view.header_octets
    body, bodystructure = imap.structures(view)
    subject = base_subject(view.subject)
    author, recipient = first_address(view, "From"), first_address(view, "To")
    return Rendered(
        record=record,
        header_octets=len(headers),
        internal_date=internal_date,
        sent_date=sent_date(view, internal_date),
        envelope=imap.envelope(view),
        bodystructure=bodystructure,
        body=body,
        headers=headers,
        common_fields=common_fields(headers),
        subject_key=subject_key(subject),
        from_key=mailbox_key(author),
        to_key=mailbox_key(recipient),
        preview=preview(view),
        ids=array("Q", [_own_id(view, record), *map(_number, _references(view))]).tobytes(),
        is_answer=int(subject.is_answer),
        cc_key=mailbox_key(first_address(view, "Cc")),
        from_display_key=display_key(author),
        to_display_key=display_key(recipient),
        surrogate_growth=0 if headers.isascii() else len(surrogate_header(headers)) - len(headers),
    )


def _own_id(view: MessageView, record: int) -> int:
    """Where a message has no identifier, its record is one."""
    found = _identifiers(view, "Message-ID")
    return _number(found[0]) if found else record


def _references(view: MessageView) -> tuple[str, ...]:
    """RFC 5256 section 3: References, else the first of In-Reply-To."""
    found = tuple(dict.fromkeys(_identifiers(view, "References"))) or _identifiers(view, "In-Reply-To")[:1]
    return found if len(found) <= _MOST_REFERENCES else (found[0], *found[1 - _MOST_REFERENCES :])


def _identifiers(view: MessageView, name: str) -> tuple[str, ...]:
    field = view.field(name)
    return () if field is None else read_identifiers(field.value).ids


def _number(identifier: str) -> int:
    return int.from_bytes(hashlib.blake2b(identifier.encode("utf-8", "replace"), digest_size=8).digest(), "little") >> 1
