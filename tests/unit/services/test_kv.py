"""A plugin's own values and counters, shared by processes."""

from pathlib import Path

import pytest

from mailward.services.kv import SqliteKeyValue


@pytest.fixture
def kv(tmp_path: Path) -> SqliteKeyValue:
    return SqliteKeyValue(tmp_path / "spam.sqlite")


async def test_values(kv: SqliteKeyValue, tmp_path: Path) -> None:
    await kv.put_many({b"a": b"1", b"b": b"2"})
    await kv.put_many({b"a": b"3"})
    other = SqliteKeyValue(tmp_path / "spam.sqlite")
    assert await other.get_many([b"a", b"b", b"c"]) == {b"a": b"3", b"b": b"2"}
    assert await kv.get_many([]) == {}


async def test_counters_add_up_and_never_fall_below_zero(kv: SqliteKeyValue) -> None:
    await kv.add_many({b"a": (1, 0), b"b": (0, 5)})
    await kv.add_many({b"a": (2, 1), b"b": (0, -9)})
    assert await kv.counters([b"a", b"b", b"c"]) == {b"a": (3, 1), b"b": (0, 0)}


async def test_a_row_of_counters_may_grow(kv: SqliteKeyValue) -> None:
    await kv.add_many({b"a": (1,)})
    await kv.add_many({b"a": (1, 7)})
    assert await kv.counters([b"a"]) == {b"a": (2, 7)}


async def test_more_keys_than_one_query_takes(kv: SqliteKeyValue) -> None:
    amounts = {number.to_bytes(4, "big"): (number + 1,) for number in range(1300)}
    await kv.add_many(amounts)
    assert await kv.counters(list(amounts)) == amounts


async def test_counters_stay_within_64_bits(kv: SqliteKeyValue) -> None:
    most = (1 << 63) - 1
    await kv.add_many({b"a": (most,)})
    await kv.add_many({b"a": (most,)})
    assert await kv.counters([b"a"]) == {b"a": (most,)}


async def test_what_is_too_long_is_refused(kv: SqliteKeyValue) -> None:
    with pytest.raises(ValueError, match="at most 256"):
        await kv.put_many({b"k" * 257: b""})
    with pytest.raises(ValueError, match="at most 65536"):
        await kv.put_many({b"k": b"v" * 65537})
