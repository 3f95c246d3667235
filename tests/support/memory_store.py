"""The plainest message store that does what `store.base` says: dicts, a log of everything, counters counted anew each time.

It is the oracle of storecheck: what another backend answers is right when it is what this one answers. A list of ops works on
a copy of the account's state, which takes its place when the list is done; so half-done lists need no thought.

What names mean (`normalise_name`, `parents`) and what is made of a message (`render`) it has from the store that it judges, so it
is no witness of these: `tests/unit/store/test_golden.py` pins what is made of mail, `test_names.py` beside it what names mean.
"""

import copy
import pickle
import threading
from array import array
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress

from mailward.formats.mailbox_names import INBOX, SEPARATOR
from mailward.model.errors import StorageError
from mailward.model.ids import AccountId, MailboxId, QueueId, Uid
from mailward.model.limits import NO_LIMITS
from mailward.store.base import (
    SYSTEM_FLAGS,
    Column,
    Delivered,
    Delta,
    EntryColumn,
    Expunged,
    MailboxInfo,
    MailboxView,
    Place,
    Quota,
    Script,
)
from mailward.store.mailboxes import DEFAULT_MAILBOXES
from mailward.store.names import normalise_name
from mailward.store.ops import CreateMailbox, Op, OpResult, Subscribe
from mailward.store.refusals import NoSuchMailbox
from mailward.store.rendered import render
from support.memory_state import Box, State, box_of, put_back
from support.memory_steps import Steps


