"""What a client that comes back is told of UIDs that went long ago, of which the store remembers ranges."""

import random
import sqlite3
from array import array
from pathlib import Path

import pytest

from mailward.access.imap.vanished import vanished_text
from mailward.protocol.imap.arguments import SequenceSet, set_text
from mailward.store.base import Delta
from mailward.store.gone import MERGED
from support.imap import Client, Office


@pytest.mark.parametrize("seed", range(20))
def test_ranges_are_told_as_each_uid_would_be(seed: int) -> None:
    dice = random.Random(seed)
    kinds = [dice.choice(("here", "gone", "passed", "long gone", "held", "never")) for _ in range(40)]
    uids = {kind: [uid for uid, one in enumerate(kinds, 1) if one == kind] for kind in kinds}
    long_gone = sorted(uids.get("long gone", []) + uids.get("held", []))
    ranges = tuple((int(part.split(":")[0]), int(part.split(":")[-1])) for part in set_text(long_gone).split(",") if part)
    delta = Delta(1, 41, (), (), (), (), (), (*uids.get("gone", []),), (*uids.get("passed", []),), ranges)
    held = sorted(uids.get("here", []) + uids.get("held", []))
    asked = SequenceSet(tuple((dice.randrange(1, 41), dice.choice((None, dice.randrange(1, 41)))) for _ in range(3)))
    gone = sorted({*delta.gone, *delta.passed, *long_gone}.difference(held))
    assert vanished_text(delta, None, held) == set_text(gone)
    assert vanished_text(delta, asked.resolve(40), held) == set_text(asked.among(gone, 40))
    assert vanished_text(delta, (), held) == ""


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("", b"1:2000000000,2000000002:4000000000"),
        (" 5:7,1999999999:2000000005", b"5:7,1999999999:2000000000,2000000002:2000000005"),
    ],
)
async def test_billions_of_uids_that_went_are_a_few_octets_t_dos_08(tmp_path: Path, asked: str, told: bytes) -> None:
    office = Office(tmp_path)
    client = await Client(office).login()
    await client.append("INBOX", b"Subject: s\r\n\r\nbody\r\n")
    before = await client.ok("SELECT INBOX")
    assert b"* 1 EXISTS" in before
    await client.ok("STORE 1 +FLAGS (\\Deleted)")
    await client.ok("EXPUNGE")
    with sqlite3.connect(tmp_path / "alice" / "index.sqlite") as database:
        gone = array("I", (1, 2_000_000_000, 2_000_000_002, 4_000_000_000)).tobytes()
        database.execute("UPDATE change SET gone = ?, uids = ?, added_modseqs = x'' WHERE gone = 1", (MERGED, gone))
        database.execute("UPDATE mailbox SET uidnext = 4000000001")
    database.close()
    await client.ok("ENABLE QRESYNC")
    (validity,) = [line.split()[3].rstrip(b"]").decode() for line in before if b"UIDVALIDITY" in line]
    assert b"* VANISHED (EARLIER) " + told in await client.ok(f"SELECT INBOX (QRESYNC ({validity} 1{asked}))")
    await client.close()
