"""What a session is told of changes that others make: behind commands, in IDLE, and when it comes back."""

import asyncio
import re
from unittest.mock import patch

import pytest

from mailward.app import watching
from support.imap import MESSAGE, Client, Office, settle, two


@pytest.mark.parametrize("command", ["FETCH 1 FLAGS", "STORE 3 +FLAGS (\\Flagged)", "SEARCH ALL"])
async def test_t_imap_18_no_expunge_while_numbers_are_in_use(office: Office, command: str) -> None:
    first, second = await two(office)
    await first.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
    await first.ok("EXPUNGE")
    assert not any(b"EXPUNGE" in line for line in await second.ok(command))
    assert (await second.ok("FETCH 1 (UID RFC822.SIZE BODY.PEEK[TEXT])"))[0].startswith(b"* 1 FETCH (UID 1 ")
    assert b"* 1 EXPUNGE" in await second.ok("NOOP")
    assert await second.ok("FETCH 1 UID") == [b"* 1 FETCH (UID 2)"]


async def test_uid_commands_may_tell_of_expunged_messages(office: Office) -> None:
    first, second = await two(office)
    await first.ok("STORE 2 +FLAGS.SILENT (\\Deleted)")
    await first.ok("EXPUNGE")
    assert await second.ok("UID FETCH 3 UID") == [b"* 3 FETCH (UID 3)", b"* 2 EXPUNGE"]


async def test_close_expunges_and_says_nothing_of_it(office: Office) -> None:
    """RFC 3501 section 6.4.2."""
    first, second = await two(office)
    await first.ok("STORE 2 +FLAGS.SILENT (\\Deleted)")
    assert await first.ok("CLOSE") == []
    assert b"* 2 EXPUNGE" in await second.ok("NOOP")


async def test_who_comes_back_hears_that_a_message_is_gone_that_came_after_its_modseq(office: Office) -> None:
    first, second = await two(office)
    await second.ok("ENABLE QRESYNC")
    (found,) = {re.search(rb"UIDVALIDITY (\d+)", line) for line in await second.ok("SELECT INBOX")} - {None}
    assert found is not None
    await first.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
    await first.ok("EXPUNGE")
    await first.append("INBOX", MESSAGE)
    told = await second.ok("FETCH 3 (UID)")
    assert b"* 4 EXISTS" in told
    (held,) = [line.split()[3].rstrip(b"]") for line in told if b"HIGHESTMODSEQ" in line]
    assert (await second.ok("FETCH 4 (UID)"))[0] == b"* 4 FETCH (UID 4)", "it knows the message, and not yet that UID 1 is gone"
    await second.close()
    await first.ok("UID STORE 4 +FLAGS.SILENT (\\Deleted)")
    await first.ok("EXPUNGE")
    again = await Client(office).login()
    await again.ok("ENABLE QRESYNC")
    assert b"* VANISHED (EARLIER) 1,4" in await again.ok(b"SELECT INBOX (QRESYNC (%b %b))" % (found[1], held))


async def test_flags_and_new_messages_of_others_are_told_at_the_end_of_a_command(office: Office) -> None:
    first, second = await two(office)
    await first.ok("STORE 2 +FLAGS (\\Flagged $Work)")
    await first.append("INBOX", MESSAGE)
    told = await second.ok("NOOP")
    assert told[0] == b"* 4 EXISTS"
    assert b"* FLAGS (\\Seen \\Answered \\Flagged \\Deleted \\Draft $Work)" in told
    assert b"* 2 FETCH (UID 2 FLAGS (\\Flagged $Work))" in told
    assert await second.ok("NOOP") == []


async def test_uids_that_appeared_since_can_be_used_at_once(office: Office) -> None:
    first, second = await two(office)
    await first.append("INBOX", MESSAGE)
    assert (await second.ok("UID FETCH 4 (UID)"))[-1] == b"* 4 FETCH (UID 4)"
    await first.append("INBOX", MESSAGE)
    assert (await second.ok("UID SEARCH UID 5"))[-1] == b"* SEARCH 5"
    for uid, told in ((6, "6"), (7, "*"), (8, "1:8")):
        await first.append("INBOX", MESSAGE)
        assert b"* %d FETCH (UID %d FLAGS (\\Flagged))" % (uid, uid) in await second.ok(f"UID STORE {told} FLAGS (\\Flagged)")


