"""Shared mailboxes (RFC 4314): whom rights are given to, which right each command needs, and what a stranger learns."""

from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import pytest

from mailward.access.imap import carrying
from mailward.access.imap.desk import MAX_GUESSES_AN_HOUR
from mailward.access.imap.reach import Reach
from mailward.access.imap.rights import read_change, read_rights, shown
from mailward.disk import Disk
from mailward.formats.address import parse_mailbox
from mailward.model.errors import StorageError
from mailward.model.limits import MailLimits
from mailward.protocol.imap.arguments import BadSyntax
from mailward.store.embedded import EmbeddedStore
from mailward.store.grants import MAX_GRANTEES
from mailward.store.ops import Append, CreateMailbox, DeleteMailbox, RenameMailbox, SetRights
from mailward.store.refusals import NoSuchMailbox
from support.imap import Client, settle
from support.sharing import Town
from support.storecheck import RECEIVED_AT

MAIL = b"From: a@example.net\r\nSubject: shared\r\n\r\nhello\r\n"
BOX = '"Other Users/alice@example.test/Work"'


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    made = Town(tmp_path)
    yield made
    made.directory.close()


@asynccontextmanager
async def sessions(town: Town, *names: str) -> AsyncIterator[list[Client]]:
    """Of these accounts."""
    clients = [await town.log_in(name) for name in names]
    try:
        yield clients
    finally:
        for client in clients:
            await client.close()


def work(town: Town, rights: str = "", *, to: str = "bob", mailbox: str = "Work") -> None:
    """Alice's mailbox Work with two messages, made when it is not there; somebody has these rights and no others there."""
    store = town.store("alice")
    try:
        made = store.mailbox(mailbox)
    except NoSuchMailbox:
        store.apply([CreateMailbox(mailbox)])
        made = store.mailbox(mailbox)
        flags = (("\\Seen", "\\Deleted", "\\Flagged"), ())
        store.apply([Append(made.id, MAIL, RECEIVED_AT, some) for some in flags])
    store.apply([SetRights(made.id, f"account:{town.ids[to]}", "replace", rights)])


