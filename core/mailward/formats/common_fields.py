"""The header fields that mail programs ask for when they list a mailbox, kept so that some of them are cut out without a parse.

One message's are `IDS NUL FIELD NUL FIELD ...`: an octet for each field that says which name it has, then the fields as they are
in the message, folded lines and line ends included, in its order. Taking some of them out costs a microsecond, which matters
since nearly every client asks this of every message.
"""

from collections.abc import Callable, Iterable
from functools import lru_cache
from itertools import compress

from mailward.formats.header import named_fields

NAMES = (
    "from", "sender", "reply-to", "to", "cc", "bcc", "subject", "date", "message-id", "in-reply-to", "references", "content-type",
    "content-description", "content-language", "mime-version", "list-id", "list-post", "list-subscribe", "list-unsubscribe",
    "list-unsubscribe-post", "newsgroups", "importance", "priority", "x-priority", "delivered-to", "x-original-to", "lines",
    "x-label", "disposition-notification-to", "mail-followup-to", "mail-reply-to", "auto-submitted", "x-tuid", "x-offlineimap",
    "x-k9mail-identity", "chat-version",
)  # fmt: skip
"""In lower case. What is stored names them by place: a new name comes last, and what is stored is made anew."""

UNKNOWN = b""
"""What cannot be kept in this form: a header without an empty line behind it, or with a NUL in one of these fields."""

Cut = Callable[[bytes], bytes]

_IDS = {name: place for place, name in enumerate(NAMES, 1)}


def common_fields(header: bytes) -> bytes:
    """The form above for a header block, or UNKNOWN."""
    fields, empty_line = named_fields(header)
    if not empty_line:
        return UNKNOWN
    kept = [(id, raw) for raw, name in fields if (id := _IDS.get(name.lower()))]
    octets = b"\0".join([bytes([id for id, _ in kept]), *[raw for _, raw in kept]])
    return UNKNOWN if octets.count(b"\0") != len(kept) else octets + b"\0" + empty_line


@lru_cache(maxsize=512)
def cut(names: Iterable[str]) -> Cut | None:
    """What takes the fields with these names, and the empty line, out of what is kept; None when a name is not among NAMES."""
    ids = {_IDS.get(name.lower()) for name in names}
    if None in ids:
        return None
    marks = bytes(id in ids for id in range(256))

    def take(kept: bytes) -> bytes:
        found, *fields = kept.split(b"\0")
        return b"".join(compress(fields, found.translate(marks) + b"\1"))

    return take
