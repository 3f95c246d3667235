"""An account's mail on its way out, message by message; how it is written is for `out_maildir` and `out_mbox`."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from mailward.formats.mailbox_names import INBOX
from mailward.model.errors import MailwardError, StorageError
from mailward.store.base import AccountStore, MailboxView
from mailward.store.flags import names_of
from mailward.store.unique_ids import unique_ids

_BATCH = 200

Progress = Callable[[str, int, int], None]
"""Told the mailbox, how many of its messages are done and how many there are."""


class ExportRefused(MailwardError):
    """What is in the folder is in the way, and nothing was written; the text says what it is and how to go on."""


@dataclass(slots=True)
class Written:
    """How one mailbox went. problems: what could not be read, or has no place in such files."""

    name: str
    messages: int = 0
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message. octets: with CRLF line ends, None when they cannot be read, and then `problem` says why.

    pop3_uidl: what POP3 clients know it by, None outside INBOX.
    """

    uid: int
    octets: bytes | None
    flags: tuple[str, ...]
    at: datetime
    pop3_uidl: str | None
    problem: str = ""


def outgoing(store: AccountStore, view: MailboxView, progress: Progress) -> Iterator[Outgoing]:
    """All messages of a mailbox, in the order of UIDs. Raises StorageError when more than single messages cannot be read."""
    name, total = view.mailbox.name, len(view.uids)
    ids: Sequence[str | None] = unique_ids(store, view.mailbox, view.uids) if name == INBOX else [None] * total
    for first in range(0, total, _BATCH):
        progress(name, first, total)
        window = slice(first, first + _BATCH)
        uids, messages = view.uids[window], view.messages[window]
        dates = (int(at or 0) for (at,) in store.meta(messages, ["internal_date"]))
        bodies = store.bodies(messages)
        for uid, bits, date, uidl, body in zip(uids, view.flags[window], dates, ids[window], bodies, strict=True):
            flags, at = names_of(bits, view.keywords), datetime.fromtimestamp(date, UTC)
            if isinstance(body, StorageError):
                yield Outgoing(uid, None, flags, at, uidl, f"{name} UID {uid}: {body}")
            else:
                yield Outgoing(uid, bytes(body), flags, at, uidl)
    progress(name, total, total)
