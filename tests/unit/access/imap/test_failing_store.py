"""A store that cannot be read for a while: what was done is answered with OK all the same, and its news come later."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from unittest.mock import patch

import pytest

from mailward.access.imap import hearing
from mailward.model.errors import StorageError
from mailward.model.ids import MailboxId
from mailward.store.account import EmbeddedAccount
from mailward.store.base import Delta
from mailward.store.ops import Op, OpResult
from support.imap import Client, Office, settle

MESSAGE = b"Subject: s\r\n\r\nbody\r\n"


@contextmanager
def unreadable(*, once_written: bool = False) -> Iterator[None]:
    """Nobody learns of changes meanwhile. once_written: only behind the first change."""
    apply, delta = EmbeddedAccount.apply, EmbeddedAccount.delta
    fails = not once_written

    def applied(account: EmbeddedAccount, ops: Sequence[Op]) -> tuple[OpResult, ...]:
        nonlocal fails
        results = apply(account, ops)
        fails = True
        return results

    def changes(account: EmbeddedAccount, mailbox: MailboxId, since: int) -> Delta:
        if fails:
            raise StorageError("the disk")
        return delta(account, mailbox, since)

    with patch.object(EmbeddedAccount, "apply", applied), patch.object(EmbeddedAccount, "delta", changes):
        yield


async def selected(office: Office) -> Client:
    client = await Client(office).login()
    for _ in range(3):
        await client.append("INBOX", MESSAGE)
    await client.ok("SELECT INBOX")
    return client


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("UID EXPUNGE 1", b"* 1 EXPUNGE"),
        ("EXPUNGE", b"* 1 EXPUNGE"),
        ("UID MOVE 1 Trash", b"* 1 EXPUNGE"),
        ("STORE 1:2 +FLAGS.SILENT (\\Flagged)", b"* 2 FETCH (UID 2 FLAGS (\\Flagged \\Recent))"),
        ("APPEND INBOX {1+}\r\nx", b"* 7 EXISTS"),
    ],
)
async def test_t_q_04_what_is_done_is_ok_and_its_news_come_when_they_can_be_read(
    office: Office, command: str, told: bytes
) -> None:
    client, other = await selected(office), await selected(office)
    await client.ok("NOOP")
    await client.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
    if command.startswith("STORE"):
        await other.ok("STORE 2 +FLAGS.SILENT (\\Seen)")
    with unreadable(once_written=True):
        await client.ok(command)
    assert any(line.startswith(told[:18]) for line in await client.ok("NOOP"))


async def test_t_q_04_after_an_idle_that_failed_the_mailbox_is_read_again(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await selected(office)
    monkeypatch.setattr(hearing, "QUIET_S", 0.0)
    client.wire.feed(b"i IDLE\r\n")
    assert await client.line() == b"+ idling"
    while client.session.selected is None or not client.session.selected.rests:
        await settle(client)
    with unreadable():
        client.wire.feed(b"DONE\r\n")
        assert (await client.replies(b"i "))[-1].startswith(b"NO [UNAVAILABLE]")
        assert (await client.command("FETCH 1:3 UID"))[-1].startswith(b"NO [UNAVAILABLE]")
    assert await client.ok("FETCH 1:3 UID") == [b"* %d FETCH (UID %d)" % (n, n) for n in (1, 2, 3)]


async def test_t_q_13_what_is_damaged_for_good_is_called_so(office: Office) -> None:
    client = await selected(office)
    with patch.object(EmbeddedAccount, "view", side_effect=StorageError("the disk", permanent=True)):
        assert (await client.command("SELECT Trash"))[-1].startswith(b"NO [CORRUPTION]")
    await client.ok("SELECT Trash")
