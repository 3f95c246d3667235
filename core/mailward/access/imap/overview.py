"""What are the mailboxes like that a client asks to be told of (RFC 5465)?

Those of another account are read only when there is news of it, so whoever changes his all the time does not have all others'
read (T-IMAP-17).
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import structlog

from mailward.access.imap.filters import fits, may_be_of_others
from mailward.access.imap.reach import Reach, Reached, Standing
from mailward.model.ids import AccountId, MailboxId
from mailward.protocol.imap.notify import MESSAGE_EVENTS, Group
from mailward.store.base import MailboxInfo

MAX_MAILBOXES = 2000
"""That a session compares each time (T-IMAP-17)."""

log = structlog.get_logger("mailward.imap")


class TooManyMailboxes(Exception):
    """Of one's own."""


@dataclass(frozen=True, slots=True)
class Known:
    """What the client knows of a mailbox, as far as it asked and may know."""

    reached: Reached
    events: frozenset[str]

    @property
    def info(self) -> MailboxInfo:
        return self.reached.info


Found = Mapping[tuple[AccountId, MailboxId], Known]


@dataclass(frozen=True, slots=True)
class Look:
    """owners: whoever else has mailboxes that could be asked of. left_out: those of them whose mailboxes are too many."""

    found: Found
    owners: frozenset[AccountId]
    left_out: frozenset[AccountId]


@dataclass(frozen=True, slots=True)
class _Shared:
    """level: above the owner's mailboxes. found: None where they are too many."""

    level: str
    found: Found | None


class Overview:
    """Of one session. groups: what is asked of mailboxes that are not selected."""

    def __init__(self, reach: Reach, groups: Sequence[Group]) -> None:
        self._reach = reach
        self._groups = groups
        self._standing: Standing | None = None
        self._shared: dict[AccountId, _Shared] = {}

    def look(self, heard: Collection[AccountId]) -> Look:
        """All mailboxes that somebody asks of, now. heard: other accounts of which there was news. Raises TooManyMailboxes.

        An owner with whom they would be too many is left out, and rather one who was not told of before: nobody keeps others from
        hearing of their own mail, and of what they have been told of. Blocks.
        """
        own = self._reach.all_own()
        found = dict(self._asked(own))
        if len(found) > MAX_MAILBOXES:
            raise TooManyMailboxes
        filters = [group.filter for group in self._groups]
        owners = self._reach.owners() if may_be_of_others(filters, self._reach) else {}
        standing = self._reach.standing(own)
        before, is_as_before, self._standing = self._shared, standing == self._standing, standing
        self._shared = {}
        for owner in sorted(owners, key=lambda owner: owner not in before or before[owner].found is None):
            shared, level = before.get(owner), owners[owner]
            if shared is None or shared.level != level or owner in heard or not is_as_before:
                asked = self._asked(self._reach.shared_by(owner, level, standing))
                shared = _Shared(level, asked if len(found) + len(asked) <= MAX_MAILBOXES else None)
            elif shared.found is not None and len(found) + len(shared.found) > MAX_MAILBOXES:
                shared = _Shared(level, None)
            if shared.found is None and (owner not in before or before[owner].found is not None):
                log.warning("too many mailboxes to tell of", account=self._reach.account, left_out=owner, most=MAX_MAILBOXES)
            self._shared[owner] = shared
            found |= shared.found or {}
        left_out = frozenset(owner for owner, shared in self._shared.items() if shared.found is None)
        return Look(found, frozenset(owners), left_out)

    def _asked(self, listed: Collection[Reached]) -> Found:
        """Those of them that somebody asks of."""
        found = {}
        for reached in listed:
            group = next((group for group in self._groups if fits(group.filter, reached)), None)
            events = frozenset[str]() if group is None else group.events
            if "r" not in reached.rights:
                events -= MESSAGE_EVENTS
            if events:
                found[reached.place] = Known(reached, events)
        return found
