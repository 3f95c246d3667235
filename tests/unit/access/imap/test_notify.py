"""NOTIFY (RFC 5465): who is told of what, when, without having asked each time."""

import asyncio

import pytest

from mailward.access.imap import overview
from mailward.access.imap.commands import notify
from mailward.model.errors import StorageError
from mailward.store.account import EmbeddedAccount
from mailward.store.base import MailboxInfo
from support.imap import Client, Office, settle

MESSAGE = b"Subject: news\r\n\r\nbody\r\n"


@pytest.fixture(autouse=True)
def without_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notify, "PAUSE_S", 0.0)


async def two(office: Office, selects: str = "INBOX") -> tuple[Client, Client]:
    """Who changes things, with Archive selected and a message in INBOX, and who asks to be told."""
    first, second = await Client(office).login(), await Client(office).login()
    await first.append("INBOX", MESSAGE)
    await first.ok("SELECT INBOX")  # nothing is recent afterwards
    await first.ok("SELECT Archive")
    if selects:
        await second.ok(f"SELECT {selects}")
    return first, second


async def told(client: Client) -> list[bytes]:
    """What has been told until the session waits again, RECENT left out."""
    await settle(client)
    return [line for line in await client.ok("NOOP") if not line.endswith(b" RECENT")]


async def test_new_messages_are_told_at_once_with_what_is_asked_of_them(office: Office) -> None:
    first, second = await two(office)
    await second.ok("NOTIFY SET (SELECTED (MessageNew (FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)]) MessageExpunge))")
    await settle(second)
    await first.append("INBOX", MESSAGE, "(\\Flagged) ")
    assert await second.line() == b"* 2 EXISTS"
    assert (await second.line()).endswith(b" RECENT")
    fetched = (await second.line()).replace(b"\\Recent ", b"")
    assert fetched.startswith(b"* 2 FETCH (UID 2 FLAGS (\\Flagged) ")
    assert fetched.endswith(b" BODY[HEADER.FIELDS (SUBJECT)] {17}\r\nSubject: news\r\n\r\n)")
    await second.ok("NOOP")
    assert b"\\Seen" not in (await second.ok("FETCH 2 FLAGS"))[0]


async def test_what_a_command_tells_of_is_fetched_behind_it(office: Office) -> None:
    _, second = await two(office)
    await second.ok("NOTIFY SET (SELECTED (MessageNew (UID) MessageExpunge))")
    second.wire.feed(b"a APPEND INBOX {%d+}\r\n%b\r\n" % (len(MESSAGE), MESSAGE))
    assert b"* 2 EXISTS" in await second.replies(b"a ")
    assert await second.line() == b"* 2 FETCH (UID 2)"


@pytest.mark.parametrize(("which", "at_once"), [("SELECTED", True), ("SELECTED-DELAYED", False)])
async def test_expunged_messages_are_told_at_once_or_with_a_command_that_may(office: Office, which: str, at_once: bool) -> None:
    first, second = await two(office)
    await first.ok("SELECT INBOX")
    await second.ok(f"NOTIFY SET ({which} (MessageNew MessageExpunge FlagChange))")
    await settle(second)
    await first.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
    assert await second.line() == b"* 1 FETCH (UID 1 FLAGS (\\Deleted))"
    await settle(second)
    await first.ok("EXPUNGE")
    if at_once:
        assert await second.line() == b"* 1 EXPUNGE"
    else:
        await first.append("INBOX", MESSAGE)
        assert await second.line() == b"* 2 EXISTS"
        assert b"* 1 EXPUNGE" in await second.ok("NOOP")


