"""Sessions of one account beside each other: what each may ask for, and what it costs; for news of others see test_news."""

import asyncio
import gc
import re
import tracemalloc
import weakref
from datetime import UTC, datetime
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mailward.access.imap import working
from mailward.model.ids import AccountId
from mailward.protocol.imap.arguments import set_text
from mailward.store.ops import Append
from support.imap import APPEND_OCTETS, MESSAGE, Client, Office, settle, two


async def test_t_imap_18_pipelined_commands_run_in_order_and_numbers_hold(office: Office) -> None:
    first, second = await two(office)
    await second.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
    await second.ok("EXPUNGE")
    first.wire.feed(
        b"a SELECT INBOX\r\nb STORE 1:2 +FLAGS (\\Deleted)\r\nc FETCH 1:2 UID\r\nd SEARCH ALL\r\ne EXPUNGE\r\nf FETCH 1:* UID\r\ng NOOP\r\n"
    )
    replies = await first.replies(b"g ")
    said = b"\n".join(replies)
    assert re.search(rb"\nc OK .*\n\* SEARCH 1 2\nd OK .*\n\* 2 EXPUNGE\n\* 1 EXPUNGE\ne OK", said, re.DOTALL)
    assert b"f BAD" in said, "nothing is left"


async def test_only_the_first_session_is_told_that_a_message_is_recent(office: Office) -> None:
    first, second = await two(office)
    assert b"\\Recent" in (await first.ok("FETCH 1 FLAGS"))[0]
    assert b"\\Recent" not in (await second.ok("FETCH 1 FLAGS"))[0]
    await office_append(second)
    assert b"* 1 RECENT" in await second.ok("NOOP")
    assert b"* 3 RECENT" in await first.ok("NOOP")
    assert await second.ok("SEARCH NEW") == [b"* SEARCH 4"]
    assert await second.ok("SEARCH OLD") == [b"* SEARCH 1 2 3"]


async def office_append(client: Client) -> None:
    """A message whose arrival the client's session is the first to be told of."""
    session = client.session
    session.store.apply([Append(session.mailbox.info.id, MESSAGE, datetime(2026, 1, 1, tzinfo=UTC))])


async def test_t_imap_19_utf_8_goes_to_who_enabled_it_and_to_no_other(office: Office) -> None:
    message = 'From: "Jürgen" <jürgen@example.org>\r\nSubject: Grüße\r\nContent-Type: text/plain; name=Grüße\r\n\r\nbody\r\n'
    first, second = await Client(office).login(), await Client(office).login()
    assert await first.ok("ENABLE UTF8=ACCEPT") == [b"* ENABLED UTF8=ACCEPT"]
    await first.ok('CREATE "Entwürfe & mehr"')
    await first.append('"Entwürfe & mehr"', message.encode())
    for client, name, subject in (
        (first, '"Entwürfe & mehr"', '"Grüße"'),
        (second, '"Entw&APw-rfe &- mehr"', '"=?utf-8?B?R3LDvMOfZQ==?="'),
    ):
        begun = len(client.wire.sent)
        assert f'* LIST (\\HasNoChildren) "/" {name}'.encode() in await client.ok('LIST "" *')
        await client.ok(f"STATUS {name} (MESSAGES)")
        await client.ok(f"SELECT {name}")
        (fetched,) = await client.ok("FETCH 1 (ENVELOPE BODYSTRUCTURE BODY)")
        assert subject.encode() in fetched
        assert client.wire.sent[begun:].isascii() == (client is second)


@pytest.mark.parametrize("idle", [True, False])
async def test_a_session_whose_mailbox_is_deleted_is_told_goodbye(office: Office, idle: bool) -> None:
    first, second = await Client(office).login(), await Client(office).login()
    await first.ok("CREATE work")
    await second.ok("SELECT work")
    if idle:
        second.wire.feed(b"i IDLE\r\n")
        assert await second.line() == b"+ idling"
        await settle(second)
    await first.ok("DELETE work")
    if not idle:
        second.wire.feed(b"n NOOP\r\n")
        assert await second.line() == b"n OK NOOP completed"
    assert await second.line() == b"* BYE The selected mailbox was deleted"
    assert await second.line() == b""


async def test_a_session_that_deletes_its_own_mailbox(office: Office) -> None:
    client = await Client(office).login()
    await client.ok("CREATE work")
    await client.ok("SELECT work")
    assert (await client.command("DELETE work"))[-1].startswith(b"OK")


