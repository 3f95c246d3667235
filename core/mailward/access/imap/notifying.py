"""NOTIFY (RFC 5465): a client is told of changes when they happen, between commands too, and of mailboxes it has not selected.

All of it hangs on the same news as IDLE. What mailboxes are like is compared with what they were like when the client was told
last.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mailward.access.imap.mailboxes import status_line
from mailward.access.imap.reach import Reached, is_of_others
from mailward.access.imap.rendering import Plan
from mailward.access.imap.selected import Selected
from mailward.access.imap.session import Session
from mailward.access.imap.telling import No
from mailward.model.ids import AccountId, MailboxId
from mailward.protocol.imap.arguments import Arguments
from mailward.protocol.imap.fetch import FetchItems
from mailward.protocol.imap.notify import EVENTS, MESSAGE_EVENTS, BadEvent, Group, read_notify
from mailward.store.base import MailboxInfo
from mailward.store.names import parents

MAX_MAILBOXES = 2000
"""That a session compares each time (T-IMAP-17)."""
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


@dataclass(frozen=True, slots=True)
class _Known:
    """What the client knows of a mailbox, as far as it asked and may know."""

    reached: Reached
    events: frozenset[str]

    @property
    def info(self) -> MailboxInfo:
        return self.reached.info


_Found = Mapping[tuple[AccountId, MailboxId], _Known]


class Notifier:
    """What one session is told without having asked each time; see `hearing.Notifier`."""

    def __init__(self, session: Session, groups: Sequence[Group]) -> None:
        self._session = session
        self._selected = next((group for group in groups if group.filter.startswith("selected")), None)
        self._others = [group for group in groups if group is not self._selected]
        self._known: _Found = {}
        self._mailbox: Selected | None = None
        self._first_new = 0
        """Of the selected mailbox, the first UID of which the items were not told."""

    async def begin(self, *, tells: bool) -> None:
        """Note how the mailboxes are, and tell it. Raises No when they are too many."""
        known = await self._look()
        if known is None:
            raise No(_TOO_MANY, "NOTIFICATIONOVERFLOW")
        self._known = known
        for one in known.values() if tells else ():
            await self._tell_status(one, one.events & MESSAGE_EVENTS)

    async def tell(self, *, idle: bool) -> None:
        """All news. idle: the client is in IDLE, where it hears everything of its selected mailbox whatever it asked for here."""
        session, group = self._session, self._selected
        selected = session.selected
        if selected is not None and (idle or (group is not None and group.events)):
            if selected is not self._mailbox:
                self._mailbox, self._first_new = selected, selected.uidnext
            at_once = group is not None and group.filter == "selected"
            await session.tell_changes(expunge=idle or at_once, may_rest=idle)
            if group is not None and group.items is not None:
                await self._tell_items(selected, group.items)
        if self._others:
            await self._tell_others()

    async def _tell_items(self, selected: Selected, items: FetchItems) -> None:
        """What is asked of each message that has come."""
        first, self._first_new = self._first_new, selected.uidnext
        if first < selected.uidnext:
            plan = Plan(items.having("UID"), utf8=self._session.speaks_utf8, whose=selected.whose)
            places = range(selected.place_from(first), len(selected))
            await self._session.send_pieces(plan.pieces(self._session.store, selected, places))

    async def _tell_others(self) -> None:
        now = await self._look()
        if now is None:  # this ends it as NOTIFY NONE does (RFC 5465 section 5.8)
            self._session.untagged(f"OK [NOTIFICATIONOVERFLOW] {_TOO_MANY}")
            _end(self._session)
            return
        before, self._known = self._known, now
        for id, old in before.items():
            if id not in now and "MailboxName" in old.events:
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

    async def _tell_status(self, one: _Known, events: frozenset[str]) -> None:
        """Of a mailbox that is not selected, what such events are about."""
        session = self._session
        if not events or (session.selected is not None and _place(session.here) == _place(one.reached)):
            return
        items = ["MESSAGES", "UIDNEXT"] if events & {"MessageNew", "MessageExpunge"} else []
        items += ["UIDVALIDITY", *(["UNSEEN"] if "FlagChange" in one.events else [])]
        # Who asks for changes of flags finds them by it (RFC 5465 section 5.3), whether or not CONDSTORE has been enabled.
        items += ["HIGHESTMODSEQ"] if session.tells_modseq or "FlagChange" in one.events else []
        session.untagged(status_line(session, one.reached, items))

    async def _look(self) -> _Found | None:
        """All mailboxes that somebody asks of, now. None when they are too many."""
        found, owners = await self._session.blocking(self._look_now)
        if len(found) <= MAX_MAILBOXES and self._session.watches.others(owners):
            found, _ = await self._session.blocking(self._look_now)  # what happened before we heard of it
        return found if len(found) <= MAX_MAILBOXES else None

    def _look_now(self) -> tuple[_Found, frozenset[AccountId]]:
        """With whoever else has mailboxes that could be asked of. Blocks."""
        found: dict[tuple[AccountId, MailboxId], _Known] = {}
        listed = self._session.reach.all(others=self._asks_of_others())
        for reached in listed:
            group = next((group for group in self._others if _fits(group, reached)), None)
            events = frozenset[str]() if group is None else group.events
            if "r" not in reached.rights:
                events -= MESSAGE_EVENTS
            if events:
                found[_place(reached)] = _Known(reached, events)
        return found, frozenset(reached.owner for reached in listed if not reached.is_own)

    def _asks_of_others(self) -> bool:
        """Whether a mailbox that others share could be among them. Blocks."""
        if any(is_of_others(name) for group in self._others for name in group.names):
            return True
        return any(group.filter == "subscribed" for group in self._others) and any(
            map(is_of_others, self._session.own.subscriptions())
        )


def _place(reached: Reached) -> tuple[AccountId, MailboxId]:
    """What stays when a mailbox is renamed."""
    return reached.owner, reached.info.id


def _fits(group: Group, reached: Reached) -> bool:
    """Mail may be delivered to any of our mailboxes, so all are inboxes (RFC 5465 section 6.3)."""
    info = reached.info
    if group.filter == "subscribed":
        return info.subscribed
    if group.filter == "mailboxes":
        return info.name in group.names
    if group.filter == "subtree":
        return not group.names.isdisjoint((info.name, *parents(info.name)))
    return reached.is_own


def _happened(old: MailboxInfo, new: MailboxInfo) -> frozenset[str]:
    """Which events of messages lie between two looks at a mailbox."""
    if old.highest_modseq == new.highest_modseq:
        return frozenset()
    if (old.uidnext, old.exists) == (new.uidnext, new.exists):
        return frozenset({"FlagChange"})
    return MESSAGE_EVENTS