async def test_other_mailboxes_are_told_by_status(office: Office) -> None:
    first, second = await two(office)
    found = await second.ok(
        "NOTIFY SET STATUS (SELECTED (MessageNew MessageExpunge)) (MAILBOXES (INBOX Archive) (MessageNew MessageExpunge))"
    )
    assert [line.partition(b" UIDVALIDITY")[0] for line in found] == [b'* STATUS "Archive" (MESSAGES 0 UIDNEXT 1']
    await settle(second)
    await first.append("Archive", MESSAGE)
    assert (await second.line()).startswith(b'* STATUS "Archive" (MESSAGES 1 UIDNEXT 2 UIDVALIDITY ')
    await settle(second)
    await first.append("Drafts", MESSAGE)
    await first.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
    await first.ok("EXPUNGE")
    assert (await second.line()).startswith(b'* STATUS "Archive" (MESSAGES 0 UIDNEXT 2 UIDVALIDITY ')
    assert await told(second) == [], "nobody asked of Drafts, nor of flags"


async def test_changed_flags_elsewhere_are_told_by_unseen_and_modseq(office: Office) -> None:
    first, second = await two(office, selects="")
    await second.ok("ENABLE CONDSTORE")
    await first.append("Archive", MESSAGE)
    await second.ok("NOTIFY SET (PERSONAL (MessageNew MessageExpunge FlagChange))")
    await settle(second)
    await first.ok("STORE 1 +FLAGS.SILENT (\\Seen)")
    line = await second.line()
    assert line.startswith(b'* STATUS "Archive" (UIDVALIDITY ') and b" UNSEEN 0 HIGHESTMODSEQ " in line


async def test_names_and_subscriptions_are_told_as_list_tells_them(office: Office) -> None:
    first, second = await two(office, selects="")
    await second.ok("NOTIFY SET (SUBTREE work (MailboxName SubscriptionChange)) (PERSONAL NONE)")
    for command, line in (
        ("CREATE work", b'* LIST () "/" "work"'),
        ("SUBSCRIBE work", b'* LIST (\\Subscribed) "/" "work"'),
        ("UNSUBSCRIBE work", b'* LIST () "/" "work"'),
        ("CREATE work/&AOQ-", b'* LIST () "/" "work/&AOQ-"'),
        ("RENAME work/&AOQ- work/a", b'* LIST () "/" "work/a" ("OLDNAME" ("work/&AOQ-"))'),
        ("DELETE work/a", b'* LIST (\\NonExistent) "/" "work/a"'),
    ):
        await settle(second)
        await first.ok("CREATE " + "elsewhere" + command.replace(" ", "-").replace("/", "-").replace("&", "-"))
        await first.ok(command)
        assert await second.line() == line


async def test_the_first_group_that_fits_counts(office: Office) -> None:
    first, second = await two(office, selects="")
    await second.ok("NOTIFY SET (MAILBOXES (Archive Junk) NONE) (PERSONAL (MessageNew MessageExpunge))")
    await settle(second)
    for mailbox in ("Archive", "Junk", "Sent"):
        await first.append(mailbox, MESSAGE)
    assert (await second.line()).startswith(b'* STATUS "Sent" (MESSAGES 1 ')
    assert await told(second) == []


async def test_who_idles_hears_of_all(office: Office) -> None:
    first, second = await two(office)
    await second.ok("NOTIFY SET (MAILBOXES Archive (MessageNew MessageExpunge))")
    second.wire.feed(b"i IDLE\r\n")
    assert await second.line() == b"+ idling"
    await first.append("Archive", MESSAGE)
    assert (await second.line()).startswith(b'* STATUS "Archive" (MESSAGES 1 ')
    await settle(second)
    await first.append("INBOX", MESSAGE)
    assert await second.line() == b"* 2 EXISTS"
    second.wire.feed(b"DONE\r\n")
    assert (await second.replies(b"i "))[-1] == b"OK IDLE completed"


async def test_notify_none_ends_it(office: Office) -> None:
    first, second = await two(office)
    await second.ok("NOTIFY SET (SELECTED (MessageNew MessageExpunge)) (PERSONAL (MessageNew MessageExpunge))")
    await second.ok("NOTIFY NONE")
    await first.append("INBOX", MESSAGE)
    await first.append("Archive", MESSAGE)
    assert await told(second) == [b"* 2 EXISTS"], "with the next command, as ever"