async def test_moves_into_and_out_of_junk_are_told_behind_the_reply(office: Office) -> None:
    client, _ = await two(office)
    await client.ok("COPY 1 Archive")
    await client.ok("MOVE 1:2 Junk")
    await client.ok("SELECT Junk")
    await client.ok("UID COPY 1 Junk")
    await client.ok("MOVE 1 Trash")
    await client.ok("COPY 1 INBOX")
    await asyncio.gather(*office.desk.background)
    told = sorted(
        (move.source, move.target, move.source_is_junk, move.target_is_junk, move.target_is_trash) for move in office.moves
    )
    assert told == [
        ("INBOX", "Junk", False, True, False),
        ("INBOX", "Junk", False, True, False),
        ("Junk", "INBOX", True, False, False),
        ("Junk", "Trash", True, False, True),
    ]
    assert {move.octets for move in office.moves} == {MESSAGE.replace(b"s\r", b"s%d\r" % n) for n in (0, 1)}


async def test_move_within_a_mailbox_ends(office: Office) -> None:
    client, _ = await two(office)
    told = await client.ok("MOVE * INBOX")
    assert re.fullmatch(rb"\* OK \[COPYUID \d+ 3 4\] Moved", told[0])
    assert b"* 3 EXPUNGE" in told and b"* 3 EXISTS" in told


async def test_moving_what_others_have_expunged_is_ok(office: Office) -> None:
    first, second = await two(office)
    await first.ok("STORE 1:* +FLAGS.SILENT (\\Deleted)")
    await first.ok("EXPUNGE")
    assert (await second.command("MOVE 1:* Archive"))[-1] == b"OK MOVE completed"


async def test_expunging_many_messages_at_once(office: Office) -> None:
    client = await Client(office).login()
    for _ in range(100):
        await client.append("INBOX", MESSAGE)
    await client.ok("SELECT INBOX")
    await client.ok("STORE 2:99 +FLAGS.SILENT (\\Deleted)")
    assert await client.ok("EXPUNGE") == [b"* %d EXPUNGE" % n for n in range(99, 1, -1)]
    assert await client.ok("FETCH 1:* UID") == [b"* 1 FETCH (UID 1)", b"* 2 FETCH (UID 100)"]


async def test_a_damaged_message_is_left_out_and_said(office: Office) -> None:
    client, _ = await two(office)
    (pack,) = office.folder.glob("*/packs/*")
    octets = pack.read_bytes()
    assert octets.count(b"s1\r") == 1
    pack.write_bytes(octets.replace(b"s1\r", b"s9\r"))
    for items in ("BODY.PEEK[]", "(UID BODY.PEEK[] FLAGS)", "BODY.PEEK[]<0.5>"):
        replies = await client.command(f"FETCH 1:3 {items}")
        assert [line[:9] for line in replies[:-1]] == [b"* 1 FETCH", b"* 3 FETCH"]
        assert replies[-1] == b"NO [SERVERBUG] 1 of the messages could not be read"
    assert (await client.command("FETCH 1:3 BODY[]"))[-1].startswith(b"NO [SERVERBUG] 1 of")
    await client.ok("NOOP")
    assert await client.ok("SEARCH UNSEEN") == [b"* SEARCH 2"], "nobody has seen it"


async def test_t_imap_09_large_messages_are_sent_in_pieces(office: Office) -> None:
    client = await Client(office).login()
    large = b"Subject: large\r\n\r\n" + (b"x" * 76 + b"\r\n") * 13_000
    assert len(large) < APPEND_OCTETS
    assert (await client.append("INBOX", large)).startswith(b"OK")
    await client.ok("SELECT INBOX")
    sizes: list[int] = []
    send = client.wire.send

    async def noting(octets: bytes) -> None:
        sizes.append(len(octets))
        await send(octets)

    with patch.object(client.wire, "send", noting):
        (reply,) = await client.ok("FETCH 1 BODY.PEEK[]")
    assert reply == b"* 1 FETCH (BODY[] {%d}\r\n%b)" % (len(large), large)
    assert max(sizes) < 600_000
    assert (await client.ok("FETCH 1 BODY.PEEK[TEXT]<300000.400000>"))[0].count(b"x") > 389_000
    assert (await client.ok("FETCH 1 BODY.PEEK[]<0.4294967295>"))[0].startswith(b"* 1 FETCH (BODY[]<0> {%d}\r\n" % len(large))


