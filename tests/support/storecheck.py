"""What every message store must do: a model test that runs over any backend, beside the plain store of `memory_store`.

Lists of ops come from several writers; after each the backend must answer what the oracle answers, and what is true of any
mail store must hold, of the oracle too. `assert_whole` can be used alone.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Protocol

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from mailward.model.ids import AccountId, MailboxId, QueueId, Uid
from mailward.store.base import (
    FIRST_KEYWORD_BIT,
    SYSTEM_FLAGS,
    AccountStore,
    Column,
    Delta,
    EntryColumn,
    MailboxInfo,
    MailboxView,
)
from mailward.store.ops import (
    ANY_KEYWORD,
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
from mailward.store.refusals import StoreRefusal
from support.memory_store import MemoryStore

NOW_S = 1_800_000_000.0
"""The clock of a store in tests stands still: UIDVALIDITY must rise all the same."""
RECEIVED_AT = datetime(2026, 11, 2, 10, 0, tzinfo=UTC)
IDS = ("q1", "q10", "q2")
KEYS = ("q1:0", "q1:1", "q10:0")
"""Delivery keys; of one id there is none."""
FLAGS = ("\\Seen", "\\Deleted", "\\Flagged", "$Junk", "work", "WORK")
NAMES = ("INBOX", "Trash", "a", "a/b", "a/b/c", "b", "Räksmörgås")
NOWHERE = MailboxId(10**6)
COLUMNS: tuple[Column, ...] = ("size_octets", "header_octets", "internal_date", "headers", "envelope", "subject_key", "preview")
ENTRY_COLUMNS: tuple[EntryColumn, ...] = ("email", "saved_at", "pop3_uidl")
SCRIPTS = ("one", "two")
ANOTHER = AccountId("another")

WRITERS = 3
_MOMENTS = 5
"""So many of the latest are asked for deltas, and the first."""


class Backend(Protocol):
    """One account of a store of some kind. Every `open` is another writer, as a process of its own would be."""

    def open(self) -> AccountStore: ...

    def close(self) -> None: ...


def message(number: int) -> bytes:
    """A small message, different for each number."""
    return f"From: a@example.net\r\nSubject: number {number}\r\n\r\n{'x' * (number % 97)}\r\n".encode()


def flag_names(bits: int, keywords: tuple[str, ...]) -> frozenset[str]:
    """A flags value in words."""
    named = {1 << bit: name for bit, name in enumerate(SYSTEM_FLAGS)}
    named |= {1 << bit: name for bit, name in enumerate(keywords, FIRST_KEYWORD_BIT)}
    return frozenset(named[1 << bit] for bit in range(64) if bits >> bit & 1)


Entries = dict[int, tuple[frozenset[str], int]]
"""UID to (flags, MODSEQ)."""


def entries_of(view: MailboxView | Delta) -> Entries:
    rows = zip(view.uids, view.flags, view.modseqs, strict=True)
    return {uid: (flag_names(bits, view.keywords), modseq) for uid, bits, modseq in rows}


def follow(known: Entries, delta: Delta) -> Entries:
    """What a session knows after a delta. A UID that is gone must have been known."""
    after = dict(known)
    for uid in delta.gone:
        del after[uid]
    return after | entries_of(delta)


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


def assert_whole(store: AccountStore) -> None:
    """Every mailbox's view, and that its messages can be read and have the size that counts."""
    infos = store.mailboxes()
    quota = store.quota()
    assert (quota.octets, quota.messages) == (sum(info.size_octets for info in infos), sum(info.exists for info in infos))
    for info in infos:
        view = store.view(info.id)
        check_view(view)
        sizes = [len(store.read(number)) for number in view.messages]
        assert list(store.meta(view.messages, ("size_octets",))) == [(size,) for size in sizes]
        assert view.mailbox.size_octets == sum(sizes)


