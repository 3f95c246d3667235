"""Rules that other servers' users have paid for: what a session says, and to whom. Each is in its test's docstring."""

import re
from pathlib import Path

import pytest

from support.imap import Client, Office

MESSAGE = b"Subject: s\r\n\r\nbody\r\n"


async def reader(folder: Path, messages: int = 3) -> Client:
    """A session with INBOX selected."""
    client = await Client(Office(folder)).login()
    for _ in range(messages):
        await client.append("INBOX", MESSAGE)
    await client.ok("SELECT INBOX")
    return client


async def test_continuations(tmp_path: Path) -> None:
    """A continuation is "+ " with the space: without it a phone cannot save what it has sent."""
    client = Client(Office(tmp_path))
    client.wire.feed(b"a AUTHENTICATE PLAIN\r\n")
    assert [await client.line() for _ in range(2)][1] == b"+ "
    client.wire.feed(b"AGFsaWNlQGV4YW1wbGUudGVzdABzZWNyZXQ=\r\nb APPEND INBOX {20}\r\n")
    assert (await client.replies(b"a "))[-1].startswith(b"OK")
    assert (await client.line()).startswith(b"+ ")
    client.wire.feed(MESSAGE + b"\r\nc IDLE\r\n")
    assert (await client.replies(b"b "))[-1].startswith(b"OK")
    assert (await client.line()).startswith(b"+ ")
    await client.close()


async def test_response_codes(tmp_path: Path) -> None:
    """A response code always has text after it: [HIGHESTMODSEQ 5] alone is read wrongly."""
    client = await reader(tmp_path)
    await client.ok("ENABLE QRESYNC")
    for command in (
        "SELECT Junk",
        "SELECT INBOX",
        "COPY 1 Junk",
        "STORE 1 (UNCHANGEDSINCE 1) +FLAGS (\\Deleted)",
        "UID MOVE 2 Junk",
    ):
        await client.ok(command)
    await client.ok("UID STORE 1 +FLAGS (\\Deleted)")
    await client.ok("EXPUNGE")
    await client.command("SELECT Nowhere")
    lines = [line for line in bytes(client.wire.sent).split(b"\r\n") if re.match(rb"\S+ (OK|NO|BAD) \[", line)]
    assert len(lines) > 20
    assert all(re.fullmatch(rb"\S+ (OK|NO|BAD) \[[^\]]+\] \S.*", line) for line in lines), lines
    await client.close()


async def test_search(tmp_path: Path) -> None:
    """SEARCH is answered when it finds nothing, too, and by ESEARCH only to who asked for it or has enabled IMAP4rev2."""
    client = await reader(tmp_path)
    assert await client.ok("SEARCH DELETED") == [b"* SEARCH"]
    assert await client.ok("SEARCH RETURN (ALL) ALL") == [b'* ESEARCH (TAG "t7") ALL 1:3']
    await client.ok("ENABLE IMAP4rev2")
    assert await client.ok("SEARCH ALL") == [b'* ESEARCH (TAG "t9") ALL 1:3']
    await client.close()


async def test_names_of_rev2(tmp_path: Path) -> None:
    """OLDNAME goes only to sessions that enabled IMAP4rev2."""
    client = await reader(tmp_path, 0)
    assert not any(b"LIST" in line or b"OLDNAME" in line for line in await client.ok("SELECT inbox"))
    await client.ok("ENABLE IMAP4rev2")
    assert b'* LIST () "/" "INBOX" ("OLDNAME" ("inbox"))' in await client.ok("SELECT inbox")
    await client.close()


async def test_text_of_any_kind_is_searched(tmp_path: Path) -> None:
    """RFC 9051 section 6.4.4: the string is anywhere in the body, so also in an invitation."""
    client = await Client(Office(tmp_path)).login()
    invitation = b"Content-Type: text/calendar\r\nContent-Transfer-Encoding: base64\r\n\r\nU1VNTUFSWTpLYWZmZWU=\r\n"
    await client.append("INBOX", invitation)
    await client.append("INBOX", invitation.replace(b"text/calendar", b"image/png"))
    await client.ok("SELECT INBOX")
    assert await client.ok("SEARCH BODY kaffee") == await client.ok("SEARCH TEXT SUMMARY:Kaffee") == [b"* SEARCH 1"]
    await client.close()


async def test_a_subscribed_name_is_told_though_its_mailbox_is_gone(tmp_path: Path) -> None:
    """RFC 3501 section 6.3.9, RFC 5258 section 3."""
    client = await Client(Office(tmp_path)).login()
    await client.ok("CREATE a/b")
    await client.ok("SUBSCRIBE a/b")
    await client.ok("SUBSCRIBE never")
    await client.ok("DELETE a/b")
    await client.ok("DELETE a")
    assert await client.ok('LSUB "" a*') == [b'* LSUB (\\Noselect) "/" "a/b"']
    assert await client.ok('LSUB "" never') == [b'* LSUB (\\Noselect) "/" "never"']
    told = await client.ok('LIST (SUBSCRIBED) "" (a/b never)')
    attributes = b"\\HasNoChildren \\NonExistent \\Subscribed"
    assert told == [b'* LIST (%b) "/" %b' % (attributes, name) for name in (b'"a/b"', b'"never"')]
    assert await client.ok('LIST "" never') == await client.ok('LIST (SUBSCRIBED SPECIAL-USE) "" never') == []
    await client.ok("UNSUBSCRIBE never")
    assert await client.ok('LSUB "" never') == []
    await client.close()


