"""Which messages is a session the first to be told of? \\Recent (RFC 3501 section 2.3.2), which IMAP4rev2 has dropped.

Kept in memory, for as many mailboxes as fit: what was not noted is recent, as the RFC wants where it cannot be known. So after
a restart the first session of a mailbox sees everything as recent once.
"""

from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Sequence

from mailward.model.ids import AccountId, MailboxId

_MAX_MAILBOXES = 50_000


class RecentBook:
    """The UID from which on nobody has been told, for each mailbox."""

    def __init__(self) -> None:
        self._next: OrderedDict[tuple[AccountId, MailboxId], int] = OrderedDict()

    def look(self, account: AccountId, mailbox: MailboxId) -> int:
        """The first UID that is recent."""
        return self._next.get((account, mailbox), 1)

    def claim(self, account: AccountId, mailbox: MailboxId, uidnext: int) -> int:
        """The same, for a session that may be told now: to others, messages below `uidnext` are no longer recent."""
        key = (account, mailbox)
        first = self._next.pop(key, 1)
        self._next[key] = max(first, uidnext)
        while len(self._next) > _MAX_MAILBOXES:
            self._next.popitem(last=False)
        return first


class Recent:
    """The UIDs that are recent in one session, as ranges from low up to but not including high."""

    def __init__(self) -> None:
        self._ranges: list[tuple[int, int]] = []

    def add(self, low: int, high: int) -> None:
        if low >= high:
            return
        if self._ranges and self._ranges[-1][1] >= low:
            low = self._ranges.pop()[0]
        self._ranges.append((low, high))

    def __contains__(self, uid: int) -> bool:
        return any(low <= uid < high for low, high in self._ranges)

    def holds_all(self, first: int, last: int) -> bool:
        """True when every UID from the first to the last is recent."""
        return any(low <= first and last < high for low, high in self._ranges)

    def may_hold(self, largest: int) -> bool:
        """False when no UID up to this one is recent."""
        return bool(self._ranges) and self._ranges[0][0] <= largest

    def count(self, uids: Sequence[int]) -> int:
        """How many of these, which are in order, are recent."""
        return sum(bisect_left(uids, high) - bisect_left(uids, low) for low, high in self._ranges)