# Ops whose mailboxes are numbers of NAMES; a name that nobody has now stands for INBOX, the number behind them for NOWHERE.
_MAILBOXES = st.builds(MailboxId, st.integers(0, len(NAMES) - 1) | st.sampled_from([0, 0, 0, 0, 0, 0, len(NAMES)]))
_ACCOUNT = MailboxId(len(NAMES) + 1)
"""`SERVER`, for the ops that take it."""
_UIDS = st.builds(lambda picked: tuple(map(Uid, sorted(picked))), st.sets(st.integers(1, 12)))
_FLAGS = st.builds(tuple, st.sets(st.sampled_from(FLAGS)))
_NAMES = st.sampled_from(NAMES)
_SYSTEM_FLAGS = st.builds(tuple, st.sets(st.sampled_from(FLAGS[:3])))
_MODES = st.sampled_from(["add", "remove", "replace"])
_ENTRIES = st.builds(
    tuple, st.lists(st.tuples(st.sampled_from(["/private/comment", "/shared/a"]), st.none() | st.binary(max_size=3)), max_size=3)
)
_APPEND = st.builds(
    Append,
    _MAILBOXES,
    st.builds(message, st.integers(0, 999)),
    st.just(RECEIVED_AT),
    _FLAGS,
    st.none() | st.none() | st.sampled_from(KEYS),
    st.none() | st.just("uidl"),
    st.none() | st.none() | st.none() | st.builds(Uid, st.integers(8, 30)),
)
_OPS = st.one_of(
    _APPEND,
    _APPEND,
    st.builds(SetFlags, _MAILBOXES, _UIDS, _MODES, _FLAGS, st.none() | st.integers(0, 60)),
    st.builds(
        SetFlags, _MAILBOXES, _UIDS, _MODES, _SYSTEM_FLAGS, st.none(), st.sampled_from([("\\Seen",), ("\\Deleted", ANY_KEYWORD)])
    ),
    st.builds(Expunge, _MAILBOXES, _UIDS, st.sampled_from([False, False, True])),
    st.builds(Undelete, _MAILBOXES, st.builds(tuple, st.sets(st.integers(0, 9)))),
    st.builds(Copy, _MAILBOXES, _UIDS, _MAILBOXES, st.booleans()),
    _MAILBOXES.map(lambda number: Named(number, NAMES[number % len(NAMES)])),
    st.builds(CreateMailbox, _NAMES, st.sampled_from(["", "", "\\Junk", "\\All"]), st.booleans()),
    st.builds(DeleteMailbox, _NAMES, st.booleans()),
    st.builds(RenameMailbox, _NAMES, _NAMES),
    st.builds(Subscribe, _NAMES, st.booleans()),
    st.builds(Renumber, _MAILBOXES, st.none() | st.integers(1, 2_000_000_000), st.integers(1, 20)),
    st.builds(SetRights, _MAILBOXES, st.sampled_from(["account:a1", "anyone"]), _MODES, st.sampled_from(["", "lr", "ai", "ers"])),
    st.one_of(
        st.builds(SetSpecialUse, _MAILBOXES, st.sampled_from(["", "\\Junk", "\\All"])),
        st.builds(SetAnnotations, _MAILBOXES | st.just(_ACCOUNT), _ENTRIES, st.sampled_from(["", "", ANOTHER])),
    ),
    st.one_of(
        st.builds(PutScript, st.sampled_from(SCRIPTS), st.sampled_from([b"keep;", b"stop;"])),
        st.builds(RenameScript, st.sampled_from(SCRIPTS), st.sampled_from(SCRIPTS)),
        st.builds(DeleteScript, st.sampled_from(SCRIPTS)),
        st.builds(ActivateScript, st.sampled_from([*SCRIPTS, ""])),
    ),
)


@dataclass
class Moment:
    """What a session knew about a mailbox: enough to check that a delta brings it to the present."""

    modseq: int
    entries: Entries


