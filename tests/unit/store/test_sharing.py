"""What is granted in mailboxes, and how those who are granted something find it."""

import sqlite3
from pathlib import Path

import pytest
import structlog

from mailward.model.errors import StorageError
from mailward.model.ids import AccountId
from mailward.store.account import EmbeddedAccount
from mailward.store.embedded import EmbeddedStore
from mailward.store.grants import MAX_GRANTEES
from mailward.store.ops import CreateMailbox, DeleteMailbox, RenameMailbox, SetRights
from mailward.store.refusals import NotPermitted
from support.storecheck import NOW_S
from support.stores import embedded

BOB = AccountId("bob")


@pytest.fixture
def bob(tmp_path: Path) -> EmbeddedAccount:
    return embedded(tmp_path).open(BOB)


def grants(store: EmbeddedAccount) -> dict[str, dict[str, str]]:
    names = {info.id: info.name for info in store.mailboxes()}
    return {names[mailbox]: dict(some) for mailbox, some in store.grants().items()}


def test_rights_are_added_taken_away_and_replaced_and_end_with_the_last(bob: EmbeddedAccount) -> None:
    junk = bob.mailbox("Junk").id
    bob.apply([SetRights(junk, "account:a1", "replace", "rl"), SetRights(junk, "anyone", "add", "l")])
    assert grants(bob) == {"Junk": {"account:a1": "lr", "anyone": "l"}}
    bob.apply([SetRights(junk, "account:a1", "add", "a"), SetRights(junk, "anyone", "remove", "l")])
    assert grants(bob) == {"Junk": {"account:a1": "lra"}}


def test_a_new_mailbox_has_the_grants_of_the_one_above_and_a_renamed_one_its_own(bob: EmbeddedAccount) -> None:
    bob.apply([CreateMailbox("work"), SetRights(bob.mailbox("INBOX").id, "anyone", "add", "l")])
    bob.apply([SetRights(bob.mailbox("work").id, "account:a1", "replace", "lr"), CreateMailbox("work/one/two")])
    assert grants(bob)["work/one/two"] == {"account:a1": "lr"}
    bob.apply([CreateMailbox("own"), RenameMailbox("own", "work/own"), RenameMailbox("work/one", "else")])
    assert "work/own" not in grants(bob)
    assert grants(bob)["else/two"] == {"account:a1": "lr"}


def test_t_imap_14_a_mailbox_is_made_without_the_grants_above_and_an_inbox_renamed_into_a_shared_one_keeps_its_own(
    bob: EmbeddedAccount,
) -> None:
    bob.apply([CreateMailbox("work"), SetRights(bob.mailbox("INBOX").id, "account:a2", "add", "l")])
    bob.apply([SetRights(bob.mailbox("work").id, "account:a1", "add", "lr")])
    bob.apply([CreateMailbox("work/private/more", inherit=False), RenameMailbox("INBOX", "work/old")])
    assert grants(bob) == {"INBOX": {"account:a2": "l"}, "work": {"account:a1": "lr"}, "work/old": {"account:a2": "l"}}


def test_the_grants_of_a_deleted_mailbox_are_not_those_of_the_next_of_its_name(bob: EmbeddedAccount) -> None:
    bob.apply([CreateMailbox("w2")])
    before = bob.mailbox("w2").id
    bob.apply([SetRights(before, "anyone", "add", "lr")])
    bob.apply([DeleteMailbox("w2"), CreateMailbox("w2")])
    assert bob.mailbox("w2").id != before
    assert grants(bob) == {}


def test_a_mailbox_has_so_many_grantees_and_no_more(bob: EmbeddedAccount) -> None:
    junk = bob.mailbox("Junk").id
    bob.apply([SetRights(junk, f"account:a{number}", "add", "l") for number in range(MAX_GRANTEES)])
    with pytest.raises(NotPermitted):
        bob.apply([SetRights(junk, "anyone", "add", "l")])
    bob.apply([SetRights(junk, "account:a1", "add", "r")])


def test_owners_are_found_by_every_process_and_forgotten_when_they_are_opened_again(tmp_path: Path) -> None:
    one, other = embedded(tmp_path), embedded(tmp_path)
    junk = one.open(BOB).mailbox("Junk").id
    assert other.sharing_with(["account:a1"]) == ()
    one.open(BOB).apply([SetRights(junk, "account:a1", "add", "l"), SetRights(junk, "group:staff", "add", "l")])
    assert other.sharing_with(["account:a2", "group:staff"]) == (BOB,)
    one.open(BOB).apply([SetRights(junk, "account:a1", "remove", "l")])
    embedded(tmp_path).open(BOB)
    assert other.sharing_with(["account:a1"]) == ()
    assert other.sharing_with(["group:staff"]) == (BOB,)


def share_all(store: EmbeddedStore) -> None:
    for name, grantee in (("alice", "account:bob"), ("bob", "anyone"), ("carol", "anyone"), ("dora", "")):
        account = store.open(AccountId(name))
        account.apply([SetRights(account.mailbox("Junk").id, grantee, "add", "l")] if grantee else [])


def test_a_lost_index_comes_back_as_accounts_are_opened(tmp_path: Path) -> None:
    store = embedded(tmp_path)
    share_all(store)
    store.close()
    for file in tmp_path.glob("sharing.sqlite*"):
        file.unlink()
    renewed = embedded(tmp_path)
    assert renewed.sharing_with(["anyone"]) == ()
    renewed.open(BOB)
    assert renewed.sharing_with(["anyone"]) == (BOB,)


@pytest.mark.parametrize("begin", [0, 4096], ids=["no database", "a damaged page"])
def test_t_q_13_a_damaged_index_is_set_aside_and_made_of_what_accounts_say(tmp_path: Path, begin: int) -> None:
    """By whoever finds it first; another process that has it open goes over to the new one."""
    store, other = embedded(tmp_path), embedded(tmp_path)
    share_all(store)
    assert other.sharing_with(["account:bob"]) == (AccountId("alice"),)
    if begin == 0:
        other.close()
    store.close()
    (tmp_path / "eve").mkdir()
    (tmp_path / "eve" / "index.sqlite").write_bytes(b"no database either")
    index = tmp_path / "sharing.sqlite"
    index.write_bytes(index.read_bytes()[:begin] + b"no database" * 1000)
    finder = embedded(tmp_path)
    with structlog.testing.capture_logs() as logs:
        assert finder.sharing_with(["anyone"]) == (BOB, AccountId("carol"))
    assert [line["event"] for line in logs] == ["index of shared mailboxes damaged, made anew"]
    assert (tmp_path / f"sharing.sqlite.damaged-{NOW_S:.0f}").exists()
    alice = finder.open(AccountId("alice"))
    alice.apply([SetRights(alice.mailbox("Junk").id, "anyone", "add", "l")])
    assert other.sharing_with(["anyone"]) == (AccountId("alice"), BOB, AccountId("carol"))
    other.close()
    finder.close()
    assert embedded(tmp_path).sharing_with(["account:bob"]) == (AccountId("alice"),)


def test_an_index_of_a_newer_release_is_left_alone_and_keeps_nobody_from_his_mail(tmp_path: Path) -> None:
    store = embedded(tmp_path)
    share_all(store)
    store.close()
    with sqlite3.connect(tmp_path / "sharing.sqlite") as connection:
        connection.execute("PRAGMA user_version = 2")
    newer = embedded(tmp_path)
    assert newer.open(BOB).mailbox("Junk").exists == 0
    with pytest.raises(StorageError, match="newer release"):
        newer.sharing_with(["anyone"])
    assert not [*tmp_path.glob("*.damaged-*")]
