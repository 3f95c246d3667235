"""A session that idles gives its arrays back, and is told the same as one that keeps them."""

import asyncio
import random
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mailward.access.imap import hearing
from mailward.access.imap.selected import Selected
from mailward.model.ids import Uid
from mailward.store.account import EmbeddedAccount
from mailward.store.ops import Append, Copy, Expunge, Op, SetFlags
from support import stores
from support.imap import Client, Office

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MESSAGE = b"Subject: s\r\n\r\nbody\r\n"


@pytest.mark.parametrize("seed", range(6))
def test_what_rested_is_told_as_what_was_awake(tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    account = stores.account(tmp_path)
    inbox, archive = account.mailbox("INBOX").id, account.mailbox("Archive").id
    awake, rested = (Selected(account.view(inbox), read_only=False) for _ in range(2))
    for _ in range(25):
        rested.rest()
        assert not rested.uids
        since = rested.modseq
        for _ in range(dice.randrange(6)):
            uids = tuple(map(Uid, dice.sample(range(1, awake.uidnext + 3), min(3, awake.uidnext))))
            ops: list[Op] = [
                Append(inbox, MESSAGE, NOW),
                SetFlags(inbox, uids, "add" if dice.random() < 0.5 else "remove", (dice.choice(("\\Seen", "$Work")),)),
                Expunge(inbox, uids[:1]),
                Copy(inbox, uids, archive, move=True),
                Copy(inbox, uids, inbox),
            ]
            account.apply([dice.choice(ops)])
        view = account.view(inbox)
        later(account, dice, awake)
        delta = account.delta(inbox, since)
        rested.wake(view, delta)
        told, others = awake.merge(delta, expunge=True), rested.merge(delta, expunge=True)
        assert (told.expunged, told.vanished, told.exists, told.touched) == (
            others.expunged, others.vanished, others.exists, others.touched,
        )  # fmt: skip
        assert told.flags <= others.flags
        assert (awake.uids, awake.flags, awake.modseqs, awake.messages) == (
            rested.uids, rested.flags, rested.modseqs, rested.messages,
        )  # fmt: skip


def later(account: EmbeddedAccount, dice: random.Random, selected: Selected) -> None:
    """Changes between the look at the mailbox and the look at what has changed."""
    if dice.random() < 0.5:
        gone = Uid(dice.randrange(1, selected.uidnext + 2))
        account.apply([Append(selected.info.id, MESSAGE, NOW), Expunge(selected.info.id, (gone,))])


async def test_an_idle_session_rests_and_wakes_when_something_happens(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hearing, "QUIET_S", 0.0)
    first, second = await Client(office).login(), await Client(office).login()
    for _ in range(3):
        await first.append("INBOX", MESSAGE)
    for client in (first, second):
        await client.ok("SELECT INBOX")
    second.wire.feed(b"i IDLE\r\n")
    assert await second.line() == b"+ idling"
    await rests(second)
    await first.ok("CREATE elsewhere")
    await first.ok("STORE 2 +FLAGS.SILENT (\\Deleted)")
    assert await second.line() == b"* 2 FETCH (UID 2 FLAGS (\\Deleted))"
    await rests(second)
    await first.ok("EXPUNGE")
    assert await second.line() == b"* 2 EXPUNGE"
    await rests(second)
    await first.append("INBOX", MESSAGE)
    assert await second.line() == b"* 3 EXISTS"
    assert (await second.line()).endswith(b" RECENT")
    await rests(second)
    second.wire.feed(b"DONE\r\n")
    assert await second.replies(b"i ") == [b"OK IDLE completed"]
    assert await second.ok("FETCH 1:* UID") == [b"* %d FETCH (UID %d)" % pair for pair in ((1, 1), (2, 3), (3, 4))]


async def test_what_follows_a_rest_with_garbage_finds_the_mailbox_as_it_is(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hearing, "QUIET_S", 0.0)
    client = await Client(office).login()
    await client.append("INBOX", MESSAGE)
    await client.ok("SELECT INBOX")
    client.wire.feed(b"i IDLE\r\n")
    assert await client.line() == b"+ idling"
    await rests(client)
    client.wire.feed(b"NOOP\r\nk FETCH 1 UID\r\n")
    assert await client.replies(b"k ") == [b"i BAD DONE was expected", b"* 1 FETCH (UID 1)", b"OK FETCH completed"]


async def rests(client: Client) -> None:
    async with asyncio.timeout(90):
        while not client.session.mailbox.rests:  # noqa: ASYNC110 - nothing is sent by which it could be heard
            await asyncio.sleep(0)
