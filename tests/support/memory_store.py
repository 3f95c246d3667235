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
from dataclasses import dataclass, field
from datetime import datetime

from mailward.formats.mailbox_names import INBOX, SEPARATOR
from mailward.model.errors import StorageError
from mailward.model.ids import AccountId, MailboxId, QueueId, Uid
from mailward.model.limits import NO_LIMITS
from mailward.store.base import (
    FIRST_KEYWORD_BIT,
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
from mailward.store.names import normalise_name, parents
from mailward.store.ops import (
    ANY_KEYWORD,
    NO_MAILBOX,
    RIGHTS,
    SERVER,
    ActivateScript,
    Append,
    Copy,
    CreateMailbox,
    DeleteMailbox,
    DeleteScript,
    Expunge,
    Named,
    Op,
    OpResult,
    PutScript,
    RenameMailbox,
    RenameScript,
    Renumber,
    SetAnnotations,
    SetFlags,
    SetRights,
    SetSpecialUse,
    Subscribe,
    Undelete,
)
from mailward.store.refusals import (
    MailboxExists,
    NoSuchMailbox,
    NoSuchScript,
    NotPermitted,
    ScriptActive,
    ScriptExists,
    SpecialUseRefused,
)
from mailward.store.rendered import render


@dataclass
class Entry:
    """A message in a mailbox. flags: names as the mailbox has them."""

    message: int
    flags: frozenset[str]
    modseq: int
    added_modseq: int
    email: int
    saved_at: int
    pop3_uidl: str | None = None


@dataclass
class Box:
    """A mailbox."""

    id: MailboxId
    name: str
    special_use: str
    uidvalidity: int
    modseq: int
    uidnext: int = 1
    keywords: tuple[str, ...] = ()
    entries: dict[int, Entry] = field(default_factory=dict)
    changes: list[tuple[int, int]] = field(default_factory=list)
    """(modseq, UID) of everything added or changed."""
    grants: dict[str, str] = field(default_factory=dict)
    gone: list[tuple[int, int, int]] = field(default_factory=list)
    """(modseq, UID, modseq at which it had been added) of everything removed."""

    def canonical(self, flags: Sequence[str]) -> frozenset[str]:
        """The flags as this mailbox spells them; those it has not seen as they are given."""
        known = {name.casefold(): name for name in (*SYSTEM_FLAGS, *self.keywords)}
        return frozenset(known.setdefault(flag.casefold(), flag) for flag in flags)

    def learn(self, flags: frozenset[str]) -> None:
        self.keywords += tuple(sorted(flags - {*SYSTEM_FLAGS, *self.keywords}))

    def bits(self, flags: frozenset[str]) -> int:
        system = sum(1 << bit for bit, name in enumerate(SYSTEM_FLAGS) if name in flags)
        return system + sum(1 << bit for bit, name in enumerate(self.keywords, FIRST_KEYWORD_BIT) if name in flags)


@dataclass
class Left:
    """A message that was expunged. box: as it is, or was when it was deleted. is_final: it never comes back."""

    box: Box
    flags: frozenset[str]
    email: int
    at: int
    is_final: bool


@dataclass
class State:
    """All of an account."""

    boxes: dict[MailboxId, Box] = field(default_factory=dict)
    messages: dict[int, tuple[bytes, datetime]] = field(default_factory=dict)
    left: dict[int, Left] = field(default_factory=dict)
    deliveries: dict[str, tuple[MailboxId, int, int]] = field(default_factory=dict)
    past_pop3_uidls: set[str | None] = field(default_factory=set)
    subscriptions: set[str] = field(default_factory=set)
    past_names: dict[str, int] = field(default_factory=dict)
    scripts: dict[str, bytes] = field(default_factory=dict)
    active_script: str = ""
    annotations: dict[tuple[str, MailboxId], dict[str, bytes]] = field(default_factory=dict)
    last_mailbox: int = 0
    last_message: int = 0
    last_email: int = 0
    last_uidvalidity: int = 0
    last_modseq: int = 0


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
            box = _box(self._state, mailbox)
            uids = sorted(box.entries)
            entries = [box.entries[uid] for uid in uids]
            flags, modseqs = array("Q", [box.bits(e.flags) for e in entries]), array("Q", [e.modseq for e in entries])
            messages = array("Q", [e.message for e in entries])
            return MailboxView(self._info(box), box.keywords, array("I", uids), flags, modseqs, messages, self._applied)

    def delta(self, mailbox: MailboxId, since: int) -> Delta:
        with self._lock:
            box = _box(self._state, mailbox)
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
            entry = _box(self._state, mailbox).entries.get(uid)
            yield None if entry is None else tuple(getattr(entry, column) for column in columns)

    def expunged(self) -> tuple[Expunged, ...]:
        with self._lock:
            found = sorted((left.at, message, left.box, left.flags) for message, left in _put_back(self._state).items())
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


class Steps:
    """One list of ops on a state of its own."""

    def __init__(self, state: State, now_s: int) -> None:
        self.state = state
        self._now_s = now_s
        self._modseq = 0

    def run(self, op: Op) -> OpResult:
        match op:
            case Append():
                return self._append(op)
            case SetFlags():
                return self._set_flags(op)
            case Expunge():
                box = _box(self.state, op.mailbox)
                there = tuple(uid for uid in sorted(set(op.uids)) if uid in box.entries)
                self._leave(box, there, is_final=op.final)
                self._remove(box, there)
                return OpResult(box.id, box.uidvalidity, there)
            case Undelete():
                return self._undelete(op)
            case Copy():
                return self._copy(op)
            case Named():
                if _box(self.state, op.mailbox).name != normalise_name(op.name):
                    raise NoSuchMailbox(op.name)
                return OpResult(op.mailbox)
            case CreateMailbox():
                return self._create(op)
            case RenameMailbox():
                return self._rename(op)
            case DeleteMailbox():
                return self._delete(op)
            case Subscribe():
                name = normalise_name(op.name)
                (self.state.subscriptions.add if op.subscribed else self.state.subscriptions.discard)(name)
                found = self._find(name)
                return OpResult(found.id if found else NO_MAILBOX)
            case Renumber():
                return self._renumber(op)
            case SetRights():
                return self._set_rights(op)
            case SetSpecialUse():
                return self._set_special_use(op)
            case SetAnnotations():
                return self._set_annotations(op)
            case _:
                self._run_on_scripts(op)
                return OpResult(NO_MAILBOX)

    def _run_on_scripts(self, op: PutScript | RenameScript | DeleteScript | ActivateScript) -> None:
        state = self.state
        if not isinstance(op, PutScript) and op.name and op.name not in state.scripts:
            raise NoSuchScript(op.name)
        match op:
            case PutScript():
                state.scripts[op.name] = op.text
            case RenameScript():
                if op.new_name != op.name and op.new_name in state.scripts:
                    raise ScriptExists(op.new_name)
                state.scripts[op.new_name] = state.scripts.pop(op.name)
                if state.active_script == op.name:
                    state.active_script = op.new_name
            case DeleteScript():
                if state.active_script == op.name:
                    raise ScriptActive(op.name)
                del state.scripts[op.name]
            case ActivateScript():
                state.active_script = op.name

    def _append(self, op: Append) -> OpResult:
        if op.delivery_key in self.state.deliveries:
            mailbox, uid, _ = self.state.deliveries[op.delivery_key]
            return OpResult(mailbox, uids=(uid,), duplicate=True)
        box = _box(self.state, op.mailbox)
        message = self.state.last_message = self.state.last_message + 1
        self.state.messages[message] = (op.octets, op.internal_date)
        if op.uid is not None:
            if op.uid < box.uidnext:
                raise NotPermitted(op.uid)
            box.uidnext = op.uid
        pop3_uidl = None if op.pop3_uidl in self.state.past_pop3_uidls else op.pop3_uidl
        self.state.past_pop3_uidls |= {op.pop3_uidl} - {None}
        uid = self._add(box, message, op.flags, self._email(), pop3_uidl)
        if op.delivery_key is not None:
            self.state.deliveries[op.delivery_key] = (box.id, uid, message)
        return OpResult(box.id, box.uidvalidity, (uid,))

    def _leave(self, box: Box, uids: Sequence[int], *, is_final: bool = False) -> None:
        for uid in uids:
            entry = box.entries[uid]
            self.state.left[entry.message] = Left(box, entry.flags, entry.email, self._now_s, is_final)

    def _undelete(self, op: Undelete) -> OpResult:
        box, put_back = _box(self.state, op.mailbox), _put_back(self.state)
        uids = []
        for message in sorted(set(op.messages) & put_back.keys()):
            left = self.state.left.pop(message)
            uids.append(self._add(box, message, tuple(left.flags - {"\\Deleted"}), left.email, None))
        return OpResult(box.id, box.uidvalidity, tuple(uids))

    def _set_flags(self, op: SetFlags) -> OpResult:
        box = _box(self.state, op.mailbox)
        there = [uid for uid in sorted(set(op.uids)) if uid in box.entries]
        limit = op.unchanged_since
        refused = tuple(uid for uid in there if limit is not None and box.entries[uid].modseq > limit)
        given = box.canonical(op.flags)
        touched = tuple(uid for uid in there if uid not in refused)
        before = box.modseq
        for uid in touched:
            entry = box.entries[uid]
            kept = frozenset(flag for flag in entry.flags if _is_kept(flag, op.kept))
            replaced = kept | frozenset(flag for flag in given if not _is_kept(flag, op.kept))
            flags = {"add": entry.flags | given, "remove": entry.flags - given, "replace": replaced}[op.mode]
            if flags != entry.flags:
                box.learn(flags)
                entry.flags, entry.modseq = flags, self._change(box)
                box.changes.append((entry.modseq, uid))
        return OpResult(box.id, box.uidvalidity, touched, refused=refused, modseqs=(before, box.modseq))

    def _set_rights(self, op: SetRights) -> OpResult:
        box = _box(self.state, op.mailbox)
        now, given = set(box.grants.pop(op.grantee, "")), set(op.rights)
        after = {"add": now | given, "remove": now - given, "replace": given}[op.mode]
        if after:
            box.grants[op.grantee] = "".join(sorted(after, key=RIGHTS.index))
        return OpResult(box.id, box.uidvalidity)

    def _set_special_use(self, op: SetSpecialUse) -> OpResult:
        box = _box(self.state, op.mailbox)
        others = {other.special_use for other in self.state.boxes.values() if other.id != box.id}
        if op.special_use and (op.special_use in others or box.name == INBOX):
            raise SpecialUseRefused(op.special_use)
        box.special_use = op.special_use
        self._change(box)
        return OpResult(box.id, box.uidvalidity)

    def _set_annotations(self, op: SetAnnotations) -> OpResult:
        if op.mailbox != SERVER and not op.owner:
            _box(self.state, op.mailbox)
        there = self.state.annotations.setdefault((op.owner, op.mailbox), {})
        for name, value in op.entries:
            there.pop(name, None)
            if value is not None:
                there[name] = value
        return OpResult(op.mailbox)

    def _copy(self, op: Copy) -> OpResult:
        source, target = _box(self.state, op.mailbox), _box(self.state, op.target)
        sources = tuple(uid for uid in sorted(set(op.uids)) if uid in source.entries)
        copied = [source.entries[uid] for uid in sources]
        kept = [(entry.email, entry.pop3_uidl) if op.move else (self._email(), None) for entry in copied]
        uids = tuple(self._add(target, e.message, tuple(e.flags), *of_it) for e, of_it in zip(copied, kept, strict=True))
        if op.move:
            self._remove(source, sources)
        return OpResult(target.id, target.uidvalidity, uids, sources=sources)

    def _create(self, op: CreateMailbox) -> OpResult:
        name = normalise_name(op.name)
        if self._find(name):
            raise MailboxExists(name)
        if op.special_use and any(box.special_use == op.special_use for box in self.state.boxes.values()):
            raise SpecialUseRefused(op.special_use)
        made = self._make(name, op.special_use, inherit=op.inherit)
        return OpResult(made.id, made.uidvalidity)

    def _rename(self, op: RenameMailbox) -> OpResult:
        name, new_name = normalise_name(op.name), normalise_name(op.new_name)
        box = self._find(name)
        moved = [other for other in self.state.boxes.values() if f"{other.name}/".startswith(f"{name}/")]
        if not moved:
            raise NoSuchMailbox(name)
        if self._find(new_name):
            raise MailboxExists(new_name)
        if box is not None and name == INBOX:
            made = self._make(new_name, "")
            made.grants = dict(box.grants)
            self.state.annotations["", made.id] = dict(self.state.annotations.get(("", box.id), {}))
            self._copy(Copy(box.id, tuple(map(Uid, sorted(box.entries))), made.id, move=True))
            return OpResult(made.id, made.uidvalidity)
        if new_name.startswith(f"{name}/"):
            raise NotPermitted(new_name)
        for other in moved:
            there = self._find(normalise_name(new_name + other.name[len(name) :]))
            if there is not None and there not in moved:
                raise MailboxExists(there.name)
        self._make_parents(new_name)
        for other in sorted(moved, key=lambda other: other.name):
            self._remember(other)
            other.name = new_name + other.name[len(name) :]
            if self.state.past_names.get(other.name, 0) >= other.uidvalidity:
                other.uidvalidity = self._uidvalidity()
            self._change(other)
        return OpResult(NO_MAILBOX) if box is None else OpResult(box.id, box.uidvalidity)

    def _delete(self, op: DeleteMailbox) -> OpResult:
        name = normalise_name(op.name)
        box = self._find(name)
        if box is None:
            raise NoSuchMailbox(name)
        if name == INBOX or (op.only_unused and box.uidnext > 1):
            raise NotPermitted(name)
        self._remember(box)
        self._leave(box, sorted(box.entries))
        del self.state.boxes[box.id]
        self.state.annotations.pop(("", box.id), None)
        return OpResult(box.id)

    def _renumber(self, op: Renumber) -> OpResult:
        box = _box(self.state, op.mailbox)
        if op.uidvalidity is None:
            box.uidvalidity = self._uidvalidity()
        elif op.uidvalidity != box.uidvalidity:
            if box.uidnext > 1 or op.uidvalidity <= self.state.past_names.get(box.name, 0):
                raise NotPermitted(box.name)
            box.uidvalidity = op.uidvalidity
            self.state.last_uidvalidity = max(self.state.last_uidvalidity, op.uidvalidity)
        box.uidnext = max(box.uidnext, op.uidnext)
        self._change(box)
        return OpResult(box.id, box.uidvalidity)

    # What they are made of

    def _change(self, box: Box) -> int:
        """The list's MODSEQ, which is now the mailbox's."""
        if not self._modseq:
            self.state.last_modseq += 1
            self._modseq = self.state.last_modseq
        box.modseq = self._modseq
        return self._modseq

    def _uidvalidity(self) -> int:
        self.state.last_uidvalidity = max(self._now_s, self.state.last_uidvalidity + 1)
        return self.state.last_uidvalidity

    def _find(self, name: str) -> Box | None:
        return next((box for box in self.state.boxes.values() if box.name == name), None)

    def _make(self, name: str, special_use: str, *, inherit: bool = True) -> Box:
        self._make_parents(name, inherit=inherit)
        self.state.last_mailbox += 1
        made = Box(MailboxId(self.state.last_mailbox), name, special_use, self._uidvalidity(), 0)
        self._change(made)
        above = self._find(name.rpartition("/")[0])
        made.grants = dict(above.grants) if above and inherit else {}
        self.state.boxes[made.id] = made
        return made

    def _make_parents(self, name: str, *, inherit: bool = True) -> None:
        for parent in parents(name):
            if not any(f"{box.name}/".startswith(f"{parent}/") for box in self.state.boxes.values()):
                self._make(parent, "", inherit=inherit)

    def _remember(self, box: Box) -> None:
        self.state.past_names[box.name] = max(self.state.past_names.get(box.name, 0), box.uidvalidity)

    def _email(self) -> int:
        self.state.last_email += 1
        return self.state.last_email

    def _add(self, box: Box, message: int, names: Sequence[str], email: int, pop3_uidl: str | None) -> int:
        uid, modseq, flags = box.uidnext, self._change(box), box.canonical(names)
        box.uidnext += 1
        box.learn(flags)
        box.entries[uid] = Entry(message, flags, modseq, modseq, email, self._now_s, pop3_uidl)
        box.changes.append((modseq, uid))
        return uid

    def _remove(self, box: Box, uids: Sequence[int]) -> None:
        for uid in uids:
            box.gone.append((self._change(box), uid, box.entries.pop(uid).added_modseq))


def _box(state: State, mailbox: MailboxId) -> Box:
    if mailbox not in state.boxes:
        raise NoSuchMailbox("gone")
    return state.boxes[mailbox]


def _is_kept(flag: str, kept: Sequence[str]) -> bool:
    return flag in kept or (ANY_KEYWORD in kept and not flag.startswith("\\"))


def _put_back(state: State) -> dict[int, Left]:
    """What can be put back, by message."""
    there = {entry.message for box in state.boxes.values() for entry in box.entries.values()}
    return {message: left for message, left in state.left.items() if not left.is_final and message not in there}


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
