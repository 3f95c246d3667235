"""PARTIAL (RFC 9394) and UIDBATCHES (RFC 10022), by what their texts say, and by counting."""

import pytest

from mailward.access.imap.commands import uidbatches
from mailward.model.ids import AccountId, Uid
from mailward.store.ops import Expunge
from support.imap import Client, Office
from support.stores import append

MESSAGE = b"Subject: s\r\n\r\nbody\r\n"
GONE = (2, 3, 7)


@pytest.fixture
async def client(office: Office) -> Client:
    """UIDs 1, 4, 5, 6, 8, 9, 10 are in INBOX, 5 and 9 flagged."""
    account = office.store.open(AccountId("alice"))
    inbox = account.mailbox("INBOX").id
    account.apply([append(inbox, MESSAGE) for _ in range(10)])
    account.apply([Expunge(inbox, tuple(map(Uid, GONE)))])
    found = await Client(office).login()
    await found.ok("SELECT INBOX")
    await found.ok("UID STORE 5,9 +FLAGS.SILENT (\\Flagged)")
    return found


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ("PARTIAL 1:3", "PARTIAL (1:3 1,4:5)"),
        ("PARTIAL 3:1", "PARTIAL (1:3 1,4:5)"),
        ("PARTIAL 6:500", "PARTIAL (6:500 9:10)"),
        ("PARTIAL 8:500", "PARTIAL (8:500 NIL)"),
        ("PARTIAL -1:-3", "PARTIAL (-1:-3 8:10)"),
        ("PARTIAL -3:-1", "PARTIAL (-1:-3 8:10)"),
        ("PARTIAL -6:-100", "PARTIAL (-6:-100 1,4)"),
        ("PARTIAL -8:-9", "PARTIAL (-8:-9 NIL)"),
        ("MIN MAX COUNT PARTIAL 2:2", "MIN 1 MAX 10 COUNT 7 PARTIAL (2:2 4)"),
    ],
)
async def test_a_page_of_what_is_found(client: Client, options: str, told: str) -> None:
    assert await client.ok(f"UID SEARCH RETURN ({options}) ALL") == [f'* ESEARCH (TAG "{client.tag}") UID {told}'.encode()]


async def test_a_page_where_nothing_is_found(client: Client) -> None:
    told = await client.ok("SEARCH RETURN (PARTIAL 1:3 MIN COUNT) DRAFT")
    assert told == [f'* ESEARCH (TAG "{client.tag}") COUNT 0 PARTIAL (1:3 NIL)'.encode()]


async def test_a_page_of_what_is_sorted(client: Client) -> None:
    told = await client.ok("UID SORT RETURN (PARTIAL -1:-2) (REVERSE ARRIVAL) UTF-8 FLAGGED")
    assert told == [f'* ESEARCH (TAG "{client.tag}") UID PARTIAL (-1:-2 5,9)'.encode()]


@pytest.mark.parametrize(
    ("options", "saved"),
    [
        ("SAVE PARTIAL 2:3", "4:5"),
        ("SAVE MAX PARTIAL 2:3", "4:5,10"),
        ("SAVE MIN MAX PARTIAL 2:3", "1,4:5,10"),
        ("SAVE COUNT PARTIAL 2:3", "1,4:6,8:10"),
    ],
)
async def test_what_is_saved_with_a_page(client: Client, options: str, saved: str) -> None:
    await client.ok(f"UID SEARCH RETURN ({options}) ALL")
    told = await client.ok("UID SEARCH RETURN (ALL) $")
    assert told == [f'* ESEARCH (TAG "{client.tag}") UID ALL {saved}'.encode()]


