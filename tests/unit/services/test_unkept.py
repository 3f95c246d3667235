"""What a rehearsing plugin writes it reads again, and nobody else ever does."""

from pathlib import Path

from mailward.services.kv import SqliteKeyValue
from mailward.services.unkept import UnkeptKeyValue


async def test_writes_are_seen_by_the_writer_alone(tmp_path: Path) -> None:
    kept = SqliteKeyValue(tmp_path / "p.sqlite")
    await kept.put_many({b"a": b"1", b"b": b"2"})
    await kept.add_many({b"n": (5, 1)})
    unkept = UnkeptKeyValue(kept)
    await unkept.put_many({b"a": b"9", b"c": b"3"})
    await unkept.add_many({b"n": (-7, 1, 4), b"m": (2,)})
    assert await unkept.change(b"b", b"2", None) and not await unkept.change(b"b", b"2", b"x")
    assert await unkept.get_many([b"a", b"b", b"c", b"d"]) == {b"a": b"9", b"c": b"3"}
    assert await unkept.counters([b"n", b"m", b"o"]) == {b"n": (0, 2, 4), b"m": (2,)}
    assert await kept.get_many([b"a", b"b", b"c"]) == {b"a": b"1", b"b": b"2"}
    assert await kept.counters([b"n", b"m"]) == {b"n": (5, 1)}
    kept.close()


async def test_what_was_written_for_one_message_can_be_forgotten_for_the_next(tmp_path: Path) -> None:
    kept = SqliteKeyValue(tmp_path / "p.sqlite")
    await kept.put_many({b"a": b"1", b"b": b"2"})
    unkept = UnkeptKeyValue(kept)
    await unkept.put_many({b"a": b"9", b"c": b"3"})
    await unkept.add_many({b"n": (1,)})
    await unkept.remove(b"b", b"c")
    unkept.forget()
    assert await unkept.get_many([b"a", b"b", b"c"]) == {b"a": b"1", b"b": b"2"}
    assert await unkept.counters([b"n"]) == {}
    kept.close()


async def test_what_is_removed_is_gone_for_the_remover_alone(tmp_path: Path) -> None:
    kept = SqliteKeyValue(tmp_path / "p.sqlite")
    await kept.put_many({b"s/1": b"a", b"s/2": b"b", b"s/3": b"c"})
    await kept.add_many({b"s/1": (1,)})
    unkept = UnkeptKeyValue(kept)
    await unkept.put_many({b"s/0": b"z"})
    await unkept.remove(b"s/", b"s/3")
    await unkept.put_many({b"s/2": b"new"})
    assert await unkept.find(b"s/") == {b"s/2": b"new", b"s/3": b"c"}
    assert await unkept.find(b"s/", after=b"s/2") == {b"s/3": b"c"}
    assert await unkept.get_many([b"s/0", b"s/1", b"s/2"]) == {b"s/2": b"new"}
    assert await unkept.counters([b"s/1"]) == {}
    assert await kept.get_many([b"s/1", b"s/2"]) == {b"s/1": b"a", b"s/2": b"b"}
    kept.close()
