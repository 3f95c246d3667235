"""What somebody learns of mailboxes that are not shared with him, or no longer (RFC 4314 section 6, T-IMAP-14)."""

from collections.abc import Collection
from typing import NoReturn

import pytest

from mailward.formats.address import parse_mailbox
from mailward.model.errors import StorageError
from support.imap import settle
from support.sharing import BOX, MAIL, Town, sessions, work


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
