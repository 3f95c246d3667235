"""How mailboxes that are shared are named, listed, made and renamed (RFC 4314 section 4, RFC 2342)."""

import pytest

from mailward.access.imap.reach import Reach
from mailward.store.ops import CreateMailbox, DeleteMailbox, RenameMailbox, SetRights
from support.sharing import BOX, Town, sessions, work


async def test_what_is_shared_is_listed_below_other_users(town: Town) -> None:
    work(town, "lr")
    work(town, "l", mailbox="A/B")
    work(town, "r", mailbox="Hidden")
    async with sessions(town, "bob", "carol") as (bob, carol):
        assert await bob.ok("NAMESPACE") == [b'* NAMESPACE (("" "/")) (("Other Users/" "/")) NIL']
        listed = await bob.ok('LIST "" "Other Users*" RETURN (MYRIGHTS STATUS (MESSAGES))')
        assert listed == [
            b'* LIST (\\HasChildren \\Noselect) "/" "Other Users"',
            b'* LIST (\\HasChildren \\Noselect) "/" "Other Users/alice@example.test"',
            b'* LIST (\\HasChildren \\Noselect) "/" "Other Users/alice@example.test/A"',
            b'* LIST (\\HasNoChildren) "/" "Other Users/alice@example.test/A/B"',
            b'* MYRIGHTS "Other Users/alice@example.test/A/B" l',
            b'* LIST (\\HasNoChildren) "/" "Other Users/alice@example.test/Work"',
            b'* MYRIGHTS "Other Users/alice@example.test/Work" lr',
            b'* STATUS "Other Users/alice@example.test/Work" (MESSAGES 2)',
        ]
        assert await carol.ok('LIST "" "Other*"') == []


async def test_subscriptions_are_the_subscribers_and_special_uses_the_owners(town: Town) -> None:
    store = town.store("alice")
    store.apply([SetRights(store.mailbox("Sent").id, f"account:{town.ids['bob']}", "replace", "lr")])
    async with sessions(town, "alice", "bob") as (alice, bob):
        await alice.ok("UNSUBSCRIBE Drafts")
        name = '"Other Users/alice@example.test/Sent"'
        assert await bob.ok(f'LIST (SUBSCRIBED) "" {name}') == []
        await bob.ok(f"SUBSCRIBE {name}")
        assert await bob.ok(f'LIST (SUBSCRIBED) "" {name}') == [f'* LIST (\\HasNoChildren \\Subscribed) "/" {name}'.encode()]
        assert await bob.ok(f'LSUB "" {name}') == [f'* LSUB () "/" {name}'.encode()]
        store.apply([SetRights(store.mailbox("Sent").id, f"account:{town.ids['bob']}", "replace", "")])
        assert await bob.ok(f'LSUB "" {name}') == []


async def test_a_mailbox_made_below_a_shared_one_is_the_owners_and_shared_alike(town: Town) -> None:
    work(town, "lrkx")
    async with sessions(town, "bob") as (bob,):
        (tagged,) = await bob.command(f'CREATE {BOX[:-1]}/New"')
        assert tagged.endswith(f"-{town.ids['alice']})] Created".encode())
        assert town.store("alice").mailbox("Work/New").exists == 0
        assert await bob.ok(f'MYRIGHTS {BOX[:-1]}/New"') == [f'* MYRIGHTS {BOX[:-1]}/New" lrkxc'.encode()]
        await bob.ok(f'RENAME {BOX[:-1]}/New" {BOX[:-1]}/Old"')
        for elsewhere in ("Mine", '"Other Users/carol@example.test/x"', '"Other Users/alice@example.test/Top"', '"Other Users"'):
            assert (await bob.command(f'RENAME {BOX[:-1]}/Old" {elsewhere}'))[-1].startswith(b"NO ")
            assert elsewhere == "Mine" or (await bob.command(f"CREATE {elsewhere}"))[-1].startswith(b"NO [NOPERM]")
        await bob.ok(f'DELETE {BOX[:-1]}/Old"')


async def test_t_imap_14_who_makes_a_mailbox_brings_no_deleted_one_above_it_back(town: Town) -> None:
    """What is below a deleted mailbox stays shared, and its level is nobody's to fill."""
    work(town, "lrk", mailbox="Work/A")
    async with sessions(town, "alice", "bob") as (alice, bob):
        await alice.ok("DELETE Work")
        await bob.ok(f'CREATE {BOX[:-1]}/A/B"')
        assert (await bob.command(f'CREATE {BOX[:-1]}/C"'))[-1].startswith(b"NO [NOPERM]")
        assert (await bob.command(f"CREATE {BOX}"))[-1].startswith(b"NO [NOPERM]")
        assert await alice.ok('LIST "" Work*') == [
            b'* LIST (\\HasChildren \\Noselect) "/" "Work"',
            b'* LIST (\\HasChildren) "/" "Work/A"',
            b'* LIST (\\HasNoChildren) "/" "Work/A/B"',
        ]