@pytest.mark.parametrize("command", ['LIST "" *', 'LIST "" * RETURN (SPECIAL-USE)', 'LSUB "" *'])
async def test_special_uses(tmp_path: Path, command: str) -> None:
    """Plain LIST tells special uses too, one mailbox a role; RETURN (SPECIAL-USE) lists all mailboxes, not only the special ones."""
    client = await reader(tmp_path, 0)
    said = await client.ok(command)
    assert len(said) == 6
    for use in (b"\\Drafts", b"\\Sent", b"\\Junk", b"\\Trash", b"\\Archive"):
        assert sum(use in line.split(b")")[0] for line in said) == 1
    await client.close()


async def test_list_with_status(tmp_path: Path) -> None:
    """STATUS follows the LIST line of its mailbox, also where a mailbox is listed for what is subscribed below it."""
    client = await reader(tmp_path, 0)
    await client.ok("CREATE work/deep")
    await client.ok("SUBSCRIBE work/deep")
    said = await client.ok('LIST (SUBSCRIBED RECURSIVEMATCH) "" "work" RETURN (STATUS (MESSAGES))')
    assert [line.split(b" ")[1] for line in said] == [b"LIST", b"STATUS"]
    await client.close()


async def test_sets_of_uids(tmp_path: Path) -> None:
    """`UID n:*` always has the last message, and ranges may be reversed."""
    client = await reader(tmp_path)
    assert await client.ok("UID FETCH 100:* (UID)") == [b"* 3 FETCH (UID 3)"]
    assert await client.ok("UID FETCH *:100 (UID)") == [b"* 3 FETCH (UID 3)"]
    assert await client.ok("FETCH 2:1 (UID)") == [b"* 1 FETCH (UID 1)", b"* 2 FETCH (UID 2)"]
    await client.close()


@pytest.mark.parametrize(
    "command", ["UID COPY 100 Junk", "UID MOVE 100 Junk", "UID STORE 100 +FLAGS (\\Seen)", "UID EXPUNGE 100"]
)
async def test_nothing(tmp_path: Path, command: str) -> None:
    """A command on UIDs that are not there is OK."""
    client = await reader(tmp_path)
    assert await client.ok(command) == []
    await client.close()


async def test_enable(tmp_path: Path) -> None:
    """ENABLE tells what it enabled, and QRESYNC implies CONDSTORE."""
    client = await reader(tmp_path)
    assert (await client.ok("ENABLE X-NOT QRESYNC"))[0] == b"* ENABLED QRESYNC"
    assert re.fullmatch(rb"\* 1 FETCH \(UID 1 FLAGS \(.*\) MODSEQ \(\d+\)\)", (await client.ok("STORE 1 +FLAGS (\\Flagged)"))[0])
    await client.close()


async def test_modseq_is_for_those_who_asked(tmp_path: Path) -> None:
    """MODSEQ is never told to a session that has not shown that it knows it; HIGHESTMODSEQ is told at SELECT and never 0."""
    client = await reader(tmp_path, 0)
    selected = b"\n".join(await client.ok("SELECT Archive"))
    assert re.search(rb"\[HIGHESTMODSEQ [1-9]\d*\]", selected)
    assert b"NOMODSEQ" not in selected
    await client.append("Archive", MESSAGE)
    assert b"MODSEQ" not in b"".join(await client.ok("STORE 1 +FLAGS (\\Seen)") + await client.ok("FETCH 1 FLAGS"))
    await client.close()


async def test_vanished_at_both_ends(tmp_path: Path) -> None:
    """VANISHED has UID 1, and the highest UID too: "*" is not the last message that is left."""
    client = await reader(tmp_path)
    await client.ok("ENABLE QRESYNC")
    await client.ok("UID STORE 1,3 +FLAGS.SILENT (\\Deleted)")
    assert (await client.ok("EXPUNGE"))[0] == b"* VANISHED 1,3"
    assert (await client.ok("UID FETCH 1:* (FLAGS) (CHANGEDSINCE 4 VANISHED)"))[0] == b"* VANISHED (EARLIER) 1,3"
    await client.close()


async def test_what_is_asked_for_is_what_is_answered(tmp_path: Path) -> None:
    """RFC822 is answered by RFC822; a partial fetch is cut to what there is, and out of range it is an empty string."""
    client = await reader(tmp_path)
    assert (await client.ok("FETCH 1 (RFC822)"))[0] == b"* 1 FETCH (RFC822 {%d}\r\n%b)" % (len(MESSAGE), MESSAGE)
    assert await client.ok("FETCH 1 (BODY.PEEK[]<14.100>)") == [b"* 1 FETCH (BODY[]<14> {6}\r\nbody\r\n)"]
    assert await client.ok("FETCH 1 (BODY.PEEK[]<99.10>)") == [b"* 1 FETCH (BODY[]<99> {0}\r\n)"]
    assert (await client.ok("FETCH 1 (RFC822.SIZE)")) == [b"* 1 FETCH (RFC822.SIZE %d)" % len(MESSAGE)]
    await client.close()


async def test_capabilities_and_who_we_are(tmp_path: Path) -> None:
    """Capabilities are in the greeting and in the OK of a login; no version is told before it."""
    client = Client(Office(tmp_path))
    greeting = await client.line()
    assert b"[CAPABILITY IMAP4rev1 " in greeting
    assert not re.search(rb"\d+\.\d+", greeting + b"".join(await client.ok("ID NIL")))
    assert (await client.command("LOGIN alice@example.test secret"))[-1].startswith(b"OK [CAPABILITY IMAP4rev1 ")
    await client.close()
