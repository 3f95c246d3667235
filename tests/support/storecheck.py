"""What every message store must do, as a model test: the store beside a plain oracle, compared after each step.

A backend's test subclasses `StoreMachine` and says how to open and reopen its store; `check_account` can be used alone, too.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from mailward.model.ids import MailboxId, QueueId, Uid
from mailward.store.base import (
    FIRST_KEYWORD_BIT,
    SYSTEM_FLAGS,
    AccountStore,
    Append,
    Copy,
    CreateMailbox,
    DeleteMailbox,
    Delta,
    Expunge,
    MailboxExists,
    MailboxView,
    NoSuchMailbox,
    NotPermitted,
    OpResult,
    RenameMailbox,
    SetFlags,
    StoreRefusal,
    Subscribe,
)

RECEIVED_AT = datetime(2026, 11, 2, 10, 0, tzinfo=UTC)
IDS = ("q1", "q10", "q2")
KEYS = ("q1:0", "q1:1", "q10:0")
"""Delivery keys; of one id there is none."""
FLAGS = ("\\Seen", "\\Deleted", "\\Flagged", "$Junk", "work")
NAMES = ("INBOX", "Trash", "a", "a/b", "a/b/c", "b", "Räksmörgås")


def message(number: int) -> bytes:
    """A small message, different for each number."""
    return f"From: a@example.net\r\nSubject: number {number}\r\n\r\n{'x' * (number % 97)}\r\n".encode()


def flag_names(bits: int, keywords: tuple[str, ...]) -> frozenset[str]:
    """A flags value in words."""
    named = {1 << bit: name for bit, name in enumerate(SYSTEM_FLAGS)}
    named |= {1 << bit: name for bit, name in enumerate(keywords, FIRST_KEYWORD_BIT)}
    return frozenset(named[1 << bit] for bit in range(64) if bits >> bit & 1)


@dataclass
class OracleEntry:
    """One message in one mailbox."""

    octets: bytes
    flags: frozenset[str]
    modseq: int = 0
    email: int = 0


@dataclass
class OracleMailbox:
    """The plain truth about a mailbox. uids_given: every UID it ever gave."""

    id: MailboxId
    uidvalidity: int
    entries: dict[int, OracleEntry] = field(default_factory=dict)
    uids_given: set[int] = field(default_factory=set)


@dataclass
class Snapshot:
    """What a session knew about a mailbox: enough to check that a delta brings it to the present."""

    modseq: int
    entries: dict[int, tuple[frozenset[str], int]]


def entries_of(view: MailboxView) -> dict[int, tuple[frozenset[str], int]]:
    """UID to (flags, modseq)."""
    rows = zip(view.uids, view.flags, view.modseqs, strict=True)
    return {uid: (flag_names(bits, view.keywords), modseq) for uid, bits, modseq in rows}


def follow(known: dict[int, tuple[frozenset[str], int]], delta: Delta) -> dict[int, tuple[frozenset[str], int]]:
    """What a session knows after a delta. A UID that is gone must have been known."""
    after = dict(known)
    for uid in delta.gone:
        del after[uid]
    for uid, bits, modseq in zip(delta.uids, delta.flags, delta.modseqs, strict=True):
        after[uid] = (flag_names(bits, delta.keywords), modseq)
    return after


def check_view(view: MailboxView) -> None:
    """What is true of every view by itself: order, types, counters that equal a recount."""
    info = view.mailbox
    assert [a.typecode for a in (view.uids, view.flags, view.modseqs, view.messages)] == ["I", "Q", "Q", "Q"]
    assert len(view.uids) == len(view.flags) == len(view.modseqs) == len(view.messages) == info.exists
    assert list(view.uids) == sorted(set(view.uids))
    assert not view.uids or view.uids[-1] < info.uidnext
    assert info.unseen == sum(not flags & 1 for flags in view.flags)
    assert info.deleted == sum(bool(flags & 8) for flags in view.flags)
    assert info.highest_modseq >= 1 and max(view.modseqs, default=1) <= info.highest_modseq


def check_account(store: AccountStore) -> None:
    """Every mailbox's view, and that its messages can be read and have the size that counts."""
    for info in store.mailboxes():
        view = store.view(info.id)
        check_view(view)
        sizes = [len(store.read(number)) for number in view.messages]
        assert list(store.meta(view.messages, ("size_octets",))) == [(size,) for size in sizes]
        assert view.mailbox.size_octets == sum(sizes)


