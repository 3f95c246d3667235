"""NOTIFY of mailboxes that others share (RFC 5465 with RFC 4314): what is told, and what nobody hears who may not."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import structlog

from mailward.access.imap import overview
from mailward.access.imap.commands import notify
from mailward.access.imap.reach import Reach, Reached, Standing
from mailward.model.ids import AccountId, Uid
from mailward.store.ops import Append, CreateMailbox, RenameMailbox, SetFlags, SetRights
from support.imap import Client, settle
from support.sharing import Town
from support.storecheck import RECEIVED_AT
from support.stores import embedded

MAIL = b"Subject: news\r\n\r\nbody\r\n"
ALICE = "Other Users/alice@example.test"
EVERYTHING = "(MessageNew MessageExpunge FlagChange MailboxName SubscriptionChange)"


@pytest.fixture(autouse=True)
def without_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notify, "PAUSE_S", 0.0)


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    made = Town(tmp_path)
    for mailbox in ("Work", "Plans", "Private"):
        made.store("alice").apply([CreateMailbox(mailbox)])
    grant(made, "Work", "lr")
    grant(made, "Plans", "l")
    yield made
    made.directory.close()


def grant(town: Town, mailbox: str, rights: str, owner: str = "alice") -> None:
    """To bob, in the owner's mailbox."""
    store = town.store(owner)
    store.apply([SetRights(store.mailbox(mailbox).id, f"account:{town.ids['bob']}", "replace", rights)])


def arrives(town: Town, *mailboxes: str) -> None:
    store = town.store("alice")
    store.apply([Append(store.mailbox(mailbox).id, MAIL, RECEIVED_AT) for mailbox in mailboxes])


async def waiting(town: Town, command: str) -> Client:
    bob = await town.log_in("bob")
    await bob.ok(command)
    await settle(bob)
    return bob


async def test_mail_in_a_mailbox_that_may_be_read_is_told_and_no_other(town: Town) -> None:
    bob = await waiting(town, f'NOTIFY SET (SUBTREE "Other Users" {EVERYTHING})')
    arrives(town, "Private", "Plans")
    arrives(town, "Work")
    assert (await bob.line()).startswith(b'* STATUS "%b/Work" (MESSAGES 1 UIDNEXT 2 UIDVALIDITY ' % ALICE.encode())
    grant(town, "Plans", "lr")
    await settle(bob)
    arrives(town, "Plans")
    assert (await bob.line()).startswith(b'* STATUS "%b/Plans" (MESSAGES 2 UIDNEXT 3 ' % ALICE.encode())
    await bob.close()


async def test_t_imap_14_a_mailbox_that_is_shared_no_longer_is_one_that_is_gone(town: Town) -> None:
    bob = await waiting(town, f'NOTIFY SET (SUBTREE "{ALICE}" (MessageNew MessageExpunge MailboxName))')
    grant(town, "Private", "lr")
    assert await bob.line() == b'* LIST () "/" "%b/Private"' % ALICE.encode()
    await settle(bob)
    town.store("alice").apply([RenameMailbox("Private", "Public")])
    assert await bob.line() == b'* LIST () "/" "%b/Public" ("OLDNAME" ("%b/Private"))' % ((ALICE.encode(),) * 2)
    await settle(bob)
    grant(town, "Public", "")
    assert await bob.line() == b'* LIST (\\NonExistent) "/" "%b/Public"' % ALICE.encode()
    await settle(bob)
    arrives(town, "Public")
    grant(town, "Work", "")
    assert await bob.line() == b'* LIST (\\NonExistent) "/" "%b/Work"' % ALICE.encode()
    await bob.close()


async def test_mailboxes_of_others_that_are_subscribed_are_told_of(town: Town) -> None:
    bob = await waiting(town, "NOTIFY SET (SUBSCRIBED (MessageNew MessageExpunge MailboxName))")
    arrives(town, "Work")
    await bob.ok(f'SUBSCRIBE "{ALICE}/Work"')
    assert await bob.line() == b'* LIST () "/" "%b/Work"' % ALICE.encode()
    arrives(town, "Work")
    assert (await bob.line()).startswith(b'* STATUS "%b/Work" (MESSAGES 2 ' % ALICE.encode())
    await bob.close()


async def test_what_happens_before_an_owner_is_heard_of_is_told(town: Town) -> None:
    """By another process, whose hint nobody here waited for yet."""
    arrives(town, "Work")
    elsewhere = embedded(town.office.folder).open(town.ids["alice"])
    watch = town.office.desk.watch

    def watch_late(account: AccountId, callback: Callable[[], None]) -> Callable[[], None]:
        if account == town.ids["alice"]:
            elsewhere.apply([SetFlags(elsewhere.mailbox("Work").id, (Uid(1),), "add", ("\\Seen",))])
        return watch(account, callback)

    town.office.desk = replace(town.office.desk, watch=watch_late)
    bob = await town.log_in("bob")
    told = await bob.ok(f'NOTIFY SET STATUS (SUBTREE "{ALICE}" {EVERYTHING})')
    assert [b"UNSEEN 0" in line for line in told if b"/Work" in line] == [True]
    await bob.close()
    elsewhere.rest()


async def test_the_selected_mailbox_of_somebody_else_is_told_of_once(town: Town) -> None:
    bob = await town.log_in("bob")
    await bob.ok(f'SELECT "{ALICE}/Work"')
    await bob.ok(f'NOTIFY SET (SELECTED (MessageNew MessageExpunge)) (MAILBOXES "{ALICE}/Work" (MessageNew MessageExpunge))')
    await settle(bob)
    arrives(town, "Work")
    assert await bob.line() == b"* 1 EXISTS"
    await settle(bob)
    assert not any(b"STATUS" in line for line in await bob.ok("NOOP"))
    await bob.ok("UNSELECT")
    await settle(bob)
    arrives(town, "Work")
    assert (await bob.line()).startswith(b'* STATUS "%b/Work" (MESSAGES 2 ' % ALICE.encode())
    await bob.close()