async def test_the_modseq_is_of_the_page(client: Client) -> None:
    await client.ok("ENABLE CONDSTORE")
    (flagged,) = await client.ok("UID FETCH 9 MODSEQ")
    (first,) = await client.ok("UID SEARCH RETURN (PARTIAL 1:2) MODSEQ 1")
    (last,) = await client.ok("UID SEARCH RETURN (PARTIAL -1:-2) MODSEQ 1")
    assert flagged.endswith(b"MODSEQ (4))") and last.endswith(b" MODSEQ 4") and first.endswith(b" MODSEQ 2")


async def test_a_page_of_what_is_fetched(client: Client) -> None:
    assert await client.ok("UID FETCH 4:9 (UID) (PARTIAL -1:-2)") == [b"* 5 FETCH (UID 8)", b"* 6 FETCH (UID 9)"]
    assert await client.ok("UID FETCH 1:* (UID) (PARTIAL 2:2)") == [b"* 2 FETCH (UID 4)"]
    assert await client.ok("UID FETCH 1:* (UID) (PARTIAL 8:9)") == []
    await client.ok("ENABLE CONDSTORE")
    for order in ("CHANGEDSINCE {} PARTIAL 1:1", "PARTIAL 1:1 CHANGEDSINCE {}"):
        (told,) = await client.ok(f"UID FETCH 1:* (UID) ({order.format(3)})")
        assert told == b"* 3 FETCH (UID 5 MODSEQ (4))", "of those that have changed"


@pytest.mark.parametrize(
    "command",
    [
        "SEARCH RETURN (PARTIAL 1:2 ALL) ALL", "SEARCH RETURN (PARTIAL 1:2 PARTIAL 3:4) ALL", "SEARCH RETURN (PARTIAL 0:2) ALL",
        "SEARCH RETURN (PARTIAL 1:*) ALL", "SEARCH RETURN (PARTIAL -1:2) ALL", "SEARCH RETURN (PARTIAL 1:-2) ALL",
        "SEARCH RETURN (PARTIAL) ALL", "SEARCH RETURN (PARTIAL 1) ALL", "SEARCH RETURN (PARTIAL 1:4294967296) ALL",
        "FETCH 1:* UID (PARTIAL 1:2)", "UID FETCH 1:* UID (PARTIAL 0:2)", "UIDBATCHES", "UIDBATCHES 0", "UIDBATCHES 500 0:1",
        "UIDBATCHES 500 2:1", "UIDBATCHES 500 1", "UIDBATCHES 500 1:2 3",
    ],
)  # fmt: skip
async def test_what_is_not_of_the_grammar(client: Client, command: str) -> None:
    assert (await client.command(command))[-1].startswith(b"BAD ")


@pytest.mark.parametrize(
    ("size", "batches"),
    [(1, "10:10,9:9,8:8,7:6,5:5,4:4,3:1"), (2, "10:9,8:6,5:4,3:1"), (3, "10:8,7:4,3:1"), (7, "10:1"), (2000, "10:1")],
)
async def test_batches_hold_so_many_messages_and_leave_no_uid_out(
    client: Client, monkeypatch: pytest.MonkeyPatch, size: int, batches: str
) -> None:
    monkeypatch.setattr(uidbatches, "MIN_MESSAGES", 1)
    assert await client.ok(f"UIDBATCHES {size}") == [f'* UIDBATCHES (TAG "{client.tag}") {batches}'.encode()]
    for first, last in ((1, 1), (2, 3), (3, 99), (50, 60)):
        some = ",".join(batches.split(",")[first - 1 : last])
        assert await client.ok(f"UIDBATCHES {size} {first}:{last}") == [
            f'* UIDBATCHES (TAG "{client.tag}") {some}'.rstrip().encode()
        ]


async def test_there_are_no_batches_of_nothing_and_no_small_ones(client: Client) -> None:
    assert await client.command("UIDBATCHES 499") == [b"NO [TOOFEW] A batch has at least 500 messages"]
    await client.ok("SELECT Archive")
    assert await client.ok("UIDBATCHES 500") == [f'* UIDBATCHES (TAG "{client.tag}")'.encode()]
