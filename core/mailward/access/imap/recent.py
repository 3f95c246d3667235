"""Which messages is a session the first to be told of? \\Recent (RFC 3501 section 2.3.2), which IMAP4rev2 has dropped.

Kept in memory, for as many mailboxes as fit: what was not noted is recent, as the RFC wants where it cannot be known. So after
a restart the first session of a mailbox sees everything as recent once.
"""

from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Sequence

from mailward.model.ids import AccountId, MailboxId

_MAX_MAILBOXES = 50_000
_MOST_RANGES = 1000


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
    """The UIDs that are recent in one session: ranges from low up to but not including high, in order and apart.

    Two sessions that are told in turn have a range a message; beyond so many the first ranges become one, with what lies between
    them: which of two sessions sees a message as recent is undefined (RFC 3501 section 2.3.2).
    """

    def __init__(self) -> None:
        self._lows: list[int] = []
        self._highs: list[int] = []

    def add(self, low: int, high: int) -> None:
        """Of newer messages than those before; they may be the same in part."""
        if low >= high:
            return
        if self._highs and self._highs[-1] >= low:
            self._highs[-1] = high
            return
        self._lows.append(low)
        self._highs.append(high)
        if len(self._lows) > _MOST_RANGES:
            del self._lows[1], self._highs[0]

    def __contains__(self, uid: int) -> bool:
        return self.holds_all(uid, uid)

    def holds_all(self, first: int, last: int) -> bool:
        """True when every UID from the first to the last is recent."""
        place = bisect_right(self._lows, first) - 1
        return place >= 0 and last < self._highs[place]

    def may_hold(self, largest: int) -> bool:
        """False when no UID up to this one is recent."""
        return bool(self._lows) and self._lows[0] <= largest

    def count(self, uids: Sequence[int]) -> int:
        """How many of these, which are in order, are recent."""
        return sum(bisect_left(uids, high) - bisect_left(uids, low) for low, high in zip(self._lows, self._highs, strict=True))
