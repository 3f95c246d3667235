"""What becomes of a quarantined message that an admin releases or drops?

Where a release leads is written down before it begins, and a mailbox takes its delivery key only once: killed at any moment and
begun again, it ends with one copy in one mailbox. A release to a relay, or to a mailbox whose sender wants to hear of it, is a
new queue item whose id is kept in the same way: a crash adds at most one copy on another server, as with every relay.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, get_args

import structlog

from mailward.api.services import Clock
from mailward.delivery.ports import Mailboxes
from mailward.directory import Account
from mailward.formats.address import parse_mailbox
from mailward.formats.domains import AddressSyntaxError
from mailward.formats.mailbox_names import INBOX
from mailward.model.address import Address
from mailward.model.decision import DecisionRecord, LaterEvent, utc_text
from mailward.model.edits import RemoveFieldAt
from mailward.model.envelope import Notify, RcptParameters
from mailward.model.errors import StorageError
from mailward.model.ids import AccountId, QueueId, new_queue_id
from mailward.quarantine import Held, Quarantine, UsersRelease
from mailward.queue.item import QueuedRecipient, QueueItem
from mailward.queue.spool import Spool
from mailward.store.base import MailStore
from mailward.store.ops import Append

log = structlog.get_logger("mailward.delivery")


class NotReleased(Exception):
    """It stays in the quarantine; the text says why, for people."""


class Infected(NotReleased):
    """It carries malware, and nobody said that it is to be released all the same."""


class NotAllowed(NotReleased):
    """A user may not release it; an admin may."""


class NoMailbox(NotReleased):
    """It leads to no mailbox here, or to another's than when it was kept; another address may."""


class Decisions(Protocol):
    """Where decision records are kept."""

    def get(self, id: QueueId) -> DecisionRecord | None: ...

    def add_event(self, id: QueueId, event: LaterEvent) -> None: ...


@dataclass(frozen=True, slots=True)
class Released:
    """outcome: what became of it, in plain words. account: in whose mailbox it is, "" when in none here."""

    outcome: str
    account: str
    octets: bytes