async def test_a_silent_store_tells_only_what_the_client_cannot_know(office: Office) -> None:
    first, second = await two(office)
    await first.ok("STORE 1 +FLAGS (\\Flagged)")
    assert await second.ok("STORE 1:2 +FLAGS.SILENT (\\Answered)") == [b"* 1 FETCH (UID 1 FLAGS (\\Answered \\Flagged))"]


async def test_a_silent_store_tells_its_outcome_behind_other_news_of_the_same_message(office: Office) -> None:
    first, second = await two(office)
    await first.ok("STORE 1:2 +FLAGS (\\Flagged)")
    assert await second.ok("UID STORE 1,99 FLAGS.SILENT (\\Answered)") == [  # 99 may have appeared meanwhile
        b"* 1 FETCH (UID 1 FLAGS (\\Flagged))",
        b"* 2 FETCH (UID 2 FLAGS (\\Flagged))",
        b"* 1 FETCH (UID 1 FLAGS (\\Answered))",
    ]
    await first.ok("STORE 1:2 FLAGS (\\Deleted)")
    assert await second.ok("UID STORE 1 FLAGS.SILENT (\\Answered)") == [b"* 2 FETCH (UID 2 FLAGS (\\Deleted))"]


async def test_idle_tells_of_changes_of_others_at_once(office: Office) -> None:
    first, second = await two(office)
    second.wire.feed(b"i IDLE\r\n")
    assert await second.line() == b"+ idling"
    await settle(second)
    await first.append("INBOX", MESSAGE)
    assert await second.line() == b"* 4 EXISTS"
    assert await second.line() in (b"* 0 RECENT", b"* 1 RECENT"), "whichever of them is told first"
    await first.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
    assert await second.line() == b"* 1 FETCH (UID 1 FLAGS (\\Deleted))"
    await first.ok("EXPUNGE")
    assert await second.line() == b"* 1 EXPUNGE"
    second.wire.feed(b"DONE\r\nj NOOP\r\n")
    assert await second.line() == b"i OK IDLE completed"
    assert await second.line() == b"j OK NOOP completed"


async def test_t_imap_17_what_changes_soon_after_news_is_told_together(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "_TOGETHER_S", 3600.0)
    first, second = await two(office)
    await first.ok("STORE 1 +FLAGS.SILENT (\\Answered)")
    second.wire.feed(b"i IDLE\r\n")
    assert await second.line() == b"+ idling"
    assert await second.line() == b"* 1 FETCH (UID 1 FLAGS (\\Answered))"
    first.wire.feed(b"".join(b"s%d STORE 1 %bFLAGS.SILENT (\\Flagged)\r\n" % (n, b"+-"[n % 2 : n % 2 + 1]) for n in range(101)))
    await first.replies(b"s100 ")
    second.wire.feed(b"DONE\r\n")
    assert await second.replies(b"i ") == [b"* 1 FETCH (UID 1 FLAGS (\\Answered \\Flagged))", b"OK IDLE completed"]


async def test_t_imap_09_changes_do_not_pile_up_for_an_idle_client_that_does_not_read(office: Office) -> None:
    first, second = await two(office)
    second.wire.feed(b"i IDLE\r\n")
    assert await second.line() == b"+ idling"
    await settle(second)
    send, reads = second.wire.send, asyncio.Event()

    async def waiting(octets: bytes) -> None:
        await reads.wait()
        await send(octets)

    with patch.object(second.wire, "send", waiting):
        for sign in "+-" * 25:
            await first.ok(f"STORE 1 {sign}FLAGS.SILENT (\\Flagged)")
        await first.ok("STORE 2 +FLAGS.SILENT (\\Flagged)")
        reads.set()
        told: list[bytes] = []
        while not told or not told[-1].startswith(b"* 2 "):
            told.append(await second.line())
    assert len(told) <= 3, "what was under way, and how it is in the end"


@pytest.mark.parametrize("garbage", [b"NOOP\r\n", b"\r\n", b"i2 LOGOUT\r\n", b"DONE NOW\r\n"])
async def test_t_imap_17_garbage_instead_of_done_ends_idle_with_bad(office: Office, garbage: bytes) -> None:
    client = await Client(office).login()
    client.wire.feed(b"i IDLE\r\n" + garbage + b"k NOOP\r\n")
    assert [await client.line() for _ in range(3)] == [b"+ idling", b"i BAD DONE was expected", b"k OK NOOP completed"]
