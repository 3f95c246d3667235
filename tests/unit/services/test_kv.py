"""A plugin's own values and counters on disk: shared by processes, bounded where they expire, brought on from earlier releases."""

import sqlite3
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from mailward.model.errors import StorageError
from mailward.services import kv as module
from mailward.services.forgetting import Forgetting
from mailward.services.kv import SqliteKeyValue
from mailward.testing import FakeClock

FORM_1 = """
CREATE TABLE value (key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE counter (key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
INSERT INTO value VALUES (x'61', x'31');
INSERT INTO counter VALUES (x'62', x'07000000000000000100000000000000');
PRAGMA user_version = 1;
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "spam.sqlite"


@pytest.fixture
def kv(path: Path, clock: FakeClock) -> Iterator[SqliteKeyValue]:
    kept = SqliteKeyValue(path, clock)
    yield kept
    kept.close()


def on_disk(path: Path) -> dict[str, int]:
    """How many there are, expired or not, and of those that expire how many, and how many octets, by the server's own count."""
    connection = sqlite3.connect(path)
    try:
        both = [connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in ("value", "counter")]
        for table in ("value", "counter"):
            query = f"SELECT count(*), coalesce(sum(length(key) + length(value)), 0) FROM {table} WHERE expires_at IS NOT NULL"
            counted = connection.execute("SELECT entries, octets FROM expiring WHERE kind = ?", (table,)).fetchone()
            assert connection.execute(query).fetchone() == counted
        expiring, octets = connection.execute("SELECT sum(entries), sum(octets) FROM expiring").fetchone()
        return {"entries": sum(both), "expiring": expiring, "octets": octets}
    finally:
        connection.close()


async def test_another_process_sees_what_is_written_and_when_it_ends(kv: SqliteKeyValue, path: Path, clock: FakeClock) -> None:
    await kv.put_many({b"a": b"1"}, expires_after_s=60)
    await kv.add_many({b"a": (1,)}, expires_after_s=60)
    other = SqliteKeyValue(path, clock)
    assert (await other.get_many([b"a"]), await other.counters([b"a"])) == ({b"a": b"1"}, {b"a": (1,)})
    clock.advance(timedelta(seconds=60))
    assert (await other.get_many([b"a"]), await other.counters([b"a"])) == ({}, {})
    other.close()


async def test_more_keys_than_one_query_takes(kv: SqliteKeyValue) -> None:
    amounts = {number.to_bytes(4, "big"): (number + 1,) for number in range(1300)}
    await kv.add_many(amounts)
    assert await kv.counters(list(amounts)) == amounts


async def test_what_expires_is_counted_whatever_becomes_of_it(kv: SqliteKeyValue, path: Path, clock: FakeClock) -> None:
    await kv.put_many({b"%04d" % n: b"x" * 10 for n in range(10)}, expires_after_s=60)
    await kv.add_many({b"%04d" % n: (1,) for n in range(4)}, expires_after_s=60)
    assert on_disk(path) == {"entries": 14, "expiring": 14, "octets": 10 * 14 + 4 * 12}
    await kv.put_many({b"0000": b"x" * 90}, expires_after_s=60)
    await kv.put_many({b"0001": b"for ever"})
    await kv.add_many({b"0000": (1, 1)}, expires_after_s=60)
    await kv.remove(b"0002", b"0003")
    assert await kv.change(b"0003", b"x" * 10, b"y") and await kv.change(b"0004", b"x" * 10, None)
    assert on_disk(path) == {"entries": 11, "expiring": 9, "octets": 94 + 5 * 14 + 20 + 2 * 12}


async def test_t_dos_16_of_too_many_the_first_to_expire_go_and_what_never_expires_stays(
    kv: SqliteKeyValue, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_EXPIRING", 1000)
    await kv.put_many({b"settled": b""})
    await kv.put_many({b"friend %d" % n: b"" for n in range(100)}, expires_after_s=5000)
    for n in range(5000):
        await kv.put_many({b"stranger %d" % n: b""}, expires_after_s=60)
    assert on_disk(path)["expiring"] <= 1000
    assert len(await kv.find(b"friend")) == 100 and await kv.get_many([b"settled"])
    await kv.put_many({b"crowd %d" % n: b"" for n in range(5000)}, expires_after_s=6000)
    assert 900 < on_disk(path)["expiring"] <= 1000
    await kv.add_many({b"crowd %d" % n: (1,) for n in range(5000)}, expires_after_s=60)
    assert on_disk(path)["expiring"] <= 2000


async def test_t_dos_16_large_values_are_bounded_by_their_octets(
    kv: SqliteKeyValue, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_EXPIRING_OCTETS", 4 << 20)
    for n in range(200):
        await kv.put_many({b"%d" % n: b"x" * 60_000}, expires_after_s=60 + n)
    assert on_disk(path)["octets"] <= 4 << 20
    assert await kv.get_many([b"199"])


async def test_what_has_expired_is_removed_in_steps_of_a_plugin_that_is_off_too(
    kv: SqliteKeyValue, path: Path, clock: FakeClock
) -> None:
    await kv.put_many({b"%d" % n: b"" for n in range(1200)}, expires_after_s=60)
    await kv.add_many({b"%d" % n: (1,) for n in range(1200)}, expires_after_s=60)
    await kv.put_many({b"later": b""}, expires_after_s=61)
    await kv.put_many({b"settled": b""})
    clock.advance(timedelta(seconds=60))
    assert await kv.forget_expired()
    assert on_disk(path)["entries"] == 2402 - module.A_STEP
    await Forgetting(path.parent, clock).forget(0)
    assert on_disk(path)["entries"] == 2 and set(await kv.find(b"")) == {b"later", b"settled"}
    assert not await kv.forget_expired()


async def test_a_file_that_cannot_be_read_keeps_no_other_from_being_tidied(
    kv: SqliteKeyValue, path: Path, clock: FakeClock
) -> None:
    await kv.put_many({b"a": b""}, expires_after_s=60)
    clock.advance(timedelta(seconds=60))
    path.with_name("broken.sqlite").write_bytes(b"no database" * 1000)
    await Forgetting(path.parent, clock).forget(0)
    assert on_disk(path)["entries"] == 0


async def test_a_file_of_an_earlier_release_keeps_all_it_has_and_a_newer_one_is_refused(path: Path, clock: FakeClock) -> None:
    old = sqlite3.connect(path)
    old.executescript(FORM_1)
    old.close()
    kept = SqliteKeyValue(path, clock)
    assert (await kept.get_many([b"a"]), await kept.counters([b"b"])) == ({b"a": b"1"}, {b"b": (7, 1)})
    await kept.put_many({b"a": b"2"}, expires_after_s=60)
    await kept.add_many({b"b": (1, 0)})
    clock.advance(timedelta(days=9999))
    assert (await kept.get_many([b"a"]), await kept.counters([b"b"])) == ({}, {b"b": (8, 1)})
    kept.close()
    assert on_disk(path)["expiring"] == 1
    assert path.with_name("spam.sqlite.form-1").exists()
    newer = sqlite3.connect(path)
    newer.execute("PRAGMA user_version = 3")
    newer.close()
    with pytest.raises(StorageError, match="written by a newer release"):
        SqliteKeyValue(path, clock)
