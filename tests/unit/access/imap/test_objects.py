"""What belongs to a message and what to its place in a mailbox (RFC 8474, RFC 8514, RFC 8970)."""

import re

from mailward.model.ids import AccountId
from support.imap import Client, Office


async def items(client: Client, command: str) -> list[bytes]:
    """What FETCH tells of each message."""
    return [line.partition(b"FETCH ")[2] for line in await client.ok(command)]


async def test_what_others_have_expunged_has_no_email_id_and_is_said_to_be_gone(office: Office) -> None:
    first, second = await Client(office).login(), await Client(office).login()
    for n in range(3):
        await first.append("INBOX", b"Subject: %d\r\n\r\nbody\r\n" % n)
    await first.ok("SELECT INBOX")
    await second.ok("SELECT INBOX")
    await first.ok("STORE 2 +FLAGS.SILENT (\\Deleted)")
    await first.ok("EXPUNGE")
    *told, tagged = await second.command("FETCH 1:3 (EMAILID RFC822.SIZE)")
    assert told == [b"* 1 FETCH (EMAILID (M1) RFC822.SIZE 20)", b"* 3 FETCH (EMAILID (M3) RFC822.SIZE 20)"]
    assert tagged == b"NO [EXPUNGEISSUED] 1 of the messages have been expunged"
    assert (await second.command("FETCH 2 (SAVEDATE BODY.PEEK[])"))[-1].startswith(b"NO [EXPUNGEISSUED]")
    assert await second.ok("SEARCH NOT EMAILID M7") == [b"* SEARCH 1 2 3"]
    assert await items(second, "FETCH 2 (THREADID PREVIEW)") == [b'(THREADID (T2) PREVIEW "body")'], "kept for a day"


async def test_a_preview_in_another_script_is_a_literal_of_utf_8(office: Office) -> None:
    client = await Client(office).login()
    await client.append("INBOX", "Content-Type: text/plain; charset=utf-8\r\n\r\nGr\u00fc\u00dfe\r\n".encode())
    await client.append("INBOX", b"Content-Type: image/png\r\n\r\nx\r\n")
    await client.ok("SELECT INBOX")
    assert await items(client, "FETCH 1:2 (PREVIEW UID)") == [
        "(PREVIEW {7}\r\nGr\u00fc\u00dfe UID 1)".encode(),
        b'(PREVIEW "" UID 2)',
    ]


async def test_a_move_is_a_new_save_and_not_a_new_arrival(office: Office) -> None:
    client = await Client(office).login()
    await client.append("INBOX", b"Subject: x\r\n\r\n", '" 2-Nov-2020 10:00:00 +0000" ')
    await client.ok("SELECT INBOX")
    await client.ok("MOVE 1 Trash")
    await client.ok("SELECT Trash")
    (told,) = await items(client, "FETCH 1 (INTERNALDATE SAVEDATE EMAILID)")
    assert re.fullmatch(rb'\(INTERNALDATE " 2-Nov-2020 10:00:00 \+0000" SAVEDATE "(.*)" EMAILID \(M1\)\)', told)
    store = office.store.open(AccountId("alice"))
    (entry,) = store.entry_meta(store.mailbox("Trash").id, (1,), ("saved_at",))
    assert entry is not None and isinstance(entry[0], int) and entry[0] > 1_700_000_000
    assert await client.ok("SEARCH BEFORE 1-Jan-2021 SAVEDSINCE 1-Jan-2021") == [b"* SEARCH 1"]


async def test_a_name_that_comes_back_is_another_mailbox(office: Office) -> None:
    client = await Client(office).login()
    made = [(await client.command(command))[-1] for command in ("CREATE a", "DELETE a", "CREATE a")]
    assert re.findall(rb"MAILBOXID \((F\d+)\)", made[0]) != re.findall(rb"MAILBOXID \((F\d+)\)", made[2])
