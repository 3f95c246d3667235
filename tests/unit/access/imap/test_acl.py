"""Shared mailboxes (RFC 4314): which rights there are, and whom they are given to."""

from pathlib import Path

import pytest

from mailward.access.imap.desk import MAX_GUESSES_AN_HOUR
from mailward.access.imap.rights import read_change, read_rights, shown
from mailward.protocol.imap.arguments import BadSyntax
from mailward.store.grants import MAX_GRANTEES
from mailward.store.ops import SetRights
from support.sharing import BOX, Town, sessions, work


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