class StoreMachine(RuleBasedStateMachine):
    """Random lists of ops by several writers. Subclasses say in `make_backend` over what."""

    def __init__(self) -> None:
        super().__init__()
        self.backend = self.make_backend()
        self.writers = [self.backend.open() for _ in range(WRITERS)]
        self.oracle = MemoryStore(now_s=lambda: NOW_S).open(AccountId("oracle"))
        self.turn = 0
        self.moments: dict[MailboxId, list[Moment]] = {}
        self.octets: dict[tuple[str, int, int], bytes] = {}
        self.gone: set[tuple[str, int, int]] = set()
        self.messages: dict[int, bytes] = {}
        self.emails: dict[int | str | None, bytes] = {}
        self.modseqs: dict[MailboxId, int] = {}
        self.last_modseq = 0

    def make_backend(self) -> Backend:
        raise NotImplementedError

    def teardown(self) -> None:
        self.backend.close()

    @property
    def store(self) -> AccountStore:
        """The writers look in turns, so each has missed some of what the others did."""
        self.turn += 1
        return self.writers[self.turn % WRITERS]

    @rule(writer=st.integers(0, WRITERS - 1), ops=st.lists(_OPS, min_size=1, max_size=4))
    def write(self, writer: int, ops: list[Op]) -> None:
        expected = outcome(self.oracle, [placed(op, self.oracle) for op in ops])
        found = outcome(self.writers[writer], [placed(op, self.writers[writer]) for op in ops])
        assert found == expected

    @rule(writer=st.integers(0, WRITERS - 1))
    def reopen(self, writer: int) -> None:
        self.writers[writer] = self.backend.open()

    @invariant()
    def the_store_is_as_the_oracle(self) -> None:
        store = self.store
        infos = store.mailboxes()
        assert infos == self.oracle.mailboxes()
        assert store.quota() == self.oracle.quota()
        assert [store.is_level(name) for name in NAMES] == [self.oracle.is_level(name) for name in NAMES]
        for info in infos:
            assert store.mailbox(info.name) == info
            for owner in ("", ANOTHER):
                assert list(store.annotations(info.id, owner).items()) == list(self.oracle.annotations(info.id, owner).items())
            view, expected = store.view(info.id), self.oracle.view(info.id)
            check_view(view)
            assert view.mailbox == info
            assert store.stamp() is not None and store.stamp() == view.stamp
            assert store.view_at_hand(info.name) == view
            assert (set(view.keywords), entries_of(view)) == (set(expected.keywords), entries_of(expected))
            octets = [store.read(number) for number in view.messages]
            assert octets == [self.oracle.read(number) for number in expected.messages] == list(store.bodies(view.messages))
            assert info.size_octets == sum(map(len, octets))
            assert list(store.meta(view.messages, COLUMNS)) == list(self.oracle.meta(expected.messages, COLUMNS))
            of_entries = [[*s.entry_meta(info.id, view.uids, ENTRY_COLUMNS)] for s in (store, self.oracle)]
            assert of_entries[0] == of_entries[1]
            self._check_emails(of_entries[0], octets)
            self.messages |= zip(view.messages, octets, strict=True)
            self._check_deltas(store, info, entries_of(view))
            self._check_uids(view, octets)

    @invariant()
    def what_was_delivered_is_found_wherever_it_lies(self) -> None:
        for id in IDS:
            found, expected = (sorted_places(store, QueueId(id)) for store in (self.store, self.oracle))
            assert found == expected
        assert self.store.known(KEYS) == self.oracle.known(KEYS)

    @invariant()
    def what_can_be_put_back_is_known(self) -> None:
        assert left_of(self.store) == left_of(self.oracle)

    @invariant()
    def scripts_are_as_the_oracle_has_them(self) -> None:
        assert self.store.scripts() == self.oracle.scripts()
        assert self.store.active_script() == self.oracle.active_script()
        assert [self.store.script(one.name) for one in self.oracle.scripts()] == list(self.oracle.scripts())

    @invariant()
    def grants_and_subscriptions_are_as_the_oracle_has_them(self) -> None:
        assert self.store.grants() == self.oracle.grants()
        assert self.store.subscriptions() == self.oracle.subscriptions()
        assert self.store.annotations(SERVER) == self.oracle.annotations(SERVER)

    @invariant()
    def what_was_expunged_a_moment_ago_can_be_read(self) -> None:
        assert list(self.store.bodies([*self.messages])) == [*self.messages.values()]

    @invariant()
    def every_change_has_a_modseq_above_all_that_the_account_had(self) -> None:
        now = {info.id: info.highest_modseq for info in self.store.mailboxes()}
        raised = [modseq for id, modseq in now.items() if modseq != self.modseqs.get(id)]
        assert min(raised, default=self.last_modseq + 1) > self.last_modseq
        self.modseqs, self.last_modseq = now, max(self.last_modseq, *raised, 0)

    def _check_deltas(self, store: AccountStore, info: MailboxInfo, now: Entries) -> None:
        """From whatever was known before, the delta leads to what is now; nothing twice and nothing of nobody."""
        known = self.moments.setdefault(info.id, [])
        for earlier in known:
            delta, expected = store.delta(info.id, earlier.modseq), self.oracle.delta(info.id, earlier.modseq)
            assert (delta.highest_modseq, follow(earlier.entries, delta)) == (info.highest_modseq, now)
            assert (entries_of(delta), delta.gone, delta.passed) == (entries_of(expected), expected.gone, expected.passed)
            assert all(earlier.modseq < changed <= info.highest_modseq for changed in delta.modseqs)
        if not known or known[-1].modseq != info.highest_modseq:
            assert not known or known[-1].modseq < info.highest_modseq
            known.append(Moment(info.highest_modseq, now))
            del known[1:-_MOMENTS]
        else:
            assert known[-1].entries == now  # every change has a MODSEQ of its own

    def _check_emails(self, found: list[tuple[int | str | None, ...] | None], octets: list[bytes]) -> None:
        """RFC 8474 section 5.1: one number stands for one message for ever."""
        assert all(row is not None for row in found)
        numbers = [row[0] for row in found if row is not None]
        assert all(self.emails.setdefault(number, text) == text for number, text in zip(numbers, octets, strict=True))

    def _check_uids(self, view: MailboxView, octets: list[bytes]) -> None:
        """T-IMAP-16: a name, a UIDVALIDITY and a UID stand for one message for ever, and what is gone never returns."""
        box = view.mailbox
        there = {(box.name, box.uidvalidity, uid): text for uid, text in zip(view.uids, octets, strict=True)}
        assert not self.gone & there.keys()
        assert all(self.octets.setdefault(place, text) == text for place, text in there.items())
        self.gone |= {(box.name, box.uidvalidity, uid) for uid in range(1, box.uidnext)} - there.keys()