class MemoryStore:
    """All accounts; see `store.base.MailStore`."""

    def __init__(self, *, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._accounts: dict[AccountId, MemoryAccount] = {}

    def open(self, account: AccountId) -> "MemoryAccount":
        return self._accounts.setdefault(account, MemoryAccount(self._now_s))

    def sharing_with(self, grantees: Collection[str]) -> tuple[AccountId, ...]:
        def shares(account: MemoryAccount) -> bool:
            return any(grantee in grants for grants in account.grants().values() for grantee in grantees)

        return tuple(sorted(id for id, account in self._accounts.items() if shares(account)))


class NoMarks:
    """All messages are to be looked at, and nothing is to be gained by telling it of them; see `store.marks.Marks`."""

    def may_hold(self, messages: Sequence[int], text: str) -> Sequence[bool | None]:
        return [None] * len(messages)

    def add(self, texts: Mapping[int, Iterable[str] | None]) -> None: ...

    def begin(self, message: int) -> None: ...

    def begun(self) -> Sequence[int]:
        return ()

    def unmarked(self, after: int = 0) -> Sequence[int]:
        return ()


class MemoryAccount:
    """One account; see `store.base.AccountStore`."""

    marks = NoMarks()

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._lock = threading.RLock()
        self._state = State()
        self._applied = 0
        self.apply([CreateMailbox(name, special_use) for name, special_use in DEFAULT_MAILBOXES])
        self.apply([Subscribe(name, True) for name, _ in DEFAULT_MAILBOXES])

    # Reading

    def stamp(self) -> int:
        return self._applied

    def view_at_hand(self, name: str) -> MailboxView | None:
        with suppress(NoSuchMailbox):
            return self.view(self.mailbox(name).id)
        return None

    def mailboxes(self) -> tuple[MailboxInfo, ...]:
        boxes = sorted(self._state.boxes.values(), key=lambda box: (box.name != INBOX, box.name.encode()))
        return tuple(self._info(box) for box in boxes)

    def mailbox(self, name: str) -> MailboxInfo:
        for info in self.mailboxes():
            if info.name == normalise_name(name):
                return info
        raise NoSuchMailbox(name)

    def is_level(self, name: str) -> bool:
        name = normalise_name(name)
        return any(box.name == name or box.name.startswith(name + SEPARATOR) for box in self._state.boxes.values())

    def subscriptions(self) -> frozenset[str]:
        return frozenset(self._state.subscriptions)

    def grants(self) -> Mapping[MailboxId, Mapping[str, str]]:
        return {box.id: dict(sorted(box.grants.items())) for box in self._state.boxes.values() if box.grants}

    def annotations(self, mailbox: MailboxId, owner: str = "") -> Mapping[str, bytes]:
        return dict(sorted(self._state.annotations.get((owner, mailbox), {}).items()))

    def annotated(self) -> frozenset[tuple[AccountId, MailboxId]]:
        noted = self._state.annotations
        return frozenset((AccountId(owner), mailbox) for (owner, mailbox), there in noted.items() if owner and there)

    def view(self, mailbox: MailboxId) -> MailboxView:
        with self._lock:
            box = box_of(self._state, mailbox)
            uids = sorted(box.entries)
            entries = [box.entries[uid] for uid in uids]
            flags, modseqs = array("Q", [box.bits(e.flags) for e in entries]), array("Q", [e.modseq for e in entries])
            messages = array("Q", [e.message for e in entries])
            return MailboxView(self._info(box), box.keywords, array("I", uids), flags, modseqs, messages, self._applied)

    def delta(self, mailbox: MailboxId, since: int) -> Delta:
        with self._lock:
            box = box_of(self._state, mailbox)
            uids = sorted({uid for modseq, uid in box.changes if modseq > since} & set(box.entries))
            entries = [box.entries[uid] for uid in uids]
            gone = {uid for modseq, uid, added_modseq in box.gone if added_modseq <= since < modseq}
            passed = {uid for _, uid, added_modseq in box.gone if since < added_modseq}
            return Delta(
                *(box.modseq, box.uidnext, box.keywords, tuple(uids)),
                tuple(box.bits(entry.flags) for entry in entries),
                tuple(entry.modseq for entry in entries),
                tuple(entry.message for entry in entries),
                tuple(sorted(gone)),
                tuple(sorted(passed)),
            )

    def entry_meta(
        self, mailbox: MailboxId, uids: Sequence[int], columns: Sequence[EntryColumn]
    ) -> Iterator[tuple[int | str | None, ...] | None]:
        for uid in uids:
            entry = box_of(self._state, mailbox).entries.get(uid)
            yield None if entry is None else tuple(getattr(entry, column) for column in columns)

    def expunged(self) -> tuple[Expunged, ...]:
        with self._lock:
            found = sorted((left.at, message, left.box, left.flags) for message, left in put_back(self._state).items())
            return tuple(Expunged(message, box.name, _names(box, flags), at) for at, message, box, flags in found)

    def quota(self) -> Quota:
        infos = self.mailboxes()
        return Quota(sum(info.size_octets for info in infos), sum(info.exists for info in infos), NO_LIMITS)

    def scripts(self) -> tuple[Script, ...]:
        state = self._state
        return tuple(Script(name, text, name == state.active_script) for name, text in sorted(state.scripts.items()))

    def script(self, name: str) -> Script | None:
        return next((one for one in self.scripts() if one.name == name), None)

    def active_script(self) -> Script | None:
        return next((one for one in self.scripts() if one.is_active), None)

    def meta(self, messages: Sequence[int], columns: Sequence[Column]) -> Iterator[tuple[int | bytes | str, ...]]:
        for message in messages:
            octets, internal_date = self._state.messages[message]
            rendered = render(octets, int(internal_date.timestamp()), message)
            yield tuple(len(octets) if column == "size_octets" else getattr(rendered, column) for column in columns)

    def delivered(self, id: QueueId) -> tuple[Delivered, ...]:
        with self._lock:
            state = self._state
            keys = sorted(key for key in state.deliveries if key.startswith(f"{id}:"))
            return tuple(Delivered(key, state.deliveries[key][2], _places(state, state.deliveries[key][2])) for key in keys)

    def known(self, delivery_keys: Sequence[str]) -> frozenset[str]:
        return frozenset(delivery_keys) & self._state.deliveries.keys()

    def read(self, message: int, offset: int = 0, length: int | None = None) -> bytes:
        return self.octets(message)[offset : None if length is None else offset + length]

    def octets(self, message: int) -> bytes:
        if message not in self._state.messages:
            raise StorageError(f"there is no message {message}", permanent=True)
        return self._state.messages[message][0]

    def bodies(self, messages: Sequence[int]) -> Iterator[bytes]:
        return map(self.octets, messages)

    def _info(self, box: Box) -> MailboxInfo:
        flags = [entry.flags for entry in box.entries.values()]
        return MailboxInfo(
            id=box.id,
            name=box.name,
            special_use=box.special_use,
            subscribed=box.name in self._state.subscriptions,
            uidvalidity=box.uidvalidity,
            uidnext=box.uidnext,
            highest_modseq=box.modseq,
            exists=len(flags),
            unseen=sum("\\Seen" not in names for names in flags),
            deleted=sum("\\Deleted" in names for names in flags),
            size_octets=sum(len(self._state.messages[entry.message][0]) for entry in box.entries.values()),
        )

    def would_be(self, ops: Sequence[Op]) -> "MemoryAccount":
        """What it would be after these ops; it stays as it is. Raises StoreRefusal."""
        other = copy.copy(self)
        other.apply(ops)
        return other

    def is_like(self, other: "MemoryAccount") -> bool:
        """Nothing can tell them apart, now or after whatever is done to both."""
        return self._state == other._state

    # Writing

    def drop_expunged(self) -> None:
        """As tidying does where expunged mail is not kept."""
        there = {entry.message for box in self._state.boxes.values() for entry in box.entries.values()}
        self._state.left.clear()
        self._state.messages = {number: message for number, message in self._state.messages.items() if number in there}

    def apply(self, ops: Sequence[Op]) -> tuple[OpResult, ...]:
        with self._lock:
            state = pickle.loads(pickle.dumps(self._state))  # what copy.deepcopy does, ten times faster
            steps = Steps(state, int(self._now_s()))
            results = tuple(steps.run(op) for op in ops)
            self._state = steps.state
            self._applied += 1
            return results


def _names(box: Box, flags: frozenset[str]) -> tuple[str, ...]:
    return tuple(name for name in (*SYSTEM_FLAGS, *box.keywords) if name in flags)


def _places(state: State, message: int) -> tuple[Place, ...]:
    found = [
        Place(box.id, Uid(uid), _names(box, entry.flags))
        for box in state.boxes.values()
        for uid, entry in box.entries.items()
        if entry.message == message
    ]
    return tuple(sorted(found, key=lambda place: (place.mailbox, place.uid)))
