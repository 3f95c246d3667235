"""How much of everything a client may have and ask for, and what it is told beyond that."""

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

import pytest

from mailward.access.imap import filters, reach
from mailward.access.imap.selected import Selected
from mailward.access.imap.telling import Telling
from mailward.model.ids import AccountId
from mailward.protocol.imap.names import Pattern
from mailward.store import mailboxes
from mailward.store.account import EmbeddedAccount
from mailward.store.names import parents
from mailward.store.ops import CreateMailbox, SetRights
from support.imap import Client, Office
from support.sharing import Town

T = TypeVar("T")


async def test_an_account_has_so_many_mailboxes_and_subscriptions_and_no_more(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mailboxes, "MAX_MAILBOXES", 8)
    monkeypatch.setattr(mailboxes, "MAX_SUBSCRIPTIONS", 8)
    client = await Client(office).login()
    await client.ok("CREATE one")
    for command in ("CREATE two/below", "RENAME one new/level/one"):
        assert (await client.command(command))[-1].startswith(b"NO [LIMIT] There are 8 already")
    await client.ok("CREATE two")
    await client.ok("RENAME two three")
    assert (await client.command("RENAME INBOX four"))[-1].startswith(b"NO [LIMIT]")
    assert {b"one", b"three"} == {line.split(b'"')[-2] for line in await client.ok('LIST "" *')} - {
        *(b"INBOX", b"Archive", b"Drafts", b"Junk", b"Sent", b"Trash")
    }
    for command in ("SUBSCRIBE one", "SUBSCRIBE nowhere", "SUBSCRIBE nowhere", "UNSUBSCRIBE Junk", "SUBSCRIBE two"):
        await client.ok(command)
    assert (await client.command("SUBSCRIBE Junk"))[-1].startswith(b"NO [LIMIT]")
    await client.close()


def shares(town: Town, *names: str, rights: str = "lr") -> None:
    """Alice's mailboxes of these names, where bob has these rights."""
    store = town.store("alice")
    made = store.apply([CreateMailbox(name) for name in names])
    store.apply([SetRights(one.mailbox, f"account:{town.ids['bob']}", "replace", rights) for one in made])


async def test_so_many_mailboxes_of_one_owner_are_listed_and_all_can_be_selected(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reach, "MAX_LISTED", 2)
    shares(town, "a", "b", "c")
    bob = await town.log_in("bob")
    for command in ('LIST "" "Other Users/*/*"', 'LSUB "" "Other Users/*/*"'):
        await bob.ok('SUBSCRIBE "Other Users/alice@example.test/a"')
        assert not any(b'/c"' in line for line in await bob.ok(command))
    listed = await bob.ok('LIST "" "Other Users/alice@example.test/%"')
    assert [line.rpartition(b"/")[2] for line in listed] == [b'a"', b'b"']
    await bob.ok('SELECT "Other Users/alice@example.test/c"')
    await bob.close()


async def test_t_dos_08_a_list_that_others_mailboxes_cannot_be_in_opens_no_store_of_theirs(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[AccountId] = []
    shares(town, "a")
    bob = await town.log_in("bob")
    open_ = town.office.store.open

    def noted(account: AccountId) -> EmbeddedAccount:
        opened.append(account)
        return open_(account)

    monkeypatch.setattr(town.office.store, "open", noted)
    for command in ('LIST "" INBOX', 'LIST "" (a% "Drafts*" "Other/*")', 'LSUB "" "%x"', 'LSUB "" "Work/*"'):
        await bob.ok(command)
    assert opened == []
    for pattern in ("*", "%", "%/%", '"Other Users"', '"Other Users/al*"', '"*/a"'):
        assert await bob.ok(f'LIST "" {pattern}')
        assert opened.pop() == town.ids["alice"]
    await bob.close()


@pytest.mark.parametrize("command", ['LIST "" * RETURN (STATUS (MESSAGES))', 'LSUB "" *'])
async def test_t_dos_08_other_sessions_do_not_wait_while_a_list_is_made(
    office: Office, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    threads: set[int] = set()
    matches = Pattern.matches

    def noted(self: Pattern, name: str) -> bool:
        threads.add(threading.get_ident())
        return matches(self, name)

    client = await Client(office).login()
    monkeypatch.setattr(Pattern, "matches", noted)
    assert len(await client.ok(command)) >= 6
    assert threads and threading.get_ident() not in threads
    await client.close()


async def test_t_dos_08_a_thousand_subtrees_are_looked_for_beside_the_loop_and_by_name(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: set[int] = set()

    def noted(name: str) -> list[str]:
        threads.add(threading.get_ident())
        return parents(name)

    monkeypatch.setattr(filters, "parents", noted)
    client = await Client(office).login()
    await client.ok("CREATE work/one/two")
    subtrees = " ".join([*(f"x{number}" for number in range(999)), "work"])
    told = await client.ok(f"NOTIFY SET STATUS (SUBTREE ({subtrees}) (MessageNew MessageExpunge))")
    assert [line.split(b'"')[1] for line in told] == [b"work", b"work/one", b"work/one/two"]
    assert threads and threading.get_ident() not in threads
    await client.close()


async def test_t_dos_06_messages_are_carried_to_another_account_for_one_command_at_a_time(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    shares(town, "a", rights="i")
    bob = await town.log_in("bob")
    await bob.append("INBOX", b"Subject: s\r\n\r\nbody\r\n")
    await bob.ok("SELECT INBOX")
    waits, goes_on = asyncio.Event(), threading.Event()
    run_alone = town.office.desk.threads.run_alone

    async def noted(account: AccountId | None, function: Callable[[], T]) -> T:
        waits.set()
        return await run_alone(account, function)

    monkeypatch.setattr(town.office.desk.threads, "run_alone", noted)
    other = asyncio.create_task(run_alone(AccountId("somebody"), lambda: goes_on.wait(90)))
    await asyncio.sleep(0)
    bob.wire.feed(b'c COPY 1 "Other Users/alice@example.test/a"\r\n')
    await waits.wait()
    assert town.store("alice").mailbox("a").exists == 0
    goes_on.set()
    assert await other
    assert (await bob.replies(b"c "))[-1].startswith(b"OK [COPYUID")
    await bob.close()


async def test_t_dos_08_what_a_client_has_missed_is_told_beside_the_loop(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    threads: set[int] = set()
    flags_line = Telling.flags_line

    def noted(self: Telling, selected: Selected, place: int, *, known: bool = False) -> bytes:
        threads.add(threading.get_ident())
        return flags_line(self, selected, place, known=known)

    client = await Client(office).login()
    for _ in range(4):
        await client.append("INBOX", b"Subject: s\r\n\r\nbody\r\n")
    await client.ok("ENABLE QRESYNC")
    *_, step = [line for line in await client.ok("SELECT INBOX") if b"UIDVALIDITY" in line]
    await client.ok("STORE 2 +FLAGS (\\Deleted)")
    await client.ok("EXPUNGE")
    monkeypatch.setattr(Telling, "flags_line", noted)
    known = ",".join(["4294967295:3", "1:4294967295"] * 300)
    told = await client.ok(f"SELECT INBOX (QRESYNC ({step.split()[3][:-1].decode()} 1 {known}))")
    assert [line[:17] for line in told if b"FETCH" in line] == [b"* 1 FETCH (UID 1 ", b"* 2 FETCH (UID 3 ", b"* 3 FETCH (UID 4 "]
    assert threads and threading.get_ident() not in threads
    await client.close()
