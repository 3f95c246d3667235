"""ESEARCH (MULTISEARCH of RFC 7377): in each mailbox it finds what UID SEARCH would find there, and tells of no other."""

import re
import threading
from pathlib import Path

import pytest

from mailward.access.imap.searching import Search
from mailward.model.errors import StorageError
from mailward.store.ops import CreateMailbox, SetRights
from support.imap import Client, Office
from support.imap_view import numbers
from support.sharing import Town

FOUND = re.compile(rb'\* ESEARCH \(TAG "(\w+)" MAILBOX "([^"]*)" UIDVALIDITY (\d+)\) UID ALL ([\d:,]+)')
NAMES = ("INBOX", "Clients", "Clients/One", "Clients/One/Old", "Clients/Two", "Sent")


@pytest.fixture
async def client(office: Office) -> Client:
    """In each of six mailboxes two messages of three."""
    made = await Client(office).login()
    for place, name in enumerate(NAMES):
        if name.startswith("Clients"):
            await made.ok(f"CREATE {name}")
        for n in (place, place + 1):
            flags = "(\\Seen) " if n % 2 else ""
            await made.append(name, b"Subject: s%d\r\n\r\nbody %d\r\n" % (n % 3, n % 3), flags)
    return made


def found_in(client: Client, replies: list[bytes]) -> dict[str, list[int]]:
    """The UIDs that the command under way was answered with, by mailbox."""
    found = dict[str, list[int]]()
    for reply in replies:
        told = FOUND.fullmatch(reply)
        assert told and told[1].decode() == client.tag and int(told[3]), reply
        assert told[2].decode() not in found
        found[told[2].decode()] = numbers(told[4])
    return found


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("personal", NAMES),
        ("inboxes", NAMES),
        ("subscribed", ("INBOX", "Sent", "Clients/Two")),
        ("subtree Clients", NAMES[1:5]),
        ("subtree-one Clients", ("Clients", "Clients/One", "Clients/Two")),
        ('subtree-one (Clients/One "Clients/Two")', NAMES[2:5]),
        ("mailboxes (INBOX Clients/Two Nowhere)", ("INBOX", "Clients/Two")),
        ("mailboxes INBOX subtree Clients/One SUBTREE Clients", NAMES[:5]),
        ("selected", ("Sent",)),
        ("selected mailboxes Sent mailboxes INBOX", ("INBOX", "Sent")),
    ],
)
@pytest.mark.parametrize("keys", ["ALL", "SEEN", "BODY {6+}\r\nbody 1", "OR SUBJECT s2 1 NOT UID 2"])
async def test_what_is_found_is_what_searches_in_each_would_find(
    client: Client, source: str, names: tuple[str, ...], keys: str
) -> None:
    await client.ok("SUBSCRIBE Clients/Two")
    wanted = dict[str, list[int]]()
    for name in names:
        await client.ok(f"EXAMINE {name}")
        (reply,) = await client.ok(f"UID SEARCH {keys}")
        if uids := [*map(int, reply.split()[2:])]:
            wanted[name] = uids
    await client.ok("SELECT Sent")
    assert found_in(client, await client.ok(f"ESEARCH IN ({source}) {keys}")) == wanted


async def test_nothing_need_be_selected_and_the_selected_mailbox_is_meant_where_none_is_named(client: Client) -> None:
    """RFC 7377 section 2.1."""
    (status,) = await client.ok("STATUS INBOX (UIDVALIDITY)")
    (reply,) = await client.ok('ESEARCH IN (mailboxes "INBOX") RETURN (MIN MAX COUNT) CHARSET UTF-8 ALL')
    validity = status.split()[-1].rstrip(b")").decode()
    assert reply == f'* ESEARCH (TAG "{client.tag}" MAILBOX "INBOX" UIDVALIDITY {validity}) UID MIN 1 MAX 2 COUNT 2'.encode()
    assert (await client.command("ESEARCH ALL"))[-1].startswith(b"BAD ")
    assert (await client.command("ESEARCH IN (selected) ALL"))[-1].startswith(b"BAD ")
    await client.ok("SELECT Sent")
    assert found_in(client, await client.ok("ESEARCH ALL")) == {"Sent": [1, 2]}


