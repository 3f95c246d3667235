"""GETQUOTA, GETQUOTAROOT, STATUS of what expunging frees, OVERQUOTA (RFC 9208)."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from mailward.disk import Disk
from mailward.model.ids import AccountId
from mailward.model.limits import NO_LIMITS, MailLimits
from mailward.store import oplist
from mailward.store.embedded import EmbeddedStore
from mailward.store.ops import Append
from mailward.store.refusals import OverQuota
from support.imap import Client, Office

MESSAGE = b"Subject: s\r\n\r\n" + b"x" * 986


def limited(folder: Path, limits: MailLimits) -> Office:
    """Everybody has these limits."""
    office = Office(folder)
    office.use(EmbeddedStore(folder, Disk(), office.hints, limits_of=lambda _: limits))
    return office


async def test_an_account_with_limits_has_one_root(tmp_path: Path) -> None:
    client = await Client(limited(tmp_path, MailLimits(octets=2500, messages=7))).login()
    assert b" QUOTA QUOTA=RES-STORAGE QUOTA=RES-MESSAGE" in (await client.ok("CAPABILITY"))[0]
    await client.append("Trash", MESSAGE)
    quota = b'* QUOTA "" (STORAGE 1 3 MESSAGE 1 7)'
    assert await client.ok('GETQUOTA ""') == [quota]
    assert await client.ok("GETQUOTAROOT inbox") == [b'* QUOTAROOT "INBOX" ""', quota]
    assert (await client.command("GETQUOTA other"))[-1].startswith(b"NO [NONEXISTENT]")
    assert (await client.command("GETQUOTAROOT Nowhere"))[-1].startswith(b"NO [NONEXISTENT]")
    assert (await client.command('SETQUOTA "" (STORAGE 9)'))[-1].startswith(b"BAD")


@pytest.mark.parametrize(
    ("limits", "told"), [(MailLimits(octets=1024), b"(STORAGE 0 1)"), (MailLimits(messages=1), b"(MESSAGE 0 1)")]
)
async def test_a_resource_without_a_limit_is_not_listed(tmp_path: Path, limits: MailLimits, told: bytes) -> None:
    client = await Client(limited(tmp_path, limits)).login()
    assert await client.ok('GETQUOTA ""') == [b'* QUOTA "" ' + told]


async def test_without_limits_there_is_no_root_and_nothing_fails(tmp_path: Path) -> None:
    client = await Client(limited(tmp_path, NO_LIMITS)).login()
    assert await client.ok("GETQUOTAROOT INBOX") == [b'* QUOTAROOT "INBOX"']
    assert (await client.command('GETQUOTA ""'))[-1].startswith(b"NO [NONEXISTENT]")


async def test_who_is_full_is_told_so_and_what_would_help(tmp_path: Path) -> None:
    client = await Client(limited(tmp_path, MailLimits(octets=2500))).login()
    for _ in range(2):
        await client.append("INBOX", MESSAGE)
    assert (await client.append("INBOX", MESSAGE)).startswith(b"NO [OVERQUOTA] ")
    await client.ok("SELECT INBOX")
    assert (await client.command("COPY 1 Trash"))[-1].startswith(b"NO [OVERQUOTA] ")
    await client.ok("MOVE 1 Trash")
    assert await client.ok("STATUS INBOX (DELETED-STORAGE)") == [b'* STATUS "INBOX" (DELETED-STORAGE 0)']
    await client.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
    assert await client.ok("STATUS INBOX (DELETED DELETED-STORAGE)") == [b'* STATUS "INBOX" (DELETED 1 DELETED-STORAGE 1000)']
    await client.ok("EXPUNGE")
    assert (await client.append("INBOX", MESSAGE)).startswith(b"OK ")


async def test_a_mailbox_has_a_limit_of_messages_without_a_quota_t_dos_06(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    office = limited(tmp_path, NO_LIMITS)
    client = await Client(office).login()
    for _ in range(3):
        await client.append("INBOX", MESSAGE)
    monkeypatch.setattr(oplist, "MAX_MESSAGES", 2)
    await client.ok("SELECT INBOX")
    assert (await client.append("INBOX", MESSAGE)).startswith(b"NO [LIMIT] ")
    assert (await client.command("COPY 1:3 Trash"))[-1].startswith(b"NO [LIMIT] ")
    assert await client.ok("STATUS Trash (MESSAGES)") == [b'* STATUS "Trash" (MESSAGES 0)']
    account = office.store.open(AccountId("alice"))
    with pytest.raises(OverQuota, match="2 messages at most"):
        account.apply([Append(account.mailbox("INBOX").id, MESSAGE, datetime(2026, 1, 1, tzinfo=UTC), delivery_key="q1:0")])
    await client.ok("MOVE 1 INBOX")
    await client.ok("STORE 1:2 +FLAGS.SILENT (\\Deleted)")
    await client.ok("EXPUNGE")
    assert (await client.append("INBOX", MESSAGE)).startswith(b"OK ")
    assert (await client.append("INBOX", MESSAGE)).startswith(b"NO [LIMIT] ")
