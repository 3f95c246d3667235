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
