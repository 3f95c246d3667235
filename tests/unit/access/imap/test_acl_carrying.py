"""Messages that go from one account to another by COPY and MOVE."""

from dataclasses import replace
from pathlib import Path

import pytest

from mailward.access.imap import carrying
from mailward.disk import Disk
from mailward.model.limits import MailLimits
from mailward.store.embedded import EmbeddedStore
from mailward.store.ops import Append
from support.sharing import BOX, MAIL, Town, flags_of, sessions, work
from support.storecheck import RECEIVED_AT


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