class StoreMachine(RuleBasedStateMachine):
    """Random lists of ops. Subclasses implement `open_store`; it is called again for `reopen` and must find the same mail."""

    def __init__(self) -> None:
        super().__init__()
        self.store: AccountStore = self.open_store()
        self.boxes: dict[str, OracleMailbox] = {
            info.name: OracleMailbox(info.id, info.uidvalidity) for info in self.store.mailboxes()
        }
        self.had_name: dict[str, list[tuple[MailboxId, int]]] = {n: [(b.id, b.uidvalidity)] for n, b in self.boxes.items()}
        self.snapshots: dict[MailboxId, list[Snapshot]] = {}
        self.keys: dict[str, tuple[int, ...]] = {}
        self.emails: set[int] = set()
        self.count = 0

    def open_store(self) -> AccountStore:
        raise NotImplementedError

    # ---- ops

    @rule(name=st.sampled_from(NAMES), flags=st.sets(st.sampled_from(FLAGS)), many=st.integers(1, 3))
    def append(self, name: str, flags: set[str], many: int) -> None:
        box = self._box(name)
        numbers = range(self.count, self.count + many)
        self.count += many
        ops = [Append(box.id, message(number), RECEIVED_AT, tuple(flags)) for number in numbers]
        results = self.store.apply(ops)
        for number, result in zip(numbers, results, strict=True):
            self._given(box, result.uids)
            assert (result.uidvalidity, len(result.uids)) == (box.uidvalidity, 1)
            box.entries[result.uids[0]] = OracleEntry(message(number), frozenset(flags))

    @rule(name=st.sampled_from(NAMES), key=st.sampled_from(KEYS))
    def deliver(self, name: str, key: str) -> None:
        """Exactly once: a delivery key counts one time in the account's life."""
        box = self._box(name)
        octets = message(1000 + KEYS.index(key))
        (result,) = self.store.apply([Append(box.id, octets, RECEIVED_AT, (), key)])
        assert result.duplicate == (key in self.keys)
        if result.duplicate:
            assert result.uids == self.keys[key]
        else:
            self._given(box, result.uids)
            box.entries[result.uids[0]] = OracleEntry(octets, frozenset())
            self.keys[key] = result.uids

    @rule(
        name=st.sampled_from(NAMES),
        mode=st.sampled_from(["add", "remove", "replace"]),
        flags=st.sets(st.sampled_from(FLAGS)),
        picked=st.sets(st.integers(1, 12)),
        since=st.none() | st.integers(0, 60),
    )
    def set_flags(self, name: str, mode: str, flags: set[str], picked: set[int], since: int | None) -> None:
        box = self._box(name)
        before = {uid: entry.modseq for uid, entry in box.entries.items()}
        uids = tuple(map(Uid, sorted(picked)))
        (result,) = self.store.apply([SetFlags(box.id, uids, mode, tuple(flags), since)])  # type: ignore[arg-type]
        there = [uid for uid in sorted(picked) if uid in box.entries]
        refused = [uid for uid in there if since is not None and before[uid] > since]
        assert list(result.refused) == refused
        assert list(result.uids) == [uid for uid in there if uid not in refused]
        for uid in result.uids:
            entry = box.entries[uid]
            entry.flags = {"add": entry.flags | flags, "remove": entry.flags - flags, "replace": frozenset(flags)}[mode]

    @rule(name=st.sampled_from(NAMES), picked=st.sets(st.integers(1, 12)))
    def expunge(self, name: str, picked: set[int]) -> None:
        box = self._box(name)
        (result,) = self.store.apply([Expunge(box.id, tuple(map(Uid, sorted(picked))))])
        assert list(result.uids) == [uid for uid in sorted(picked) if uid in box.entries]
        for uid in result.uids:
            del box.entries[uid]

    @rule(name=st.sampled_from(NAMES), into=st.sampled_from(NAMES), picked=st.sets(st.integers(1, 12)), move=st.booleans())
    def copy(self, name: str, into: str, picked: set[int], move: bool) -> None:
        source, destination = self._box(name), self._box(into)
        (result,) = self.store.apply([Copy(source.id, tuple(map(Uid, sorted(picked))), destination.id, move)])
        assert list(result.sources) == [uid for uid in sorted(picked) if uid in source.entries]
        self._given(destination, result.uids)
        for old, new in zip(result.sources, result.uids, strict=True):
            entry = source.entries[old]
            destination.entries[new] = OracleEntry(entry.octets, entry.flags, email=entry.email if move else 0)
            if move:
                del source.entries[old]

    @rule(name=st.sampled_from(NAMES))
    def create(self, name: str) -> None:
        if name in self.boxes:
            self._refused(MailboxExists, CreateMailbox(name))
        else:
            self._check_new(self.store.apply([CreateMailbox(name)]))

    @rule(name=st.sampled_from(NAMES))
    def delete(self, name: str) -> None:
        if name not in self.boxes:
            self._refused(NoSuchMailbox, DeleteMailbox(name))
        elif name == "INBOX" or any(other.startswith(f"{name}/") for other in self.boxes):
            self._refused(NotPermitted, DeleteMailbox(name))
        else:
            self.store.apply([DeleteMailbox(name)])
            gone = self.boxes.pop(name)
            self.snapshots.pop(gone.id, None)

    @rule(name=st.sampled_from(NAMES), new_name=st.sampled_from(NAMES))
    def rename(self, name: str, new_name: str) -> None:
        op = RenameMailbox(name, new_name)
        if name not in self.boxes:
            self._refused(NoSuchMailbox, op)
        elif new_name in self.boxes:
            self._refused(MailboxExists, op)
        elif new_name.startswith(f"{name}/") and name != "INBOX":
            self._refused(NotPermitted, op)
        else:
            (result,) = self.store.apply([op])
            if name == "INBOX":
                moved = OracleMailbox(result.mailbox, result.uidvalidity, {}, set())
                for old_uid, uid in zip(sorted(self.boxes[name].entries), range(1, 1000), strict=False):
                    moved.entries[uid] = self.boxes[name].entries[old_uid]
                    moved.uids_given.add(uid)
                self.boxes[name].entries.clear()
                self.boxes[new_name] = moved
            else:
                for old in [other for other in self.boxes if other == name or other.startswith(f"{name}/")]:
                    self.boxes[new_name + old[len(name) :]] = self.boxes.pop(old)
            self._check_new((result,))

    @rule(name=st.sampled_from(NAMES), subscribed=st.booleans())
    def subscribe(self, name: str, subscribed: bool) -> None:
        self.store.apply([Subscribe(name, subscribed)])
        assert all(info.subscribed == subscribed for info in self.store.mailboxes() if info.name == name)

    @rule(name=st.sampled_from(NAMES))
    def a_refused_list_changes_nothing(self, name: str) -> None:
        box = self._box(name)
        everything = tuple(map(Uid, sorted(box.entries)))
        before = self.store.mailboxes()
        self._refused(
            NoSuchMailbox,
            Append(box.id, message(1), RECEIVED_AT, (), "of a refused list"),
            SetFlags(box.id, everything, "add", ("\\Flagged",)),
            Expunge(box.id, everything),
            Append(MailboxId(10**6), message(1), RECEIVED_AT),
        )
        assert self.store.mailboxes() == before

    @rule()
    def reopen(self) -> None:
        self.store = self.open_store()

    # ---- what must hold

    @invariant()
    def the_store_is_as_the_oracle(self) -> None:
        infos = self.store.mailboxes()
        assert [info.name for info in infos] == sorted(self.boxes, key=lambda name: (name != "INBOX", name))
        for info in infos:
            assert self.store.mailbox(info.name) == info
            box = self.boxes[info.name]
            assert (info.id, info.uidvalidity) == (box.id, box.uidvalidity)
            view = self.store.view(info.id)
            check_view(view)
            assert view.mailbox == info
            found = entries_of(view)
            assert {uid: flags for uid, (flags, _) in found.items()} == {uid: e.flags for uid, e in box.entries.items()}
            octets = [box.entries[uid].octets for uid in view.uids]
            assert [self.store.read(number) for number in view.messages] == octets
            assert info.size_octets == sum(map(len, octets))
            for uid, (_, modseq) in found.items():
                assert modseq >= box.entries[uid].modseq
                box.entries[uid].modseq = modseq
            self._check_deltas(info.id, info.highest_modseq, found)

    @invariant()
    def an_email_keeps_its_number_wherever_it_is_moved(self) -> None:
        """RFC 8474 section 5.1; a number is given once in the account's life."""
        there = [(box.id, uid, entry) for box in self.boxes.values() for uid, entry in sorted(box.entries.items())]
        for mailbox, uid, entry in there:
            (row,) = self.store.entry_meta(mailbox, (uid,), ("email",))
            assert row is not None and isinstance(row[0], int)
            if not entry.email:
                assert row[0] not in self.emails
                entry.email = row[0]
                self.emails.add(row[0])
            assert entry.email == row[0]

    @invariant()
    def what_was_delivered_is_found_wherever_it_lies(self) -> None:
        found = [copy for id in IDS for copy in self.store.delivered(QueueId(id))]
        assert [copy.delivery_key for copy in found] == [key for key in KEYS if key in self.keys]
        for copy in found:
            octets = message(1000 + KEYS.index(copy.delivery_key))
            lies = {(b.id, uid): e.flags for b in self.boxes.values() for uid, e in b.entries.items() if e.octets == octets}
            assert {(place.mailbox, place.uid): frozenset(place.flags) for place in copy.places} == lies
            assert self.store.read(copy.message) == octets

    def _check_deltas(self, mailbox: MailboxId, modseq: int, now: dict[int, tuple[frozenset[str], int]]) -> None:
        """From whatever was known before, the delta leads to what is now; nothing twice and nothing of nobody."""
        snapshots = self.snapshots.setdefault(mailbox, [])
        for earlier in snapshots:
            delta = self.store.delta(mailbox, earlier.modseq)
            assert (delta.highest_modseq, follow(earlier.entries, delta)) == (modseq, now)
            assert all(earlier.modseq < changed <= modseq for changed in delta.modseqs)
        if not snapshots or snapshots[-1].modseq != modseq:
            assert not snapshots or snapshots[-1].modseq < modseq
            snapshots.append(Snapshot(modseq, now))
        else:
            assert snapshots[-1].entries == now  # every change has a MODSEQ of its own

    # ---- helpers

    def _box(self, name: str) -> OracleMailbox:
        if name not in self.boxes:
            name = "INBOX"
        return self.boxes[name]

    def _given(self, box: OracleMailbox, uids: tuple[int, ...]) -> None:
        """T-IMAP-16: a UID is higher than every one given before under this UIDVALIDITY."""
        for uid in uids:
            assert uid > max(box.uids_given, default=0)
            box.uids_given.add(uid)

    def _check_new(self, results: tuple[OpResult, ...]) -> None:
        """T-IMAP-16: a name that has another mailbox now has a UIDVALIDITY higher than all it had before."""
        for info in self.store.mailboxes():
            known = self.boxes.get(info.name)
            if known is None:
                known = self.boxes[info.name] = OracleMailbox(info.id, info.uidvalidity)
            known.uidvalidity = info.uidvalidity
            had = self.had_name.setdefault(info.name, [])
            if not had or had[-1] != (info.id, info.uidvalidity):
                assert info.uidvalidity > max((before for _, before in had), default=0)
                had.append((info.id, info.uidvalidity))
        assert all(result.mailbox in {info.id for info in self.store.mailboxes()} for result in results)

    def _refused(self, refusal: type[StoreRefusal], *ops: object) -> None:
        try:
            self.store.apply(ops)  # type: ignore[arg-type]
        except refusal:
            return
        raise AssertionError(f"{ops} was not refused")