async def test_an_owner_is_watched_while_his_mailboxes_are_asked_of(town: Town) -> None:
    bob = await town.log_in("bob")
    for asked, watched in (
        (f"(SUBTREE Work {EVERYTHING}) (PERSONAL {EVERYTHING})", 0),
        (f'(SUBTREE "{ALICE}" {EVERYTHING})', 1),
        (f"(SUBSCRIBED {EVERYTHING})", 0),
        (f'(MAILBOXES ("{ALICE}/Work") {EVERYTHING})', 1),
    ):
        await bob.ok(f"NOTIFY SET {asked}")
        assert town.office.hints.watching(town.ids["alice"]) == watched
    await bob.ok("NOTIFY NONE")
    assert town.office.hints.watching(town.ids["alice"]) == 0
    await bob.ok(f'NOTIFY SET (SUBTREE "{ALICE}" {EVERYTHING})')
    await bob.close()
    assert town.office.hints.watching(town.ids["alice"]) == 0


async def test_t_imap_17_a_change_of_one_owner_has_no_others_mailboxes_read(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    grant(town, "INBOX", "lr", owner="carol")
    store = town.store("carol")
    store.apply([CreateMailbox("Late")])
    store.apply([SetRights(store.mailbox("Late").id, "group:late", "replace", "lr")])
    owners, shared_by = list[AccountId](), Reach.shared_by

    def noted(reach: Reach, owner: AccountId, level: str, standing: Standing) -> list[Reached]:
        owners.append(owner)
        return shared_by(reach, owner, level, standing)

    monkeypatch.setattr(Reach, "shared_by", noted)
    bob = await waiting(town, f'NOTIFY SET (SUBTREE "Other Users" {EVERYTHING})')
    assert {*owners} == {town.ids["alice"], town.ids["carol"]}
    owners.clear()
    arrives(town, "Work")
    assert (await bob.line()).startswith(b'* STATUS "%b/Work" (MESSAGES 1 ' % ALICE.encode())
    await settle(bob)
    assert {*owners} == {town.ids["alice"]}
    town.directory.add_to_group("late", [town.ids["bob"]])  # who is more now may see more of others, too
    arrives(town, "Work")
    assert b'* LIST () "/" "Other Users/carol@example.test/Late"' in [await bob.line() for _ in range(2)]
    await bob.close()


async def test_t_imap_17_looks_at_others_mailboxes_have_a_pause_between_them(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    looks, look = list[object](), overview.Overview.look

    def noted(view: overview.Overview, heard: Collection[AccountId]) -> overview.Look:
        looks.append(heard)
        return look(view, heard)

    monkeypatch.setattr(overview.Overview, "look", noted)
    monkeypatch.setattr(notify, "PAUSE_S", 3600.0)
    bob = await waiting(town, f'NOTIFY SET (SUBTREE "{ALICE}" {EVERYTHING})')
    looks.clear()
    arrives(town, "Work")
    assert (await bob.line()).startswith(b'* STATUS "%b/Work" (MESSAGES 1 ' % ALICE.encode()), "the first is told at once"
    await settle(bob)
    for _ in range(3):
        arrives(town, "Work")
        assert await bob.ok("NOOP") == []
    assert len(looks) == 1
    await bob.close()


async def test_what_happens_in_the_pause_is_told_behind_it(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notify, "PAUSE_S", 0.2)
    bob = await waiting(town, f'NOTIFY SET (SUBTREE "{ALICE}" {EVERYTHING})')
    for count in (1, 2, 3):
        arrives(town, "Work")
        assert (await bob.line()).startswith(b'* STATUS "%b/Work" (MESSAGES %d ' % (ALICE.encode(), count))
    await bob.close()


async def test_t_imap_17_an_owner_with_too_many_mailboxes_is_left_out_and_nobody_else(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    bob = await waiting(town, f'NOTIFY SET (PERSONAL {EVERYTHING}) (SUBTREE "Other Users" {EVERYTHING})')
    monkeypatch.setattr(overview, "MAX_MAILBOXES", len(town.store("bob").mailboxes()) + 2)
    grant(town, "INBOX", "lr", owner="carol")
    with structlog.testing.capture_logs() as logs:
        town.store("bob").apply([Append(town.store("bob").mailbox("INBOX").id, MAIL, RECEIVED_AT)])
        assert (await bob.line()).startswith(b'* STATUS "INBOX" ')
        await settle(bob)
        arrives(town, "Work")
        assert (await bob.line()).startswith(b'* STATUS "%b/Work" ' % ALICE.encode())
    assert [one["left_out"] for one in logs if one["event"] == "too many mailboxes to tell of"] == [town.ids["carol"]]
    grant(town, "Private", "lr")  # alice, too, has too many now
    town.store("carol").apply([SetFlags(town.store("carol").mailbox("INBOX").id, (), "add", ("\\Seen",))])
    await settle(bob)
    assert not any(b"NonExistent" in line for line in await bob.ok("NOOP")), "they are still there"
    town.store("bob").apply([Append(town.store("bob").mailbox("INBOX").id, MAIL, RECEIVED_AT)])
    while not (line := await bob.line()).startswith(b'* STATUS "INBOX" (MESSAGES 2 '):
        assert line and b"NonExistent" not in line
    await bob.close()