async def test_t_imap_14_what_is_hidden_is_no_place_to_make_a_mailbox(town: Town) -> None:
    work(town, "lrkx")
    work(town, "lrkx", mailbox="Work/Seen")
    work(town, "", mailbox="Work/Hidden")
    work(town, "p", mailbox="Work/Post")
    async with sessions(town, "bob") as (bob,):
        answers = set()
        for name in ("Work/Hidden", "Work/Post", "Work/Hidden/Below", "Nowhere/New", "Drafts", "Sent/New"):
            for command in ("CREATE", f'RENAME {BOX[:-1]}/Seen"'):
                answers.add((await bob.command(f'{command} "Other Users/alice@example.test/{name}"'))[-1])
        assert answers == {b"NO [NOPERM] You cannot make mailboxes there"}
        for command in ("CREATE", f"RENAME {BOX}"):
            told = (await bob.command(f'{command} {BOX[:-1]}/Seen"'))[-1]
            assert told == b"NO [ALREADYEXISTS] The mailbox Other Users/alice@example.test/Work/Seen exists"


async def test_renaming_needs_the_right_to_all_that_is_moved_along(town: Town) -> None:
    work(town, "lxk")
    work(town, "l", mailbox="Work/Private")
    work(town, "lk", mailbox="Else")
    async with sessions(town, "bob") as (bob,):
        other = '"Other Users/alice@example.test/Else/Work"'
        assert (await bob.command(f"RENAME {BOX} {other}"))[-1].startswith(b"NO [NOPERM]")
        work(town, "x", mailbox="Work/Private")
        await bob.ok(f"RENAME {BOX} {other}")
    store = town.store("alice")
    assert store.grants()[store.mailbox("Else/Work/Private").id] == {f"account:{town.ids['bob']}": "x"}


@pytest.mark.parametrize(
    ("command", "looks", "exchanged"),
    [
        (f"DELETE {BOX}", "find", "Work"),
        (f'RENAME {BOX} {BOX[:-5]}Else/Old"', "find", "Work"),
        (f'RENAME {BOX} {BOX[:-5]}Else/Old"', "below", "Work/Notes"),
    ],
)
async def test_t_imap_14_a_mailbox_that_takes_the_place_of_the_one_that_was_looked_at_is_left_alone(
    town: Town, monkeypatch: pytest.MonkeyPatch, command: str, looks: str, exchanged: str
) -> None:
    """Between the look at the rights and what they allow, the owner renames it and makes a private one of its name."""
    for mailbox in ("Work", "Work/Notes", "Else"):
        work(town, "lrxk", mailbox=mailbox)
    store = town.store("alice")
    if command.startswith("DELETE"):
        store.apply([DeleteMailbox("Work/Notes")])
    look = getattr(Reach, looks)

    def exchanging(self: Reach, *arguments: object) -> object:
        found = look(self, *arguments)
        store.apply([RenameMailbox(exchanged, "Kept"), CreateMailbox(exchanged)])
        made = store.mailbox(exchanged).id
        store.apply([SetRights(made, f"account:{town.ids['bob']}", "replace", "")])
        return found

    async with sessions(town, "bob") as (bob,):
        monkeypatch.setattr(Reach, looks, exchanging)
        assert (await bob.command(command))[-1].startswith(b"NO [NONEXISTENT]")
    assert {"Work", "Kept", exchanged} <= {info.name for info in store.mailboxes()}


async def test_an_own_mailbox_of_such_a_name_can_still_be_read_and_removed(town: Town) -> None:
    """Of mail that was moved in."""
    work(town, "lr")
    town.store("bob").apply([CreateMailbox(BOX[1:-1])])
    async with sessions(town, "bob") as (bob,):
        assert await bob.ok(f"STATUS {BOX} (MESSAGES)") == [f"* STATUS {BOX} (MESSAGES 0)".encode()]
        assert len(await bob.ok(f'LIST "" {BOX}')) == 1
        await bob.ok(f"DELETE {BOX}")
        assert await bob.ok(f"STATUS {BOX} (MESSAGES)") == [f"* STATUS {BOX} (MESSAGES 2)".encode()]