def placed(op: Op, store: AccountStore) -> Op:
    """The op with its mailboxes' numbers in NAMES replaced by their ids, and places in `expunged` by what is there."""
    ids = {info.name: info.id for info in store.mailboxes()}

    def place(number: MailboxId) -> MailboxId:
        if number == _ACCOUNT:
            return SERVER
        return NOWHERE if number == len(NAMES) else ids.get(NAMES[number], ids["INBOX"])

    match op:
        case Append() | SetFlags() | Expunge() | Renumber() | SetRights() | SetSpecialUse() | SetAnnotations() | Named():
            return replace(op, mailbox=place(op.mailbox))
        case Undelete():
            left = store.expunged()
            messages = tuple(left[number].message if number < len(left) else 10**6 for number in op.messages)
            return replace(op, mailbox=place(op.mailbox), messages=messages)
        case Copy():
            return replace(op, mailbox=place(op.mailbox), target=place(op.target))
        case _:
            return op


def outcome(store: AccountStore, ops: list[Op]) -> tuple[OpResult, ...] | type[StoreRefusal]:
    """The results, or how the list was refused."""
    try:
        return store.apply(ops)
    except StoreRefusal as refusal:
        return type(refusal)


def left_of(store: AccountStore) -> list[tuple[bytes, str, frozenset[str], int]]:
    """What `expunged` says, with the octets in place of the store's own number."""
    return [(store.read(one.message), one.mailbox_name, frozenset(one.flags), one.expunged_at) for one in store.expunged()]


def sorted_places(store: AccountStore, id: QueueId) -> list[tuple[str, bytes, list[tuple[int, int, frozenset[str]]]]]:
    """What `delivered` says, with the octets in place of the store's own number."""
    return [
        (copy.delivery_key, store.read(copy.message), [(p.mailbox, p.uid, frozenset(p.flags)) for p in copy.places])
        for copy in store.delivered(id)
    ]