async def test_nothing_is_told_within_a_command(office: Office) -> None:
    first, second = await two(office)
    await second.ok("NOTIFY SET (SELECTED (MessageNew MessageExpunge FlagChange))")
    await settle(second)
    second.wire.feed(b"a STATUS {7}\r\n")
    assert await second.line() == b"+ Ready for literal data"
    await first.ok("SELECT INBOX")
    await first.ok("STORE 1 +FLAGS.SILENT (\\Flagged)")
    await settle(second)
    second.wire.feed(b"Archive (MESSAGES)\r\n")
    assert await second.replies(b"a ") == [
        b'* STATUS "Archive" (MESSAGES 0)', b"* 1 FETCH (UID 1 FLAGS (\\Flagged))", b"OK STATUS completed",
    ]  # fmt: skip


async def test_t_imap_17_too_many_mailboxes_end_it(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = await two(office)
    monkeypatch.setattr(overview, "MAX_MAILBOXES", 5)
    refused = b"[NOTIFICATIONOVERFLOW] There are too many mailboxes to tell of each"
    assert await second.command("NOTIFY SET STATUS (PERSONAL (MessageNew MessageExpunge))") == [b"NO " + refused]
    monkeypatch.setattr(overview, "MAX_MAILBOXES", 6)
    await second.ok("NOTIFY SET (SELECTED (MessageNew MessageExpunge)) (PERSONAL (MessageNew MessageExpunge))")
    await settle(second)
    await first.ok("CREATE more")
    assert await second.line() == b"* OK " + refused
    await first.ok("SELECT INBOX")
    await first.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
    await first.ok("EXPUNGE")
    assert await told(second) == [b"* 1 EXPUNGE"]


@pytest.mark.parametrize(
    "arguments",
    [
        "", " bogus", " NONE ", " SET", " SET STATUS", " SET STATUS ()", " SET STATUS (elsewhere (MessageNew MessageExpunge))",
        " SET (personal MessageNew)", " SET (personal (MessageNew MessageExpunge) )", " SET (selected (MailboxName))",
        " SET (selected (MessageNew))", " SET (personal (MessageExpunge))", " SET (personal (FlagChange))",
        " SET (selected NONE) (selected-delayed NONE)", " SET (personal (MessageNew (UID) MessageExpunge))",
        " SET (subtree (MessageNew MessageExpunge))", " SET (mailboxes () NONE)", " SET (selected (MessageNew (X) MessageExpunge))",
    ],
)  # fmt: skip
async def test_what_is_not_of_the_grammar(office: Office, arguments: str) -> None:
    client = await Client(office).login()
    assert (await client.command("NOTIFY" + arguments))[-1].startswith(b"BAD ")


async def test_events_that_are_not_known_are_named(office: Office) -> None:
    client = await Client(office).login()
    (reply,) = await client.command("NOTIFY SET (personal (ServerMetadataChange))")
    assert reply.startswith(b"NO [BADEVENT (MessageNew MessageExpunge FlagChange MailboxName SubscriptionChange)] ")


async def test_a_store_that_cannot_be_read_ends_the_session_with_a_word(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = await two(office)
    await second.ok("NOTIFY SET (PERSONAL (MessageNew MessageExpunge))")
    await settle(second)

    def broken(_: EmbeddedAccount) -> tuple[MailboxInfo, ...]:
        raise StorageError("the disk is gone")

    monkeypatch.setattr(EmbeddedAccount, "mailboxes", broken)
    await first.append("INBOX", MESSAGE)
    told = b""
    while not told.startswith(b"* BYE"):
        told = await second.line()
    assert told == b"* BYE Temporary problem, please try again later"


async def test_the_mailbox_may_be_deleted_and_the_client_may_go(office: Office) -> None:
    first, second = await two(office, selects="")
    await first.ok("CREATE work")
    await second.ok("SELECT work")
    await second.ok("NOTIFY SET (SELECTED (MessageNew MessageExpunge))")
    await settle(second)
    await first.ok("DELETE work")
    assert await second.line() == b"* BYE The selected mailbox was deleted"
    await first.ok("NOTIFY SET (PERSONAL (MessageNew MessageExpunge))")
    first.wire.feed(b"")
    async with asyncio.timeout(90):
        await first.task