def flags_of(town: Town, name: str, mailbox: str) -> list[frozenset[str]]:
    store = town.store(name)
    view = store.view(store.mailbox(mailbox).id)
    names = {1 << bit: flag for bit, flag in enumerate(("\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "\\Draft"))}
    names |= {1 << bit: flag for bit, flag in enumerate(view.keywords, 8)}
    return [frozenset(flag for bit, flag in names.items() if value & bit) for value in view.flags]


# --- letters (RFC 4314 sections 2.1 and 3.1) ---


@pytest.mark.parametrize(
    ("given", "told"),
    [("lrswida", "lrswideta"), ("lrswikda", "lrswikcdeta"), ("lrswicda", "lrswicdakxet"), ("", ""), ("l", "l"), ("x", "xc")],
)
def test_obsolete_rights_are_the_ones_they_stand_for_and_are_told_with_them(given: str, told: str) -> None:
    assert sorted(shown(read_rights(given))) == sorted(told)


def test_rights_are_changed_by_their_sign_and_unknown_ones_are_bad() -> None:
    assert read_change("+lr") == ("add", "lr")
    assert read_change("-d") == ("remove", "te")
    assert read_change("") == ("replace", "")
    for wrong in ("lrQswicda", "lrqswicda", "+l+", "0"):
        with pytest.raises(BadSyntax):
            read_change(wrong)


# --- lists (RFC 4314 section 3) ---


async def test_rights_are_given_seen_and_taken_away(town: Town) -> None:
    work(town)
    async with sessions(town, "alice", "bob") as (alice, bob):
        assert await alice.ok("GETACL Work") == [b'* ACL "Work" "alice@example.test" lrswipkxteacd']
        await alice.ok("SETACL Work BOB@example.test lrs")
        await alice.ok("SETACL Work bob@example.test +da")
        await alice.ok('SETACL Work "group:staff" l')
        (told,) = await alice.ok("GETACL Work")
        assert told == b'* ACL "Work" "alice@example.test" lrswipkxteacd "bob@example.test" lrstead "group:staff" l'
        assert await bob.ok(f"MYRIGHTS {BOX}") == [f"* MYRIGHTS {BOX} lrstead".encode()]
        assert await bob.ok(f"GETACL {BOX}") == [told.replace(b'"Work"', BOX.encode())]
        await alice.ok("DELETEACL Work bob@example.test")
        assert await bob.ok(f"MYRIGHTS {BOX}") == [f"* MYRIGHTS {BOX} l".encode()]  # as one of the staff
        await alice.ok('SETACL Work "group:staff" ""')
        assert (await bob.command(f"MYRIGHTS {BOX}"))[-1].startswith(b"NO [NONEXISTENT]")


async def test_which_rights_can_be_given(town: Town) -> None:
    work(town)
    async with sessions(town, "alice") as (alice,):
        assert await alice.ok("LISTRIGHTS Work bob@example.test") == [
            b'* LISTRIGHTS "Work" "bob@example.test" "" l r s w i p k x t e a c d'
        ]
        assert await alice.ok("LISTRIGHTS Work alice@example.test") == [b'* LISTRIGHTS "Work" "alice@example.test" lrswipkxteacd']


@pytest.mark.parametrize(
    "command",
    [
        "SETACL Work alice@example.test l",
        "DELETEACL Work alice@example.test",
        "SETACL Work -bob@example.test l",
        "SETACL Work nobody@example.test l",
        "SETACL Work anyone l",
        "SETACL Work group:nobody l",
        "SETACL Work bob l",
        "SETACL Work robert@example.test l",
        "SETACL Work bob+x@example.test l",
        "SETACL Work bob@example.test -l",
        "DELETEACL Work bob@example.test",
        "DELETEACL Work nobody@example.test",
        "SETACL Nowhere bob@example.test l",
    ],
)
async def test_what_cannot_be_given_is_refused(town: Town, command: str) -> None:
    work(town)
    async with sessions(town, "alice") as (alice,):
        assert (await alice.command(command))[-1].startswith(b"NO ")
    assert town.store("alice").grants() == {}


async def test_t_imap_14_who_has_rights_can_lose_them_though_he_is_nobody_now(town: Town) -> None:
    work(town, "lr")
    store = town.store("alice")
    box = store.mailbox("Work").id
    given = [SetRights(box, grantee, "add", "lrs") for grantee in ("anyone", "group:staff", "group:gone", "account:gone")]
    store.apply(given)
    town.directory.remove_from_group("staff", [town.ids["bob"]])
    async with sessions(town, "alice") as (alice,):
        assert b'"anyone" lrs "group:gone" lrs "group:staff" lrs' in (await alice.ok("GETACL Work"))[0]
        await alice.ok("SETACL Work group:staff -rs")
        assert store.grants()[box] == {
            f"account:{town.ids['bob']}": "lr",
            "anyone": "lrs",
            "group:gone": "lrs",
            "group:staff": "l",
        }
        for identifier in ("anyone", "group:staff", "group:gone"):
            assert (await alice.command(f"SETACL Work {identifier} +w"))[-1].startswith(b"NO [CANNOT]")
            await alice.ok(f"DELETEACL Work {identifier}")
    assert store.grants()[box] == {f"account:{town.ids['bob']}": "lr"}


async def test_grants_of_accounts_that_are_gone_make_room_for_others(town: Town) -> None:
    work(town)
    store = town.store("alice")
    box = store.mailbox("Work").id
    store.apply([SetRights(box, f"account:gone{number}", "add", "l") for number in range(MAX_GRANTEES)])
    async with sessions(town, "alice") as (alice,):
        await alice.ok("SETACL Work bob@example.test lr")
    assert store.grants()[box] == {f"account:{town.ids['bob']}": "lr"}


async def test_t_imap_14_identifiers_are_not_guessed_by_many_sessions_at_once(town: Town) -> None:
    work(town)
    async with sessions(town, "alice") as (alice,):
        clients = [alice, *[await town.log_in("alice") for _ in range(4)]]
        each = MAX_GUESSES_AN_HOUR // 2
        for client in clients:
            client.wire.feed(b"".join(b"g%d SETACL Work nobody@example.test l\r\n" % number for number in range(each)))
        answers = [await client.replies(b"g%d " % number) for number in range(each) for client in clients]
        assert sum(answer[-1].startswith(b"NO [CANNOT]") for answer in answers) == MAX_GUESSES_AN_HOUR
        assert sum(answer[-1].startswith(b"NO [LIMIT]") for answer in answers) == len(answers) - MAX_GUESSES_AN_HOUR
        for client in clients[1:]:
            await client.close()


async def test_what_names_somebody_is_no_guess(town: Town) -> None:
    work(town)
    async with sessions(town, "alice") as (alice,):
        for _ in range(MAX_GUESSES_AN_HOUR + 1):
            await alice.ok("SETACL Work bob@example.test +l")
            assert (await alice.command("SETACL Work alice@example.test l"))[-1].startswith(b"NO [")


async def test_t_imap_14_identifiers_are_not_guessed(town: Town) -> None:
    """Whom a list does not name cannot be told from nobody; what remains, giving, is counted."""
    work(town, "lra")
    async with sessions(town, "alice", "bob") as (alice, bob):
        for command in ("DELETEACL {} {}", "SETACL {} {} -l", 'SETACL {} {} ""', "LISTRIGHTS {} {}"):
            told = set()
            for who in ("carol@example.test", "robert@example.test", "nobody@example.test", "group:staff", "anyone"):
                told.add(b"".join(await bob.command(command.format(BOX, who))).replace(who.encode(), b"WHO"))
            assert len(told) == 1, told
        for _ in range(MAX_GUESSES_AN_HOUR):
            assert (await bob.command(f"SETACL {BOX} nobody@example.test l"))[-1].startswith(b"NO [CANNOT]")
        for who in ("nobody@example.test", "carol@example.test"):
            assert (await bob.command(f"SETACL {BOX} {who} l"))[-1].startswith(b"NO [LIMIT]")
        await alice.ok("SETACL Work carol@example.test l")
        await bob.ok(f"DELETEACL {BOX} carol@example.test")


async def test_wrong_letters_and_empty_identifiers_are_bad(town: Town) -> None:
    work(town)
    async with sessions(town, "alice") as (alice,):
        for command in ("SETACL Work bob@example.test lQ", 'SETACL Work "" l', "SETACL Work bob@example.test"):
            assert (await alice.command(command))[-1].startswith(b"BAD ")


async def test_anyone_counts_where_the_admin_allows_it(tmp_path: Path) -> None:
    for anyone, expected in ((True, b"OK"), (False, b"NO")):
        town = Town(tmp_path / str(anyone), anyone=anyone)
        work(town)
        async with sessions(town, "alice", "carol") as (alice, carol):
            assert (await alice.command("SETACL Work anyone lr"))[-1].startswith(expected)
            town.store("alice").apply([SetRights(town.store("alice").mailbox("Work").id, "anyone", "replace", "lr")])
            assert (await carol.command(f"STATUS {BOX} (MESSAGES)"))[-1].startswith(expected)
        town.directory.close()


# --- commands (RFC 4314 section 4) ---


@pytest.mark.parametrize(
    ("command", "needed"),
    [
        (f"STATUS {BOX} (MESSAGES)", "r"),
        (f"SELECT {BOX}", "r"),
        (f"EXAMINE {BOX}", "r"),
        (f"GETQUOTAROOT {BOX}", "r"),
        (f"DELETE {BOX}", "x"),
        (f"GETACL {BOX}", "a"),
        (f"SETACL {BOX} carol@example.test l", "a"),
        (f"DELETEACL {BOX} carol@example.test", "a"),
        (f"LISTRIGHTS {BOX} carol@example.test", "a"),
        (f'CREATE {BOX[:-1]}/New"', "k"),
        (f'RENAME "Other Users/alice@example.test/Old" {BOX[:-1]}/Other"', "k"),
    ],
)
async def test_t_imap_14_each_command_needs_its_right_and_nothing_less_will_do(town: Town, command: str, needed: str) -> None:
    every = frozenset("lrswipkxtea")
    async with sessions(town, "bob") as (bob,):
        work(town, "".join(every - {needed}))
        work(town, "lx", mailbox="Old")
        work(town, "l", to="carol")
        assert (await bob.command(command))[-1].startswith(b"NO [NOPERM]")
        work(town, needed)
        assert (await bob.command(command))[-1].startswith(b"OK")


async def test_messages_are_put_where_the_right_is(town: Town) -> None:
    async with sessions(town, "bob") as (bob,):
        work(town, "lrswpkxtea")
        await bob.append("INBOX", MAIL)
        await bob.ok("SELECT INBOX")
        assert (await bob.append(BOX, MAIL)).startswith(b"NO [NOPERM]")
        for command in (f"COPY 1 {BOX}", f"MOVE 1 {BOX}"):
            assert (await bob.command(command))[-1].startswith(b"NO [NOPERM]")
        work(town, "i")
        assert (await bob.append(BOX, MAIL)).startswith(b"OK [APPENDUID")
        assert b"COPYUID" in (await bob.command(f"COPY 1 {BOX}"))[-1]
        assert len(flags_of(town, "alice", "Work")) == 4


@pytest.mark.parametrize(
    ("rights", "flags"),
    [("i", ""), ("is", "\\Seen"), ("it", "\\Deleted"), ("iw", "\\Flagged $Note"), ("ist", "\\Seen \\Deleted")],
)
async def test_flags_are_kept_by_append_and_copy_as_far_as_the_rights_go(town: Town, rights: str, flags: str) -> None:
    every = "(\\Seen \\Deleted \\Flagged $Note)"
    async with sessions(town, "bob") as (bob,):
        work(town, rights)
        await bob.append("INBOX", MAIL, f"{every} ")
        await bob.append(BOX, MAIL, f"{every} ")
        await bob.ok("SELECT INBOX")
        await bob.ok(f"COPY 1 {BOX}")
        assert flags_of(town, "alice", "Work")[2:] == [frozenset(flags.split())] * 2


@pytest.mark.parametrize(
    ("rights", "command", "after"),
    [
        ("rs", "STORE 2 +FLAGS (\\Seen \\Flagged)", "\\Seen"),
        ("rw", "STORE 2 +FLAGS (\\Seen $Note)", "$Note"),
        ("rw", "STORE 1 FLAGS (\\Answered)", "\\Seen \\Deleted \\Answered"),
        ("rs", "STORE 1 FLAGS (\\Answered)", "\\Deleted \\Flagged"),
        ("rt", "UID STORE 1 FLAGS.SILENT ()", "\\Seen \\Flagged"),
        ("rt", "STORE 1 -FLAGS (\\Seen \\Deleted)", "\\Seen \\Flagged"),
    ],
)
async def test_flags_are_stored_as_far_as_the_rights_go(town: Town, rights: str, command: str, after: str) -> None:
    async with sessions(town, "bob") as (bob,):
        work(town, rights)
        await bob.ok(f"SELECT {BOX}")
        await bob.ok(command)
        assert flags_of(town, "alice", "Work")[0 if " 1 " in command else 1] == frozenset(after.split())


@pytest.mark.parametrize(
    ("rights", "command"), [("rs", "STORE 1 +FLAGS (\\Flagged)"), ("re", "STORE 1 FLAGS ()"), ("rw", "STORE 2 -FLAGS (\\Seen)")]
)
async def test_flags_none_of_which_may_be_stored_are_refused(town: Town, rights: str, command: str) -> None:
    async with sessions(town, "bob") as (bob,):
        work(town, rights + "l")
        await bob.ok(f"SELECT {BOX}")
        assert (await bob.command(command))[-1].startswith(b"NO [NOPERM]")


async def test_reading_marks_as_seen_with_that_right_alone(town: Town) -> None:
    async with sessions(town, "bob") as (bob,):
        for rights, expected in (("rw", frozenset()), ("rs", frozenset({"\\Seen"}))):
            work(town, rights)
            await bob.ok(f"SELECT {BOX}")
            await bob.ok("FETCH 2 BODY[]")
            assert flags_of(town, "alice", "Work")[1] == expected


async def test_messages_are_expunged_with_that_right_alone(town: Town) -> None:
    async with sessions(town, "bob") as (bob,):
        work(town, "lrswit")
        await bob.ok(f"SELECT {BOX}")
        for command in ("EXPUNGE", "UID EXPUNGE 1", "MOVE 1 INBOX"):
            assert (await bob.command(command))[-1].startswith(b"NO [NOPERM]")
        await bob.ok("CLOSE")
        assert len(flags_of(town, "alice", "Work")) == 2
        work(town, "lrte")
        await bob.ok(f"SELECT {BOX}")
        assert b"* 1 EXPUNGE" in await bob.ok("EXPUNGE")


@pytest.mark.parametrize(
    ("rights", "code", "permanent"),
    [
        ("rlka", b"READ-ONLY", b""),
        ("rs", b"READ-WRITE", b"\\Seen"),
        ("ri", b"READ-WRITE", b""),
        ("rw", b"READ-WRITE", b"\\Answered \\Flagged \\Draft \\*"),
    ],
)
async def test_a_mailbox_says_what_may_be_written(town: Town, rights: str, code: bytes, permanent: bytes) -> None:
    async with sessions(town, "bob") as (bob,):
        work(town, rights)
        *untagged, tagged = await bob.command(f"SELECT {BOX}")
        assert tagged.startswith(b"OK [" + code)
        assert b"* OK [PERMANENTFLAGS (" + permanent + b")] Flags that are kept" in untagged


# --- names ---


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


# --- messages from one account to another ---


async def test_messages_are_moved_to_another_account_and_count_there(town: Town) -> None:
    work(town, "lrswite")
    async with sessions(town, "bob") as (bob,):
        for number in range(3):
            await bob.append("INBOX", MAIL + b"%d\r\n" % number, "(\\Flagged mine) ")
        await bob.ok("SELECT INBOX")
        untagged = await bob.ok(f"MOVE 2:3 {BOX}")
        assert untagged[0].startswith(b"* OK [COPYUID ") and untagged[0].endswith(b" 2:3 3:4] Moved")
        assert untagged[1:] == [b"* 3 EXPUNGE", b"* 2 EXPUNGE"]
        assert flags_of(town, "alice", "Work")[2:] == [frozenset({"\\Flagged", "mine"})] * 2
        assert town.store("alice").quota().messages == 4
        await bob.ok(f"SELECT {BOX}")
        assert b"COPYUID" in (await bob.command("COPY 3 INBOX"))[-1]
        assert town.store("bob").mailbox("INBOX").exists == 2


async def test_a_move_that_was_cut_off_between_its_two_halves_makes_no_second_copy(town: Town) -> None:
    work(town, "lri")
    bob_store = town.store("bob")
    async with sessions(town, "bob") as (bob,):
        await bob.append("INBOX", MAIL)
        inbox = bob_store.mailbox("INBOX").id
        ((email,),) = [row for row in bob_store.entry_meta(inbox, [1], ("email",)) if row is not None]
        target = town.store("alice").mailbox("Work").id
        key = carrying.key_of_moved(town.ids["bob"], int(email or 0), MAIL, target)
        town.store("alice").apply([Append(target, MAIL, RECEIVED_AT, (), key)])
        await bob.ok("SELECT INBOX")
        untagged = await bob.ok(f"MOVE 1 {BOX}")
        assert untagged[0].endswith(b" 1 3] Moved")
        assert (len(flags_of(town, "alice", "Work")), bob_store.mailbox("INBOX").exists) == (3, 0)


async def test_t_q_21_what_has_the_number_of_other_mail_that_was_moved_there_is_not_taken_for_it(town: Town) -> None:
    """As after a restore, by which numbers of emails were given again."""
    work(town, "lri")
    bob_store = town.store("bob")
    async with sessions(town, "bob") as (bob,):
        await bob.append("INBOX", MAIL)
        target = town.store("alice").mailbox("Work").id
        key = carrying.key_of_moved(town.ids["bob"], 1, b"Subject: first\r\n\r\n", target)
        town.store("alice").apply([Append(target, b"Subject: first\r\n\r\n", RECEIVED_AT, (), key)])
        await bob.ok("SELECT INBOX")
        untagged = await bob.ok(f"MOVE 1 {BOX}")
        assert untagged[0].endswith(b" 1 4] Moved")
        assert (len(flags_of(town, "alice", "Work")), bob_store.mailbox("INBOX").exists) == (4, 0)


async def test_more_than_is_carried_by_one_command_and_what_is_over_quota_leave_all_as_it_is(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    work(town, "lri")
    async with sessions(town, "bob") as (bob,):
        await bob.append("INBOX", MAIL)
        await bob.ok("SELECT INBOX")
        monkeypatch.setattr(carrying, "MAX_OCTETS", 10)
        assert (await bob.command(f"MOVE 1 {BOX}"))[-1].startswith(b"NO [LIMIT]")
    assert (len(flags_of(town, "alice", "Work")), town.store("bob").mailbox("INBOX").exists) == (2, 1)


async def test_t_imap_14_how_much_others_may_hold_is_not_told(town: Town, tmp_path: Path) -> None:
    work(town, "lri")
    limited = EmbeddedStore(tmp_path / "accounts", Disk(), town.office.hints, limits_of=lambda _: MailLimits(messages=2))
    town.office.desk = replace(town.office.desk, store=limited)
    async with sessions(town, "bob") as (bob,):
        await bob.append("INBOX", MAIL)
        await bob.ok("SELECT INBOX")
        told = [await bob.append(BOX, MAIL), *[(await bob.command(f"{word} 1 {BOX}"))[-1] for word in ("COPY", "MOVE")]]
        assert told == [b"NO [OVERQUOTA] Whose mailbox it is may not hold more mail"] * 3


async def test_identifiers_of_others_objects_are_no_ones_own(town: Town) -> None:
    work(town, "lr")
    async with sessions(town, "bob") as (bob,):
        untagged = await bob.ok(f"SELECT {BOX}")
        (mailbox_id,) = [line for line in untagged if b"MAILBOXID" in line]
        assert f"-{town.ids['alice']})".encode() in mailbox_id
        (told,) = await bob.ok("FETCH 1 (EMAILID THREADID)")
        email = told.split(b"EMAILID (")[1].split(b")")[0]
        assert email.endswith(f"-{town.ids['alice']}".encode())
        assert await bob.ok(f"SEARCH EMAILID {email.decode()}") == [b"* SEARCH 1"]
        assert await bob.ok(f"SEARCH EMAILID {email.split(b'-')[0].decode()}") == [b"* SEARCH"]


# --- strangers (T-IMAP-14) ---


@pytest.mark.parametrize(
    "command",
    [
        "SELECT {}",
        "STATUS {} (MESSAGES)",
        "DELETE {}",
        "GETACL {}",
        "MYRIGHTS {}",
        "LISTRIGHTS {} bob@example.test",
        "SETACL {} bob@example.test lr",
        "GETQUOTAROOT {}",
        "RENAME {} Mine",
        "COPY 1 {}",
    ],
)
async def test_t_imap_14_what_is_hidden_answers_as_what_is_not_there(town: Town, command: str) -> None:
    """Not shared at all; shared with others; shared for something else without being seen; of nobody; of oneself."""
    work(town, "lr", to="carol")
    work(town, "p", mailbox="Post")
    async with sessions(town, "bob") as (bob,):
        await bob.append("INBOX", MAIL)
        await bob.ok("SELECT INBOX")
        answers = set()
        for name in (
            "alice@example.test/Work",
            "alice@example.test/Drafts",
            "alice@example.test/Nowhere",
            "alice@example.test/Post",
            "nobody@example.test/INBOX",
            "carol@example.test/INBOX",
            "bob@example.test/INBOX",
            "nobody",
            "alice@example.test",
        ):
            told = (await bob.command(command.format(f'"Other Users/{name}"')))[-1]
            answers.add(told.replace(name.encode(), b"NAME"))
        assert len(answers) == 1, answers
        assert answers.pop().startswith(b"NO [NONEXISTENT] There is" if "COPY" not in command else b"NO [TRYCREATE] There is")


async def test_t_imap_14_dots_lead_nowhere(town: Town) -> None:
    work(town, "lrx")
    async with sessions(town, "bob") as (bob,):
        for name in (
            "alice@example.test/Work/../Drafts",
            "alice@example.test/../alice@example.test/Drafts",
            "alice@example.test//Work",
        ):
            assert (await bob.command(f'SELECT "Other Users/{name}"'))[-1].startswith(b"NO [CANNOT]")


async def test_t_imap_14_rights_that_are_taken_away_end_in_open_sessions(town: Town) -> None:
    work(town, "lrswte")
    async with sessions(town, "alice", "bob", "bob") as (alice, bob, idle):
        await bob.ok(f"SELECT {BOX}")
        await idle.ok(f"SELECT {BOX}")
        idle.wire.feed(b"i IDLE\r\n")
        assert await idle.line() == b"+ idling"
        await settle(idle)
        await alice.ok("SETACL Work bob@example.test lr")
        assert await idle.line() == b"* FLAGS (\\Seen \\Answered \\Flagged \\Deleted \\Draft)"
        assert await idle.line() == b"* OK [PERMANENTFLAGS ()] Flags that are kept"
        *_, tagged = await bob.command("STORE 1 +FLAGS (\\Answered)")
        assert tagged.startswith(b"NO [NOPERM]")
        await alice.ok("DELETEACL Work bob@example.test")
        assert await idle.line() == b"* BYE The selected mailbox was deleted"
        assert (await bob.command("FETCH 1 BODY[]"))[-1].startswith(b"NO [NONEXISTENT]")
        assert await bob.line() == b"* BYE The selected mailbox was deleted"


async def test_an_index_that_cannot_be_read_hides_no_mail_and_says_no_mailbox_is_gone(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(grantees: Collection[str]) -> NoReturn:
        raise StorageError("no such luck")

    work(town, "lr")
    async with sessions(town, "bob", "bob") as (bob, other):
        await bob.ok(f"SELECT {BOX}")
        monkeypatch.setattr(town.office.store, "sharing_with", failing)
        assert await bob.ok("FETCH 1 FLAGS")
        assert any(b"INBOX" in line for line in await other.ok('LIST "" *'))
        assert (await other.command(f"SELECT {BOX}"))[-1].startswith(b"NO [UNAVAILABLE]")


async def test_t_imap_14_an_account_that_is_removed_shares_nothing_and_gets_nothing(town: Town) -> None:
    work(town, "lr")
    async with sessions(town, "alice", "bob") as (alice, _):
        town.directory.remove_account(town.ids["bob"])
        (told,) = await alice.ok("GETACL Work")
        assert told == b'* ACL "Work" "alice@example.test" lrswipkxteacd'
        again = town.directory.add_account(parse_mailbox("bob@example.test"))
        town.ids["bob"] = again
        new = await town.log_in("bob")
        assert (await new.command(f"SELECT {BOX}"))[-1].startswith(b"NO [NONEXISTENT]")
        work(town, "lr")
        await new.ok(f"SELECT {BOX}")
        town.directory.remove_account(town.ids["alice"])
        assert (await new.command("FETCH 1 BODY[]"))[-1].startswith(b"NO [NONEXISTENT]")
        await new.close()


async def test_news_of_a_shared_mailbox_reach_all_who_have_selected_it(town: Town) -> None:
    work(town, "lrsi")
    async with sessions(town, "alice", "bob") as (alice, bob):
        await alice.ok("SELECT Work")
        await bob.ok(f"SELECT {BOX}")
        bob.wire.feed(b"i IDLE\r\n")
        assert await bob.line() == b"+ idling"
        await settle(bob)
        await alice.append("Work", MAIL)
        assert await bob.line() == b"* 3 EXISTS"