@pytest.mark.parametrize(
    "arguments",
    ["IN () ALL", "IN (selected-delayed) ALL", "IN (mailboxes) ALL", "IN (some) ALL", "IN (personal)", "IN personal ALL",
     "IN (personal) RETURN (FROB) ALL", f"IN ({' '.join(['personal'] * 101)}) ALL"],
)  # fmt: skip
async def test_what_is_no_set_of_mailboxes_is_bad(client: Client, arguments: str) -> None:
    await client.ok("SELECT INBOX")
    assert (await client.command(f"ESEARCH {arguments}"))[-1].startswith(b"BAD ")


async def test_of_the_selected_mailbox_results_are_saved(client: Client) -> None:
    """RFC 7377 section 2.3, RFC 5182 section 2.1."""
    await client.ok("SELECT INBOX")
    assert await client.ok("ESEARCH IN (selected) RETURN (SAVE) UID 2") == []
    assert await client.ok("UID SEARCH $") == [b"* SEARCH 2"]
    assert (await client.command("ESEARCH IN (selected personal) RETURN (SAVE) ALL"))[-1].startswith(b"BAD ")
    assert await client.ok("UID SEARCH $") == [b"* SEARCH 2"]
    assert (await client.command("ESEARCH RETURN (SAVE) CHARSET KOI8-R ALL"))[-1].startswith(b"NO [BADCHARSET ")
    assert await client.ok("UID SEARCH $") == [b"* SEARCH"]


async def test_it_is_told_once(client: Client) -> None:
    *_, refusal = await client.ok("ESEARCH IN (personal) RETURN (UPDATE) ALL")
    assert refusal.startswith(f'* NO [NOUPDATE "{client.tag}"] '.encode())


async def test_the_selected_mailbox_is_searched_as_the_client_knows_it(client: Client, office: Office) -> None:
    """What another has expunged has its number until the client is told; what has come is told, and then found."""
    other = await Client(office).login()
    await client.ok("SELECT INBOX")
    await other.append("INBOX", b"Subject: new\r\n\r\nx\r\n")
    exists, _, found = await client.ok("ESEARCH IN (personal) SUBJECT new")
    assert exists == b"* 3 EXISTS" and found_in(client, [found]) == {"INBOX": [3]}
    await other.ok("SELECT INBOX")
    await other.ok("STORE 1 +FLAGS (\\Deleted)")
    await other.ok("EXPUNGE")
    *_, found, expunge = await client.ok("ESEARCH IN (mailboxes INBOX) ALL")
    assert found_in(client, [found]) == {"INBOX": [1, 2, 3]} and expunge == b"* 1 EXPUNGE"


async def test_t_dos_08_mailboxes_are_searched_in_a_thread(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    threads = set[int]()
    among = Search.among

    def noted(search: Search, *arguments: object) -> object:
        threads.add(threading.get_ident())
        return among(search, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Search, "among", noted)
    await client.ok("ESEARCH IN (personal) SEEN")
    assert threads and threading.get_ident() not in threads


async def test_a_store_that_cannot_be_read_is_no_empty_answer(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise StorageError("no disk")

    monkeypatch.setattr(Search, "among", fails)
    assert (await client.command("ESEARCH IN (personal) SEEN"))[-1].startswith(b"NO ")


async def test_t_imap_14_only_what_may_be_read_is_searched(tmp_path: Path) -> None:
    town = Town(tmp_path)
    store = town.store("alice")
    for name, rights in (("Work", "lr"), ("Plans", "l"), ("Hidden", "r"), ("Private", "")):
        made = store.apply([CreateMailbox(name)])[0].mailbox
        store.apply([SetRights(made, f"account:{town.ids['bob']}", "replace", rights)])
    alice, bob = await town.log_in("alice"), await town.log_in("bob")
    for name in ("INBOX", "Work", "Plans", "Hidden", "Private"):
        await alice.append(name, b"Subject: s\r\n\r\nbody\r\n")
    level = '"Other Users/alice@example.test'
    names = " ".join(f'{level}/{name}"' for name in ("INBOX", "Work", "Plans", "Hidden", "Private"))
    work = {"Other Users/alice@example.test/Work": [1]}
    for source in (f"mailboxes ({names})", f'subtree {level}"', 'subtree "Other Users"', f'subtree-one {level}"'):
        assert found_in(bob, await bob.ok(f"ESEARCH IN ({source}) ALL")) == work, source
    assert await bob.ok("ESEARCH IN (personal subscribed) ALL") == []
    await alice.close()
    await bob.close()
    town.directory.close()
