"""What a client that comes back is told of UIDs that went long ago, of which the store remembers ranges."""

import random
import sqlite3
import tracemalloc
from array import array
from collections.abc import Sequence
from pathlib import Path

import pytest

from mailward.access.imap import vanished
from mailward.access.imap.vanished import vanished_texts
from mailward.model.ids import AccountId, Uid
from mailward.protocol.imap.arguments import SequenceSet
from mailward.store.base import Delta
from mailward.store.gone import MERGED, LongGone
from mailward.store.ops import Append
from support.imap import Client, Office
from support.storecheck import RECEIVED_AT


@pytest.mark.parametrize("seed", range(20))
def test_ranges_are_told_as_each_uid_would_be(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    dice = random.Random(seed)
    kinds = [dice.choice(("here", "gone", "passed", "held", "new")) for _ in range(40)]
    uids = {kind: [uid for uid, one in enumerate(kinds, 1) if one == kind] for kind in ("here", "gone", "passed", "held", "new")}
    last = dice.choice((0, 20, 40))
    here = array("I", sorted(uids["here"] + uids["new"]))
    delta = Delta(1, 41, (), (), (), (), (), (*uids["gone"],), (*uids["passed"],), LongGone(last, here))
    held = sorted(uids["here"] + uids["held"])
    asked = SequenceSet(tuple((dice.randrange(1, 41), dice.choice((None, dice.randrange(1, 41)))) for _ in range(3)))
    gone = sorted({*uids["gone"], *uids["passed"]})
    assert told(delta, None, held) == gone
    assert told(delta, asked.resolve(40), held) == asked.among(gone, 40)
    assert told(delta, (), held) == []
    monkeypatch.setattr(vanished, "_BATCH", 2)
    assert told(delta, None, held) == gone


def told(delta: Delta, wanted: Sequence[tuple[int, int]] | None, held: Sequence[int]) -> list[int]:
    """Each UID, in the order of telling."""
    parts = [part.split(":") for text in vanished_texts(delta, wanted, held) for part in text.split(",")]
    return [uid for part in parts for uid in range(int(part[0]), int(part[-1]) + 1)]


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("", b"1:1999999999,2000000001:4000000000"),
        (" 5:7,1999999999:2000000005", b"5:7,1999999999,2000000001:2000000005"),
    ],
)
async def test_billions_of_uids_that_went_are_a_few_octets_t_dos_08(tmp_path: Path, asked: str, told: bytes) -> None:
    office = Office(tmp_path)
    client = await Client(office).login()
    await client.append("INBOX", b"Subject: s\r\n\r\nbody\r\n")
    account = office.store.open(AccountId("alice"))
    inbox = account.mailbox("INBOX").id
    account.apply([Append(inbox, b"Subject: stays\r\n\r\nbody\r\n", RECEIVED_AT, uid=Uid(2_000_000_000))])
    before = await client.ok("SELECT INBOX")
    assert b"* 2 EXISTS" in before
    await client.ok("STORE 1 +FLAGS (\\Deleted)")
    await client.ok("EXPUNGE")
    with sqlite3.connect(tmp_path / "alice" / "index.sqlite") as database:
        gone = array("I", (4_000_000_000,)).tobytes()
        database.execute("UPDATE change SET gone = ?, uids = ?, added_modseqs = x'' WHERE gone = 1", (MERGED, gone))
        database.execute("UPDATE mailbox SET uidnext = 4000000001")
    database.close()
    await client.ok("ENABLE QRESYNC")
    (validity,) = [line.split()[3].rstrip(b"]").decode() for line in before if b"UIDVALIDITY" in line]
    assert b"* VANISHED (EARLIER) " + told in await client.ok(f"SELECT INBOX (QRESYNC ({validity} 1{asked}))")
    await client.close()


def test_t_dos_06_as_many_ranges_as_messages_stay_are_not_in_memory_together() -> None:
    messages = 100_000
    here = array("I", range(2, 2 * messages + 1, 2))
    delta = Delta(1, 2 * messages + 1, (), (), (), (), (), (), (), LongGone(2 * messages, here))
    tracemalloc.start()
    try:
        texts = sum(text.count(",") + 1 for text in vanished_texts(delta, None, here))
        _, most_octets = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert texts == messages
    assert most_octets < 5_000_000
