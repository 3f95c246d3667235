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


async def test_keys_are_found_by_how_they_begin_in_order_and_page_by_page(kv: SqliteKeyValue) -> None:
    await kv.put_many({b"s/2": b"b", b"s/1": b"a", b"s": b"", b"s0": b"", b"s/\xff\xff": b"c", b"t": b""})
    assert list((await kv.find(b"s/")).items()) == [(b"s/1", b"a"), (b"s/2", b"b"), (b"s/\xff\xff", b"c")]
    assert await kv.find(b"s/", limit=1) == {b"s/1": b"a"}
    assert await kv.find(b"s/", after=b"s/1", limit=1) == {b"s/2": b"b"}
    assert await kv.find(b"s/", after=b"s/\xff\xff") == {}
    assert len(await kv.find(b"")) == 6


async def test_a_range_of_keys_is_removed_with_its_counters(kv: SqliteKeyValue) -> None:
    await kv.put_many({b"s/1": b"a", b"s/2": b"b", b"s/3": b"c"})
    await kv.add_many({b"s/1": (1,), b"s/3": (3,)})
    await kv.remove(b"s/", b"s/3")
    assert await kv.find(b"s/") == {b"s/3": b"c"}
    assert await kv.counters([b"s/1", b"s/3"]) == {b"s/3": (3,)}
