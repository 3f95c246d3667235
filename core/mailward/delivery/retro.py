"""What is done to a copy when more is known of it than at its delivery: taken into the quarantine, marked, let go on; and undone.

A copy is in the quarantine, durably, before it leaves its mailbox. What is begun is written down first, so whoever is killed at
any moment and comes again (`settle`) finds it, and ends with one copy in one place.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from mailward.api.services import Clock
from mailward.decisions.retro import Item, Retro, RetroLog, State
from mailward.delivery.before import Before, PlaceBefore
from mailward.delivery.mda import shown_author
from mailward.delivery.release import Decisions, NotReleased, Release, Released, released_key
from mailward.formats.mailbox_names import INBOX
from mailward.formats.message import MessageView
from mailward.model.decision import DecisionRecord, LaterEvent, utc_text
from mailward.model.errors import StorageError
from mailward.model.ids import AccountId, QueueId
from mailward.quarantine import Held, Quarantine
from mailward.store.base import AccountStore, Delivered, MailboxInfo, MailStore
from mailward.store.ops import Append, Expunge, Op, SetFlags
from mailward.store.refusals import NoSuchMailbox, StoreRefusal

_FIRST_INDEX = 1_000_000
"""Of copies taken into the quarantine by us, as `Held.index`: those that delivery keeps, again and again, never come so far."""


@dataclass(frozen=True, slots=True)
class Target:
    """A copy to which something can be done. held: as it is in the quarantine, or would be.

    account: in whose mailbox it is, "" for one in the quarantine. where: names of the mailboxes.
    """

    held: Held
    account: str
    delivery_key: str
    where: tuple[str, ...] = ()


class _Left(Exception):
    """Nothing can be done to this copy; the text says why."""


class RetroActions:
    """All that can be done, for a command that has its loop to itself. All raise StorageError."""

    def __init__(
        self,
        log: RetroLog,
        quarantine: Quarantine,
        store: MailStore,
        release: Release,
        decisions: Decisions,
        clock: Clock,
        on_released: Callable[[Held, Released], Awaitable[None]],
    ) -> None:
        self._log = log
        self._quarantine = quarantine
        self._store = store
        self._release = release
        self._decisions = decisions
        self._clock = clock
        self._on_released = on_released

    def in_mailboxes(
        self, record: DecisionRecord, asked: str, recipient: str, account: AccountId, delivery_key: str = ""
    ) -> list[Target] | None:
        """Copies in an account, wherever they were moved, [] when none is left; None when there never was one.

        asked: the address that was judged. recipient: the one it led to, or the same. delivery_key: only this copy.
        """
        store = self._store.open(account)
        copies = [copy for copy in store.delivered(record.id) if not delivery_key or copy.delivery_key == delivery_key]
        names = {info.id: info.name for info in store.mailboxes()}
        held = _held_of(record, asked, recipient, account)
        found = [
            Target(held, account, copy.delivery_key, tuple(names.get(place.mailbox, "") for place in copy.places))
            for copy in copies
            if copy.places
        ]
        return found if copies else None

    def header(self, target: Target) -> MessageView:
        """Of a copy; nothing but its header can be relied on."""
        if not target.account:
            return MessageView(self._quarantine.read(target.delivery_key))
        store = self._store.open(AccountId(target.account))
        copy = _copy(store, target.held.id, target.delivery_key)
        found = [] if copy is None else [row[0] for row in store.meta([copy.message], ("headers",))]
        return MessageView(b"".join(one for one in found if isinstance(one, bytes)))

    def in_quarantine(self, record: DecisionRecord, recipient: str) -> list[Target]:
        """The copies that are kept for an address that was judged, or for whom it led to."""
        names = {decision.recipient for decision in record.recipients}
        kept = self._quarantine.find(record.id)
        return [Target(held, "", held.delivery_key) for held in kept if held.judged_as(names) == recipient]

    async def act(self, retro: Retro, target: Target) -> Item:
        """Do it to one copy."""
        held = target.held
        known = replace(held, subject="", author="")  # what somebody wrote stays with the octets
        before = Before(known)
        if target.account:
            before = await asyncio.to_thread(self._as_it_is, known, AccountId(target.account), target.delivery_key)
        item = self._log.begin_item(retro, held.id, held.recipient, target.account, target.delivery_key, before.to_json())
        return await self._bring_to_end(retro, item, before)

    async def settle(self) -> list[Item]:
        """Bring to its end what others have begun and were cut short in. What only another release can read stays begun."""
        found = []
        for item in self._log.begun():
            retro = self._log.get(item.retro)
            if retro is None:
                continue
            try:
                before = Before.from_json(item.before)
            except ValueError as error:
                found.append(replace(item, outcome=f"left as it is: {error}"))
            else:
                found.append(await self._bring_to_end(retro, item, before))
        return found

    async def _bring_to_end(self, retro: Retro, item: Item, before: Before) -> Item:
        account, by = item.account, f"by retro-action {retro.name}"
        try:
            if retro.order.deed == "release":
                released = await self._let_go(retro, item)
                account, outcome, event = released.account, released.outcome, f"let go {by}"
            elif retro.order.deed == "tag":
                await asyncio.to_thread(self._mark, retro, item, before)
                outcome = event = f"tagged {retro.order.tag} {by}"
            else:
                # Without its condition: users read this, and it may name others.
                reason = f"taken back by an administrator (retro-action {retro.name})"
                kept = replace(_new_held(item, before), reason=reason, held_at=self._now(), kept_at=self._now())
                await asyncio.to_thread(self._take, kept, AccountId(item.account), item.delivery_key)
                outcome = event = f"taken into quarantine {by}"
        except (_Left, NotReleased, StoreRefusal, StorageError) as error:
            _raise_temporary(error)
            return self._log.end_item(item, "left", str(error), account)
        self._note(item, event)
        return self._log.end_item(item, "done", outcome, account)

    async def undo(self, retro: Retro, item: Item) -> Item:
        """Make one copy as it was; where that cannot be, it stays "done", and its outcome says why."""
        how = {"quarantine": self._put_back, "tag": self._take_mark_off, "release": self._take_again}[retro.order.deed]
        state: State = "undone"
        try:
            outcome = await asyncio.to_thread(how, retro, item, Before.from_json(item.before))
        except (_Left, StoreRefusal, StorageError, ValueError) as error:
            _raise_temporary(error)
            state, outcome = "done", f"not undone: {error}"
        else:
            self._note(item, outcome)
        return self._log.end_item(item, state, outcome, item.account)

    def _as_it_is(self, held: Held, account: AccountId, delivery_key: str) -> Before:
        store = self._store.open(account)
        copy = _copy(store, held.id, delivery_key)
        if copy is None:
            return Before(held)
        ((date,),) = store.meta([copy.message], ("internal_date",))
        names = {info.id: info.name for info in store.mailboxes()}
        places = tuple(PlaceBefore(one.mailbox, names.get(one.mailbox, ""), one.flags) for one in copy.places)
        return Before(held, places, int(date))

    def _take(self, held: Held, account: AccountId, delivery_key: str) -> None:
        """Out of the mailboxes into the quarantine. Raises _Left."""
        store = self._store.open(account)
        copy = _copy(store, held.id, delivery_key)
        if copy is None:
            if not self._quarantine.find(held.id, held.index):
                raise _Left("it has been deleted")
            return  # cut short behind the last step
        octets = bytes(store.octets(copy.message))
        message = MessageView(octets)
        kept = replace(held, size_octets=len(octets), subject=message.subject, author=shown_author(message))
        if not self._quarantine.add(kept, octets) and not self._quarantine.find(held.id, held.index):
            raise _Left("it was taken into the quarantine, and has been released or dropped since")
        while copy is not None:  # its owner may move it meanwhile
            with suppress(NoSuchMailbox):
                store.apply([Expunge(place.mailbox, (place.uid,), final=True) for place in copy.places])
            copy = _copy(store, held.id, delivery_key)

    def _put_back(self, retro: Retro, item: Item, before: Before) -> str:
        held, store = _new_held(item, before), self._store.open(AccountId(item.account))
        back = f"{held.delivery_key}:back"
        kept = self._quarantine.find(held.id, held.index)
        if not kept:
            keys = [copy.delivery_key for copy in store.delivered(held.id)]
            if any(key.startswith(back) for key in keys):  # cut short behind the last step
                return f"put back by undoing retro-action {retro.name}"
            raise _Left("it has been released or dropped from the quarantine since")
        led = self._quarantine.begin_release(held.delivery_key, f"undo {retro.name}")
        if led != f"undo {retro.name}":
            raise _Left(f"its release to another place had begun ({led}); repeat that one")
        octets, date = self._quarantine.read(held.delivery_key), datetime.fromtimestamp(before.internal_date, UTC)
        ops: list[Op] = []
        names = []
        for number, place in enumerate(before.places):
            mailbox = _mailbox(store, place)
            names.append(mailbox.name if mailbox.name == place.name else f"{mailbox.name} ({place.name} is gone)")
            ops.append(Append(mailbox.id, octets, date, place.flags, f"{back}{number}"))
        store.apply(ops)
        outcome = f"put back into {', '.join(names)} by undoing retro-action {retro.name}"
        self._note(item, outcome)  # before the end, behind which nobody knows the mailbox
        self._quarantine.end(held.delivery_key, how="released", now=self._clock.now())
        return outcome

    def _mark(self, retro: Retro, item: Item, before: Before) -> None:
        store, tag = self._store.open(AccountId(item.account)), retro.order.tag
        copy = _copy(store, item.id, item.delivery_key)
        if copy is None:
            raise _Left("it has been deleted")
        if all(_has(place.flags, tag) for place in before.places):
            raise _Left(f"it has {tag} already")
        store.apply([SetFlags(place.mailbox, (place.uid,), "add", (tag,)) for place in copy.places])

    def _take_mark_off(self, retro: Retro, item: Item, before: Before) -> str:
        store, tag = self._store.open(AccountId(item.account)), retro.order.tag
        copy = _copy(store, item.id, item.delivery_key)
        if copy is None:
            raise _Left("it has been deleted since")
        had_it = {place.mailbox for place in before.places if _has(place.flags, tag)}
        marked = [place for place in copy.places if place.mailbox not in had_it]
        store.apply([SetFlags(place.mailbox, (place.uid,), "remove", (tag,)) for place in marked])
        return f"{tag} taken off by undoing retro-action {retro.name}"

    async def _let_go(self, retro: Retro, item: Item) -> Released:
        number = int(item.delivery_key.rpartition(":")[2])
        kept = await asyncio.to_thread(self._quarantine.find, item.id, number)
        if not kept:
            return await asyncio.to_thread(self._was_let_go, item)
        released = await self._release.release(kept[0], even_infected=retro.order.even_infected)
        await self._on_released(kept[0], released)
        return released

    def _was_let_go(self, item: Item) -> Released:
        """When that was cut short behind the last step."""
        led = self._quarantine.led_to(item.delivery_key)
        if not led:
            raise _Left("it is in quarantine no longer")
        kind, _, target = led.partition(" ")
        account = target if kind == "mailbox" else ""
        return Released(f"released by admin to {led}", account, b"")

    def _take_again(self, retro: Retro, item: Item, before: Before) -> str:
        """What was released, back into the quarantine with all that is known of it."""
        if not item.account:
            raise _Left("it went on to another server")
        kept = replace(_new_held(item, before), held_at=self._now(), kept_at=self._now())
        self._take(kept, AccountId(item.account), released_key(item.delivery_key))
        return f"put back into quarantine by undoing retro-action {retro.name}"

    def _note(self, item: Item, text: str) -> None:
        """For `explain`; once for an action, though what was cut short may come here again. Nothing without a record."""
        record, by = self._decisions.get(item.id), text.rpartition(" by ")[2]
        noted = () if record is None else (event for event in record.events if event.recipient == item.recipient)
        if record is not None and by not in {event.text.rpartition(" by ")[2] for event in noted}:
            self._decisions.add_event(item.id, LaterEvent(self._now(), item.recipient, text))

    def _now(self) -> str:
        return utc_text(self._clock.now())


def _raise_temporary(error: Exception) -> None:
    """Trying again may help; what stays would be in the way of all that come after."""
    if isinstance(error, StorageError) and not error.permanent:
        raise error


def _held_of(record: DecisionRecord, asked: str, recipient: str, account: AccountId) -> Held:
    """What is known of a copy in a mailbox. Its key, its octets and the reason come when it is taken.

    No decision keeps it but the admin's, so none is named, and users cannot release it.
    """
    return Held(
        delivery_key="",
        id=record.id,
        index=0,
        recipient=recipient,
        reason="",
        held_at="",
        size_octets=0,
        reverse_path=record.reverse_path,
        infected=record.is_infected,
        origin="submission" if record.direction == "submission" else "inbound",
        asked="" if asked == recipient else asked,
        account=account,
    )


def _new_held(item: Item, before: Before) -> Held:
    """The entry of the quarantine that this item makes, always the same."""
    index = _FIRST_INDEX + item.number
    return replace(before.held, delivery_key=f"{item.id}:{index}", index=index)


def _copy(store: AccountStore, id: QueueId, delivery_key: str) -> Delivered | None:
    """None when it is in no mailbox any more."""
    return next((copy for copy in store.delivered(id) if copy.delivery_key == delivery_key and copy.places), None)


def _mailbox(store: AccountStore, place: PlaceBefore) -> MailboxInfo:
    """The same one, though it has another name now; one of its name, where it was made again; INBOX."""
    infos = store.mailboxes()
    same = next((info for info in infos if info.id == place.mailbox), None)
    named = next((info for info in infos if info.name == place.name), None)
    return same or named or store.mailbox(INBOX)


def _has(flags: Sequence[str], tag: str) -> bool:
    return tag.casefold() in {flag.casefold() for flag in flags}
