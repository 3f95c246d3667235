"""NOTIFY (RFC 5465): a client is told of changes when they happen, between commands too, and of mailboxes it has not selected.

All of it hangs on the same news as IDLE. What mailboxes are like is compared with what they were like when the client was told
last.
"""

import asyncio
from collections.abc import Sequence

from mailward.access.imap.commands.mailboxes import status_line
from mailward.access.imap.overview import Found, Known, Look, Overview, TooManyMailboxes
from mailward.access.imap.rendering import Plan
from mailward.access.imap.selected import Selected
from mailward.access.imap.session import Session
from mailward.access.imap.working import No
from mailward.protocol.imap.arguments import Arguments
from mailward.protocol.imap.fetch import FetchItems
from mailward.protocol.imap.notify import EVENTS, MESSAGE_EVENTS, BadEvent, Group, read_notify
from mailward.store.base import MailboxInfo

PAUSE_S = 1.0
"""Between two looks at what is not selected: who shares it does not keep others busy (T-IMAP-17). The first is at once."""
_TOO_MANY = "There are too many mailboxes to tell of each"


async def notify(session: Session, arguments: Arguments) -> str:
    try:
        request = read_notify(arguments, session.name_of)
    except BadEvent:
        raise No("There is no such event here", f"BADEVENT ({' '.join(EVENTS)})") from None
    if not request.groups:
        _end(session)
        return ""
    notifier = Notifier(session, request.groups)
    await notifier.begin(tells=request.status)
    session.notifier = notifier
    return ""


def _end(session: Session) -> None:
    session.notifier = None
    session.watches.others(())


class Notifier:
    """What one session is told without having asked each time; see `hearing.Notifier`."""

    def __init__(self, session: Session, groups: Sequence[Group]) -> None:
        self._session = session
        self._selected = next((group for group in groups if group.is_selected), None)
        self._others = [group for group in groups if group is not self._selected]
        self._overview = Overview(session.reach, self._others)
        self._known: Found = {}
        self._mailbox: Selected | None = None
        self._first_new = 0
        """Of the selected mailbox, the first UID of which the items were not told."""
        self._next_look_at = 0.0
        self._timer: asyncio.TimerHandle | None = None

    async def begin(self, *, tells: bool) -> None:
        """Note how the mailboxes are, and tell it. Raises No when they are too many."""
        try:
            self._known = (await self._look()).found
        except TooManyMailboxes:
            raise No(_TOO_MANY, "NOTIFICATIONOVERFLOW") from None
        for one in self._known.values() if tells else ():
            await self._tell_status(one, one.events & MESSAGE_EVENTS)

    async def tell(self, *, idle: bool) -> None:
        """All news. idle: the client is in IDLE, where it hears everything of its selected mailbox whatever it asked for here."""
        session, group = self._session, self._selected
        selected = session.selected
        if selected is not None and (idle or (group is not None and group.events)):
            if selected is not self._mailbox:
                self._mailbox, self._first_new = selected, selected.uidnext
            at_once = group is not None and group.filter.kind == "selected"
            await session.tell_changes(expunge=idle or at_once, may_rest=idle)
            if group is not None and group.items is not None:
                await self._tell_items(selected, group.items)
        if self._others and self._may_look():
            await self._tell_others()

    async def _tell_items(self, selected: Selected, items: FetchItems) -> None:
        """What is asked of each message that has come."""
        first, self._first_new = self._first_new, selected.uidnext
        if first < selected.uidnext:
            plan = Plan(items.having("UID"), utf8=self._session.speaks_utf8, whose=selected.whose)
            places = range(selected.place_from(first), len(selected))
            await self._session.send_pieces(plan.pieces(self._session.store, selected, places))

    async def _tell_others(self) -> None:
        try:
            look = await self._look()
        except TooManyMailboxes:  # this ends it as NOTIFY NONE does (RFC 5465 section 5.8)
            self._session.untagged(f"OK [NOTIFICATIONOVERFLOW] {_TOO_MANY}")
            _end(self._session)
            return
        finally:
            self._next_look_at = asyncio.get_running_loop().time() + PAUSE_S
        before, now = self._known, look.found
        self._known = now
        for id, old in before.items():
            if id not in now and old.reached.owner not in look.left_out and "MailboxName" in old.events:
                self._tell_name(old.info, "\\NonExistent")
        for id, new in now.items():
            known = before.get(id)
            if known is None or known.info.name != new.info.name:
                if "MailboxName" in new.events:
                    self._tell_name(new.info, "", "" if known is None else known.info.name)
            elif known.info.subscribed != new.info.subscribed and "SubscriptionChange" in new.events:
                self._tell_name(new.info, "\\Subscribed" if new.info.subscribed else "")
            if known is not None:
                await self._tell_status(new, _happened(known.info, new.info) & new.events)

    def _tell_name(self, info: MailboxInfo, attribute: str, old: str = "") -> None:
        """As LIST does, with the name it had until now (RFC 9051 section 6.3.9.7)."""
        attributes = " ".join(filter(None, (attribute, info.special_use))).encode("ascii")
        was = b' ("OLDNAME" (%b))' % self._session.name_octets(old) if old else b""
        self._session.untagged(b'LIST (%b) "/" %b%b' % (attributes, self._session.name_octets(info.name), was))

    async def _tell_status(self, one: Known, events: frozenset[str]) -> None:
        """Of a mailbox that is not selected, what such events are about."""
        session = self._session
        if not events or session.has_selected(one.reached):
            return
        items = ["MESSAGES", "UIDNEXT"] if events & {"MessageNew", "MessageExpunge"} else []
        items += ["UIDVALIDITY", *(["UNSEEN"] if "FlagChange" in one.events else [])]
        # Who asks for changes of flags finds them by it (RFC 5465 section 5.3), whether or not CONDSTORE has been enabled.
        items += ["HIGHESTMODSEQ"] if session.tells_modseq or "FlagChange" in one.events else []
        session.untagged(status_line(session, one.reached, items))

    def _may_look(self) -> bool:
        """Whether there was news, and the last look at it is some time ago; where it is not, `tell` is called then."""
        if not self._session.watches.heard:
            return False
        loop = asyncio.get_running_loop()
        if loop.time() >= self._next_look_at:
            return True
        if self._timer is None:
            self._timer = loop.call_at(self._next_look_at, self._wake)
        return False

    def _wake(self) -> None:
        self._timer = None
        self._session.note_news()

    async def _look(self) -> Look:
        """Raises TooManyMailboxes."""
        session, overview = self._session, self._overview
        heard = session.watches.take_heard()
        look = await session.blocking(lambda: overview.look(heard))
        if new := session.watches.others(look.owners):
            look = await session.blocking(lambda: overview.look(new))  # what happened before we heard of it
        return look


def _happened(old: MailboxInfo, new: MailboxInfo) -> frozenset[str]:
    """Which events of messages lie between two looks at a mailbox."""
    if old.highest_modseq == new.highest_modseq:
        return frozenset()
    if (old.uidnext, old.exists) == (new.uidnext, new.exists):
        return frozenset({"FlagChange"})
    return MESSAGE_EVENTS