async def test_t_imap_09_a_part_of_a_large_message_is_never_in_memory(office: Office) -> None:
    client = await Client(office).login()
    lines = (b"x" * 76 + b"\r\n") * 100_000
    head = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: in it\r\nX: y\r\n\r\n"
    message = head + lines + b"--b\r\n\r\n" + lines + lines + b"--b--\r\n"
    account = office.store.open(AccountId("alice"))
    account.apply([Append(account.mailbox("INBOX").id, message, datetime(2026, 11, 2, tzinfo=UTC), ())])
    await client.ok("SELECT INBOX")
    size = len(lines) * 2 - 2
    sent: list[bytes] = []

    async def noting(octets: bytes) -> None:
        if len(octets) < 1000:
            client.wire.sent += octets
        else:
            sent.append(octets[:100])
            client.wire.sent += octets.partition(b")\r\n")[2]  # the reply, behind the last of it
        client.wire.news.set()

    tracemalloc.start()
    try:
        with patch.object(client.wire, "send", noting):
            await client.command("FETCH 1 BODY.PEEK[2]")
        assert tracemalloc.get_traced_memory()[1] < size / 5
    finally:
        tracemalloc.stop()
    assert sent[0].startswith(b"* 1 FETCH (BODY[2] {%d}\r\nxxx" % size)
    (reply,) = await client.ok("FETCH 1 (BODY.PEEK[2]<76.4> BODY.PEEK[1.HEADER.FIELDS (SUBJECT)]<2.4> BODY.PEEK[2]<15599996.9>)")
    assert reply == (
        b"* 1 FETCH (BODY[2]<76> {4}\r\n\r\nxx BODY[1.HEADER.FIELDS (SUBJECT)]<2> {4}\r\nbjec BODY[2]<15599996> {2}\r\nxx)"
    )


async def test_t_imap_15_append_keeps_octets_or_says_no(office: Office) -> None:
    client = await Client(office).login()
    await client.append("INBOX", b"Subject: lf\n\nline\n")
    await client.ok("SELECT INBOX")
    assert await client.ok("FETCH 1 BODY.PEEK[]") == [
        b"* 1 FETCH (BODY[] {22}\r\nSubject: lf\r\n\r\nline\r\n)".replace(b"{22}", b"{21}")
    ]
    assert (await client.append("INBOX", b"a\x00b")).startswith(b"NO [CANNOT]")
    assert (await client.append("INBOX", b"x" * (APPEND_OCTETS + 1))).startswith(b"NO [TOOBIG]")
    assert (await client.append("INBOX", MESSAGE, '"99-Jan-2026 00:00:00 +0000" ')).startswith(b"BAD")
    keywords = " ".join(f"k{n}" for n in range(64))
    assert (await client.append("INBOX", MESSAGE, f"({keywords}) ")).startswith(b"NO")
    assert await client.ok("STATUS INBOX (MESSAGES)") == [b'* STATUS "INBOX" (MESSAGES 1)']


async def test_t_imap_15_a_client_that_goes_away_within_a_literal_leaves_nothing(office: Office) -> None:
    client = await Client(office).login()
    client.wire.feed(b"a APPEND INBOX {100}\r\n")
    assert await client.line() == b"+ Ready for literal data"
    client.wire.feed(b"half")
    client.wire.feed(b"")
    await client.task
    other = await Client(office).login()
    assert await other.ok("STATUS INBOX (MESSAGES)") == [b'* STATUS "INBOX" (MESSAGES 0)']


async def test_t_imap_14_accounts_do_not_meet(office: Office) -> None:
    alice, bob = await Client(office).login("alice"), await Client(office).login("bob")
    await alice.append("INBOX", MESSAGE)
    await alice.ok("CREATE secret")
    await bob.ok("SELECT INBOX")
    assert await bob.ok("UID FETCH 1:* BODY[]") == []
    assert (await bob.command("SELECT secret"))[-1].startswith(b"NO [NONEXISTENT]")


@pytest.mark.parametrize(
    ("numbers", "text"), [((1,), "1"), ((1, 2, 3, 7), "1:3,7"), ((3, 2, 1), "3,2,1"), ((5, 6, 2, 3), "5:6,2:3")]
)
def test_sets_of_copyuid_keep_their_order(numbers: tuple[int, ...], text: str) -> None:
    assert set_text(numbers) == text


WORDS = st.sampled_from(
    [
        b"a ", b"b ", b"\r\n", b"\r\n", b"\r\n", b"SELECT INBOX", b"FETCH ", b"UID ", b"1:* ", b"BODY[]", b"(FLAGS ENVELOPE)", b"STORE ", b"+FLAGS (",
        b"\\Seen", b")", b"SEARCH ", b"OR ", b"NOT ", b"ALL", b"{3}\r\n", b"{3+}\r\n", b"APPEND INBOX ", b"IDLE", b"DONE", b"COPY ", b"Junk", b'"', b"LIST ",
        b'"" ', b"*", b"%", b"RETURN (STATUS (MESSAGES))", b"STATUS ", b"CREATE ", b"EXPUNGE", b"CLOSE", b"NOOP", b"\x00", b"\xff", b"AUTHENTICATE PLAIN ",
        b"LOGIN ", b"MOVE ", b"&AAA-", b"4294967295", b"<0.5>", b"ID NIL",
    ]
)  # fmt: skip


