"""Several processes at one account of the embedded store: each change has one winner, and who reads meanwhile is told no lie."""

import os
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from mailward.model.ids import MailboxId, Uid
from mailward.store.account import EmbeddedAccount
from mailward.store.base import AccountStore
from mailward.store.ops import Copy, CreateMailbox, DeleteMailbox, Expunge, RenameMailbox, SetFlags
from mailward.store.refusals import NoSuchMailbox
from support.storecheck import assert_whole, entries_of, follow, message
from support.stores import account, append

PROCESSES = 4
MESSAGES = 40


def together(folder: Path, *works: Callable[[AccountStore], object]) -> list[str]:
    """What each of these says, in processes that begin at the same moment, each with a store of its own."""
    go, their_go = os.pipe()
    children = []
    for work in works:
        said, saying = os.pipe()
        child = os.fork()
        if child == 0:
            text = "failed"
            try:
                os.close(their_go)
                store = account(folder)
                os.read(go, 1)  # until it is closed
                text = str(work(store))
            except BaseException as error:
                text = f"{type(error).__name__}: {error}"
            finally:
                os.write(saying, text.encode()[:60_000])
                os._exit(0)
        os.close(saying)
        children.append((child, said))
    os.close(go)
    os.close(their_go)
    texts = []
    for child, said in children:
        with os.fdopen(said) as opened:
            texts.append(opened.read())
        os.waitpid(child, 0)
    return texts


@pytest.fixture
def filled(tmp_path: Path) -> EmbeddedAccount:
    """Alice's INBOX with messages; nobody has it open."""
    store = account(tmp_path)
    store.apply([append(inbox(store), message(number)) for number in range(MESSAGES)])
    store.rest()
    return store


def inbox(store: AccountStore) -> MailboxId:
    return store.mailbox("INBOX").id


def test_of_all_who_store_unchangedsince_one_wins_each_message(filled: EmbeddedAccount, tmp_path: Path) -> None:
    since = filled.mailbox("INBOX").highest_modseq
    filled.rest()

    def claim(name: str) -> Callable[[AccountStore], str]:
        def work(store: AccountStore) -> str:
            won: list[int] = []
            for uid in range(1, MESSAGES + 1):
                (result,) = store.apply([SetFlags(inbox(store), (Uid(uid),), "add", (name,), since)])
                won += result.uids
            return " ".join(map(str, won))

        return work

    won = [[*map(int, text.split())] for text in together(tmp_path, *(claim(f"$p{number}") for number in range(PROCESSES)))]
    assert sorted(uid for uids in won for uid in uids) == [*range(1, MESSAGES + 1)]
    found = entries_of(filled.view(inbox(filled)))
    assert all(found[uid][0] == {f"$p{number}"} for number, uids in enumerate(won) for uid in uids)
    assert_whole(filled)


def _watch(store: AccountStore) -> str:
    """Follow a mailbox by deltas until it is empty: what is known at each moment is what a fresh view has."""
    view = store.view(inbox(store))
    known, modseq = entries_of(view), view.mailbox.highest_modseq
    while known:
        again = store.view(inbox(store))
        if store.stamp() == view.stamp is not None:
            assert again.mailbox == view.mailbox, "something was committed that the stamp does not tell of"
        delta = store.delta(inbox(store), modseq)
        assert delta.highest_modseq >= modseq
        known, modseq = follow(known, delta), delta.highest_modseq
        fresh = view = store.view(inbox(store))
        if fresh.mailbox.highest_modseq == modseq:
            assert entries_of(fresh) == known
        assert all(octets in _TEXTS for octets in store.bodies(fresh.messages)), "expunged while it is fetched"
    return "empty"


_TEXTS = {message(number) for number in range(MESSAGES)}


def _expunge(store: AccountStore) -> str:
    return " ".join(str(uid) for uid in _each(store, lambda box, uid: store.apply([Expunge(box, (uid,))])[0].uids))


def _move(store: AccountStore) -> str:
    trash = store.mailbox("Trash").id
    return " ".join(str(uid) for uid in _each(store, lambda box, uid: store.apply([Copy(box, (uid,), trash, True)])[0].sources))


def _each(store: AccountStore, take: Callable[[MailboxId, Uid], Sequence[int]]) -> list[int]:
    """What was taken, the last message first ("MOVE *") until the mailbox is empty, and then once more."""
    taken: list[int] = []
    while uids := store.view(inbox(store)).uids:
        taken += take(inbox(store), Uid(uids[-1]))
    assert not take(inbox(store), Uid(1))
    return taken


def test_t_imap_16_expunge_and_move_of_the_last_message_while_it_is_read(filled: EmbeddedAccount, tmp_path: Path) -> None:
    expunged, moved, other, *watched = together(tmp_path, _expunge, _move, _move, _watch, _watch)
    assert watched == ["empty", "empty"]
    assert sorted(map(int, f"{expunged} {moved} {other}".split())) == [*range(1, MESSAGES + 1)], (expunged, moved, other)
    assert filled.mailbox("Trash").exists == len(moved.split()) + len(other.split())
    assert_whole(filled)


def test_copies_to_itself_by_several_each_come_once_and_end(filled: EmbeddedAccount, tmp_path: Path) -> None:
    def copy_all(store: AccountStore) -> str:
        uids = tuple(map(Uid, range(1, MESSAGES + 1)))
        (result,) = store.apply([Copy(inbox(store), uids, inbox(store))])
        return " ".join(map(str, result.uids))

    given = [int(uid) for text in together(tmp_path, *[copy_all] * PROCESSES) for uid in text.split()]
    assert sorted(given) == [*range(MESSAGES + 1, MESSAGES * (PROCESSES + 1) + 1)], "no UID is given twice"
    assert filled.mailbox("INBOX").exists == MESSAGES * (PROCESSES + 1)
    assert_whole(filled)


def test_t_imap_16_a_mailbox_that_is_made_renamed_and_deleted_while_others_use_it(
    filled: EmbeddedAccount, tmp_path: Path
) -> None:
    """A name, a UIDVALIDITY and a UID stand for one message for all who were given them."""

    def remake(store: AccountStore) -> str:
        for _ in range(10):
            store.apply([CreateMailbox("a")])
            store.apply([RenameMailbox("a", "b")])
            store.apply([DeleteMailbox("b")])
        return ""

    def fill(first: int) -> Callable[[AccountStore], str]:
        def work(store: AccountStore) -> str:
            given: list[str] = []
            for number in range(first, first + MESSAGES):
                for name in ("a", "b"):
                    try:
                        (result,) = store.apply([append(store.mailbox(name).id, message(number))])
                        given += [f"{result.uidvalidity}/{uid}" for uid in result.uids]
                        store.view(result.mailbox)
                    except NoSuchMailbox:
                        continue
            return " ".join(given)

        return work

    remade, *filling = together(tmp_path, remake, fill(0), fill(100))
    assert remade == "" and not any("rror" in text for text in filling), (remade, filling)
    assert all(times == 1 for times in Counter(" ".join(filling).split()).values())
    assert_whole(filled)