class Release:
    """Ends the keeping of messages. `release` belongs to an event loop; all raise StorageError."""

    def __init__(
        self, quarantine: Quarantine, store: MailStore, spool: Spool, mailboxes: Mailboxes, decisions: Decisions, clock: Clock
    ) -> None:
        self._quarantine = quarantine
        self._store = store
        self._spool = spool
        self._mailboxes = mailboxes
        self._decisions = decisions
        self._clock = clock

    async def release(self, held: Held, *, to: Address | None = None, even_infected: bool = False) -> Released:
        """An admin lets a message go on to where it was addressed, or into the INBOX of `to`. Raises NotReleased."""
        if held.infected and not even_infected:
            raise Infected(f"it carries malware ({held.reason})")
        return await self._release(held, to, "admin")

    async def release_as(self, user: Account, held: Held, allowed: UsersRelease) -> Released:
        """A user lets a message go on into his own mailbox. Raises NotReleased."""
        reason = allowed.why_not(held, user.id)
        if reason:
            raise NotAllowed(reason)
        if await asyncio.to_thread(self._account, _address(held.recipient), held.recipient) != user.id:
            raise NotAllowed(f"{held.recipient} has become another user's address")
        return await self._release(held, None, str(user.address))

    async def _release(self, held: Held, to: Address | None, by: str) -> Released:
        """by: for `explain`."""
        with self._quarantine.claimed(held):
            return await self._release_claimed(held, to, by)

    async def _release_claimed(self, held: Held, to: Address | None, by: str) -> Released:
        octets = await asyncio.to_thread(self._quarantine.read, held.delivery_key)
        if to is None and held.route == "relay":
            released = await self._to_queue(held, octets, _recipient(held, "relay"), by)
        elif to is None and held.route == "mailbox" and _said(held).wants("SUCCESS"):  # who reports deliveries is the queue
            account = await asyncio.to_thread(self._owner, held)
            released = await self._to_queue(held, octets, _recipient(held, "mailbox", account), by)
        else:
            released = await asyncio.to_thread(self._to_mailbox, held, octets, to, by)
        await asyncio.to_thread(self._end, [held], released.outcome, "released")
        return released

    def drop(self, helds: Sequence[Held], outcome: str = "dropped from quarantine by admin") -> str:
        """Delete messages for good. outcome: for `explain`; returned."""
        self._end(helds, outcome, "dropped")
        return outcome

    def _to_mailbox(self, held: Held, octets: bytes, to: Address | None, by: str) -> Released:
        if to is None and held.route == "discard":
            raise NoMailbox(f"mail for {held.recipient} is discarded by its route")
        address = to or _address(held.recipient)
        account = self._owner(held) if to is None else self._account(to, held.recipient)
        self._lead(held, f"mailbox {account}")
        store = self._store.open(account)
        received_at = self._clock.now()  # for its reader it comes now, and is to stand among the new
        store.apply([Append(store.mailbox(INBOX).id, octets, received_at, delivery_key=released_key(held.delivery_key))])
        return Released(f"released by {by} into INBOX of {address}", account, octets)

    def _owner(self, held: Held) -> AccountId:
        """Whose mailbox it goes into. Raises NoMailbox, also when its address belongs to another since it was kept."""
        account = self._account(_address(held.recipient), held.recipient)
        if held.account and account != held.account:
            raise NoMailbox(f"{held.recipient} has become another user's address")
        return account

    def _account(self, address: Address | None, recipient: str) -> AccountId:
        """Whose mailbox it is. recipient: for people. Raises NoMailbox."""
        account = None if address is None else self._mailboxes.resolve(address)
        if account is None:
            raise NoMailbox(f"{address or recipient} is nobody's mailbox here")
        return account

    async def _to_queue(self, held: Held, octets: bytes, recipient: QueuedRecipient, by: str) -> Released:
        target = await asyncio.to_thread(self._lead, held, f"relay {new_queue_id()}")
        queue_id = QueueId(target.partition(" ")[2])
        record = await asyncio.to_thread(self._decisions.get, held.id)
        item = QueueItem(
            id=queue_id,
            received_at=utc_text(self._clock.now()),
            reverse_path=held.reverse_path,
            size_octets=len(octets),
            trace="",  # it has the fields of its reception
            edits=(RemoveFieldAt(0),),  # Return-Path is written at final delivery only (RFC 5321 section 4.4)
            recipients=(recipient,),
            decision=_lost_record(held) if record is None else record.with_events(()),
            smtputf8=held.smtputf8,
            require_tls=held.require_tls,
            origin=held.origin,
            user=held.user,
            ret=held.ret,
            envelope_id=held.envelope_id,
            tls_optional=held.tls_optional,
            hold_until=held.hold_until,
            deliver_by=held.deliver_by,
            by_mode=held.by_mode,
            by_trace=held.by_trace,
            priority=held.priority,
        )
        incoming = self._spool.begin(queue_id)
        incoming.write(octets)
        await incoming.commit(item)
        return Released(f"released by {by} to the queue as {queue_id}", recipient.account, octets)

    def _lead(self, held: Held, target: str) -> str:
        """Where the release leads: here, or where one that was cut short led. Raises NotReleased when these differ."""
        led = self._quarantine.begin_release(held.delivery_key, target)
        if led != target and not (led.startswith("relay ") and target.startswith("relay ")):
            raise NotReleased(f"its release to another place had begun ({led}); repeat that one")
        return led

    def _end(self, helds: Sequence[Held], outcome: str, how: Literal["released", "dropped"]) -> None:
        for held in helds:
            self._note(held, outcome)
        self._quarantine.end(*(held.delivery_key for held in helds), how=how, now=self._clock.now())

    def _note(self, held: Held, outcome: str) -> None:
        """For `explain`; once, though what was cut short may come here again. Nothing where the record is forgotten.

        A record that cannot be read is in nobody's way: what is due would stay for ever, and all behind it.
        """
        try:
            self._add_event(held, outcome)
        except StorageError as error:
            log.error("nothing is noted of what left the quarantine", id=held.id, recipient=held.recipient, error=str(error))

    def _add_event(self, held: Held, outcome: str) -> None:
        record = self._decisions.get(held.id)
        if record is not None and (held.recipient, outcome) not in {(event.recipient, event.text) for event in record.events}:
            self._decisions.add_event(held.id, LaterEvent(utc_text(self._clock.now()), held.recipient, outcome))


def released_key(delivery_key: str) -> str:
    """Under which a mailbox has what was kept under this one."""
    return f"{delivery_key}:released"


def _recipient(held: Held, route: str, account: str = "") -> QueuedRecipient:
    """As it was before it was kept."""
    said, path = _said(held), held.own_reverse_path
    return QueuedRecipient(held.recipient, route, account, parameters=said, reverse_path=path, asked=held.asked)


def _said(held: Held) -> RcptParameters:
    """What RCPT said (RFC 3461)."""
    notify = tuple(word for word in get_args(Notify) if word in held.notify.split(","))
    return RcptParameters(notify, held.original_recipient)


def _address(forward_path: str) -> Address | None:
    """The address of a forward-path as the queue writes it; the bare postmaster has no domain."""
    if "@" not in forward_path:
        return Address(forward_path, "")
    try:
        return parse_mailbox(forward_path)
    except AddressSyntaxError:
        return None


def _lost_record(held: Held) -> DecisionRecord:
    """What is left to say when the decision store has lost the record."""
    return DecisionRecord(
        id=held.id,
        received_at=held.held_at,
        direction="submission" if held.origin == "submission" else "inbound",
        reverse_path=held.reverse_path,
        size_octets=held.size_octets,
    )