@given(st.booleans(), st.lists(WORDS | st.binary(max_size=5), max_size=60).map(b"".join))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_octets_are_answered_by_the_grammar(tmp_path: Path, logged_in: bool, octets: bytes) -> None:
    """Every reply is untagged, a continuation, or a tagged OK, NO or BAD; nothing is unforeseen."""

    async def converse() -> bytes:
        client = Client(Office(tmp_path))
        if logged_in:
            await client.login()
            await client.ok("SELECT INBOX")
        start = len(client.wire.sent)
        client.wire.feed(octets + b"\r\n")
        client.wire.feed(b"")
        await asyncio.wait((client.task,), timeout=20)
        assert client.task.done()
        if client.task.exception() is not None:
            assert isinstance(client.task.exception(), ConnectionError)
        return bytes(client.wire.sent[start:])

    said = asyncio.run(converse())
    assert b"SERVERBUG" not in said
    rest = re.sub(rb"\{(\d+)\}\r\n(?s:.*?)\)\r\n", b")\r\n", said)
    for line in rest.split(b"\r\n")[:-1]:
        assert re.match(rb"\* |\+ |[!-~]+ (OK|NO|BAD) ", line), (line, said)


async def test_t_dos_06_of_a_session_that_ended_nothing_large_waits_for_a_collection(office: Office) -> None:
    client = await Client(office).login()
    await client.append("INBOX", MESSAGE)
    await client.ok("SELECT INBOX")
    client.wire.feed(b"a APPEND INBOX {100000+}\r\n" + b"y" * 90_000)
    await settle(client)
    session = weakref.ref(client.session)
    large: list[weakref.ref[object]] = [weakref.ref(client.session.framer), weakref.ref(client.session.mailbox)]
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        client.wire.feed(b"")
        await client.task
        assert session() is not None and [one() for one in large] == [None, None]
    finally:
        if was_enabled:
            gc.enable()


@pytest.mark.parametrize("many", [3, 1000])
@pytest.mark.parametrize("enabled", ["", "CONDSTORE", "QRESYNC"])
async def test_what_many_lines_tell_is_the_same_and_leaves_in_pieces_t_dos_08(
    office: Office, monkeypatch: pytest.MonkeyPatch, enabled: str, many: int
) -> None:
    monkeypatch.setattr(working, "MANY", many)
    monkeypatch.setattr(working, "PIECE_OCTETS", 100)
    first, second = await two(office, messages=12)
    for client in (first, second) if enabled else ():
        await client.ok(f"ENABLE {enabled}")
    modseq = re.compile(rb" MODSEQ \(\d+\)")
    sent: list[int] = []

    async def told(client: Client, command: str) -> list[bytes]:
        send = client.wire.send

        async def counted(octets: bytes) -> None:
            sent.append(len(octets))
            await send(octets)

        monkeypatch.setattr(client.wire, "send", counted)
        replies = await client.ok(command)
        assert all((b"MODSEQ" in line) == bool(enabled) for line in replies if b"FETCH" in line)
        return [modseq.sub(b"", line) for line in replies if b"HIGHESTMODSEQ" not in line]

    def lines(text: bytes, numbers: range = range(1, 13)) -> list[bytes]:
        return [text % (number, number) for number in numbers]

    seen = lines(b"* %d FETCH (UID %d FLAGS (\\Seen))")
    assert [line.replace(b"\\Recent ", b"") for line in await told(first, "STORE 1:* +FLAGS (\\Seen)")] == seen
    assert await told(second, "NOOP") == seen
    await second.ok("STORE 1:6 +FLAGS.SILENT (\\Deleted)")
    replies = await told(first, "STORE 5:12 FLAGS.SILENT (\\Seen \\Deleted)")
    both = [
        b"* %d FETCH (UID %d FLAGS (\\Recent \\Seen \\Deleted))" % (n, n) for n in range(1, 5)
    ]  # 5 and 6 are as it takes them to be
    assert [line for line in replies if b"FLAGS" in line] == both
    await second.ok("EXPUNGE")
    gone = [b"* VANISHED 1:12"] if enabled == "QRESYNC" else [b"* %d EXPUNGE" % number for number in range(12, 0, -1)]
    assert await told(first, "NOOP") == gone
    assert (max(sent) <= 200) == (many == 3)
