"""How much an account may hold (RFC 9208): kept to by everything that stores, in one place."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailward.access.imap.carrying import key_of_moved
from mailward.app.moving.source import key_of
from mailward.disk import Disk
from mailward.model.ids import AccountId, MailboxId, Uid
from mailward.model.limits import NO_LIMITS, MailLimits
from mailward.store.account import EmbeddedAccount
from mailward.store.base import Quota
from mailward.store.embedded import EmbeddedStore
from mailward.store.ops import Append, Copy, Expunge
from mailward.store.quota import has_room
from mailward.store.refusals import OverQuota
from support.storecheck import RECEIVED_AT
from support.stores import ALICE, NoHints, append

BOB = AccountId("bob")


class Limited:
    """A store whose one limit can be changed."""

    def __init__(self, folder: Path, limits: MailLimits) -> None:
        self.limits = limits
        self.folder = folder
        self.store = EmbeddedStore(folder, Disk(), NoHints(), limits_of=self._limits_of)

    def _limits_of(self, account: AccountId) -> MailLimits:
        return self.limits if account == ALICE else NO_LIMITS

    def open(self) -> EmbeddedAccount:
        return self.store.open(ALICE)

    @property
    def pack_octets(self) -> int:
        return sum(path.stat().st_size for path in self.folder.rglob("*.pack"))


def test_what_would_be_too_much_is_refused_whole_and_not_even_written(tmp_path: Path) -> None:
    limited = Limited(tmp_path, MailLimits(octets=1000))
    store = limited.open()
    inbox = store.mailbox("INBOX").id
    store.apply([append(inbox, b"x" * 600)])
    written = limited.pack_octets
    with pytest.raises(OverQuota, match=r"may hold 1000 octets of mail and has 600; this would add 401$"):
        store.apply([append(inbox, b"x" * 300), append(inbox, b"x" * 101)])
    assert limited.pack_octets == written and store.quota() == Quota(600, 1, limited.limits)
    store.apply([append(inbox, b"x" * 400)])
    assert store.quota() == Quota(1000, 2, limited.limits)


def test_a_copy_counts_and_a_move_does_not(tmp_path: Path) -> None:
    store = Limited(tmp_path, MailLimits(messages=3)).open()
    inbox, trash = store.mailbox("INBOX").id, store.mailbox("Trash").id
    store.apply([append(inbox, b"%d" % n) for n in range(2)])
    with pytest.raises(OverQuota):
        store.apply([Copy(inbox, (Uid(1), Uid(2)), trash)])
    store.apply([Copy(inbox, (Uid(1), Uid(2)), trash, move=True)])
    store.apply([Copy(trash, (Uid(1),), inbox)])
    assert store.quota().messages == 3


def test_what_makes_room_in_the_same_list_may_use_it(tmp_path: Path) -> None:
    limited = Limited(tmp_path, MailLimits(octets=100))
    store = limited.open()
    inbox = store.mailbox("INBOX").id
    store.apply([append(inbox, b"x" * 90)])
    store.apply([append(inbox, b"x" * 80), Expunge(inbox, (Uid(1),))])
    assert store.quota().octets == 80
    written = limited.pack_octets
    with pytest.raises(OverQuota):
        store.apply([append(inbox, b"x" * 101), Expunge(inbox, (Uid(2), Uid(9)))])
    assert limited.pack_octets == written


def test_mail_is_delivered_until_a_tenth_beyond_the_limit(tmp_path: Path) -> None:
    store = Limited(tmp_path, MailLimits(octets=1000)).open()
    inbox = store.mailbox("INBOX").id
    store.apply([append(inbox, b"x" * 1000)])
    with pytest.raises(OverQuota):
        store.apply([append(inbox, b"x")])
    store.apply([append(inbox, b"x" * 100, "q1:0")])
    with pytest.raises(OverQuota, match=r"may hold 1000 octets of mail \(1100 at delivery\) and has 1100; this would add 1$"):
        store.apply([append(inbox, b"x", "q2:0")])
    (again,) = store.apply([append(inbox, b"x" * 100, "q1:0")])
    assert again.duplicate, "what is there already takes no room"


@pytest.mark.parametrize("key", [key_of_moved(BOB, 1, b"x", MailboxId(1)), key_of("imap", "bob", "INBOX", 1, 1)])
def test_what_is_moved_from_elsewhere_is_no_delivery_and_keeps_to_the_limit(tmp_path: Path, key: str) -> None:
    store = Limited(tmp_path, MailLimits(messages=10)).open()
    inbox = store.mailbox("INBOX").id
    store.apply([append(inbox, b"%d" % number) for number in range(10)])
    with pytest.raises(OverQuota):
        store.apply([append(inbox, b"x", key)])
    store.apply([append(inbox, b"x", "q1:0")])


def test_a_limit_below_what_there_is_takes_nothing_away_and_lets_nothing_in(tmp_path: Path) -> None:
    limited = Limited(tmp_path, NO_LIMITS)
    store = limited.open()
    inbox = store.mailbox("INBOX").id
    store.apply([append(inbox, b"x" * 500), append(inbox, b"x" * 500)])
    limited.limits = MailLimits(octets=100)
    with pytest.raises(OverQuota):
        store.apply([append(inbox, b"x", "q1:0")])
    store.apply([Append(inbox, b"x" * 400, RECEIVED_AT), Expunge(inbox, (Uid(1),))])
    assert store.quota().octets == 900


LIMIT, STEP = 100_000, 1000


@given(st.integers(0, LIMIT // STEP * 11 // 10 - 1), st.integers(1, STEP), st.integers(0, LIMIT * 2))
def test_t_relay_18_what_strangers_hear_of_room_tells_no_single_octet(steps: int, more: int, octets: int) -> None:
    """T-RELAY-18: whatever SIZE is asked, all that an account may hold within a step of its limit is answered the same."""
    held, other = (Quota(steps * STEP + within, 7, MailLimits(octets=LIMIT)) for within in (more, STEP))
    assert has_room(held, octets) is has_room(other, octets)
    left = LIMIT * 11 // 10 - held.octets
    assert not has_room(held, octets) or octets <= left, "nothing is let in that delivery would not store"
    assert has_room(held, octets) or octets + 2 * STEP > left, "and little is refused that it would"


def test_there_is_room_for_what_a_delivery_would_store(tmp_path: Path) -> None:
    limited = Limited(tmp_path, MailLimits(octets=1000, messages=3))
    assert limited.store.has_room(ALICE, 1100) and not limited.store.has_room(ALICE, 1101)
    assert not (tmp_path / ALICE).exists(), "asking makes no account"
    store = limited.open()
    inbox = store.mailbox("INBOX").id
    for number, octets in enumerate((600, 490, 10)):
        assert limited.store.has_room(ALICE, octets)
        store.apply([append(inbox, b"x" * octets, f"q{number}:0")])
    assert store.quota() == Quota(1100, 3, limited.limits)
    for octets in (0, 1):
        assert not limited.store.has_room(ALICE, octets)
    with pytest.raises(OverQuota):
        store.apply([append(inbox, b"x", "q3:0")])
    limited.limits = MailLimits(messages=3)
    assert not limited.store.has_room(ALICE, 0), "a tenth of three messages is none"
    limited.limits = NO_LIMITS
    assert limited.store.has_room(ALICE, 10**9)
