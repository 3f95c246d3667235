"""SAVELIMIT (RFC 9738): COPY of too many is refused as a whole; MOVE of too many goes in steps, each told; nothing is left out."""

import re
from collections.abc import Sequence

import pytest

from mailward.access.imap.commands import copy
from mailward.model.errors import StorageError
from mailward.model.ids import AccountId
from mailward.store.account import EmbeddedAccount
from mailward.store.ops import Append, Copy, Op, OpResult
from support.imap import Client, Office
from support.storecheck import RECEIVED_AT

COPYUID = re.compile(rb"\* OK \[COPYUID \d+ (\S+) (\S+)\] Moved")


@pytest.fixture
async def client(office: Office, monkeypatch: pytest.MonkeyPatch) -> Client:
    """Seven messages, three of which may be copied at once."""
    store = office.store.open(AccountId("alice"))
    inbox = store.mailbox("INBOX").id
    store.apply([Append(inbox, b"Subject: %d\r\n\r\nbody\r\n" % n, RECEIVED_AT) for n in range(7)])
    monkeypatch.setattr(copy, "SAVE_LIMIT", 3)
    made = await Client(office).login()
    await made.ok("SELECT INBOX")
    return made


async def exists(client: Client, name: str) -> int:
    (reply,) = await client.ok(f"STATUS {name} (MESSAGES)")
    return int(reply.split()[-1].rstrip(b")"))


async def test_the_limit_is_announced_and_not_below_what_clients_may_count_on(office: Office) -> None:
    """Section 3: 1,000 at least."""
    (told,) = await (await Client(office).login()).ok("CAPABILITY")
    (limit,) = re.findall(rb" SAVELIMIT=(\d+)(?= |$)", told)
    assert int(limit) >= 1000


@pytest.mark.parametrize(("command", "lowest"), [("UID COPY 1:* Trash", 5), ("COPY 2:5 Trash", 3), ("UID COPY 1,7,2,6 Trash", 2)])
async def test_t_dos_06_too_many_are_not_copied_at_all(client: Client, command: str, lowest: int) -> None:
    """Section 3.1: with the limit and the lowest UID that could have been copied, the highest ones first."""
    assert (await client.command(command))[-1].startswith(b"NO [MESSAGELIMIT 3 %d] " % lowest)
    assert (await exists(client, "Trash"), await exists(client, "INBOX")) == (0, 7)


async def test_as_many_as_may_be_are_copied(client: Client) -> None:
    assert (await client.command("UID COPY 5:* Trash"))[-1].startswith(b"OK [COPYUID ")
    assert await exists(client, "Trash") == 3


@pytest.mark.parametrize("command", ["MOVE 1:* Trash", "UID MOVE 1:* Trash"])
async def test_t_dos_06_many_are_moved_in_steps_and_all_of_them(client: Client, command: str) -> None:
    """Whoever knows nothing of limits takes OK for all of them (RFC 6851 section 3.1): each step has its own COPYUID."""
    replies = await client.ok(command)
    steps = [told.groups() for told in map(COPYUID.fullmatch, replies) if told]
    assert steps == [(b"1:3", b"1:3"), (b"4:6", b"4:6"), (b"7", b"7")]
    assert replies[1:4] == [b"* 3 EXPUNGE", b"* 2 EXPUNGE", b"* 1 EXPUNGE"]
    assert (await exists(client, "Trash"), await exists(client, "INBOX")) == (7, 0)


async def test_a_step_that_fails_leaves_its_messages_where_they_were_and_is_told(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    apply = EmbeddedAccount.apply

    def fails(store: EmbeddedAccount, ops: Sequence[Op]) -> tuple[OpResult, ...]:
        if any(isinstance(op, Copy) and 4 in op.uids for op in ops):
            raise StorageError("no disk")
        return apply(store, ops)

    monkeypatch.setattr(EmbeddedAccount, "apply", fails)
    *told, reply = await client.command("UID MOVE 1:* Trash")
    assert reply.startswith(b"NO ") and told[1:] == [b"* 3 EXPUNGE", b"* 2 EXPUNGE", b"* 1 EXPUNGE"]
    assert (await exists(client, "Trash"), await exists(client, "INBOX")) == (3, 4)


@pytest.mark.parametrize("command", ["COPY 1 Nowhere", "UID COPY 99 Nowhere", "UID MOVE 99 Nowhere", "MOVE 1 Nowhere"])
async def test_the_mailbox_is_looked_for_whatever_is_copied(client: Client, command: str) -> None:
    assert (await client.command(command))[-1].startswith(b"NO [TRYCREATE] ")
