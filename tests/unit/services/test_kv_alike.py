"""What a plugin may rely on of `services.kv`, wherever it runs: in the server, isolated, rehearsing, or in its author's tests."""

import time
from ast import literal_eval
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from mailward.api import KeyValue
from mailward.pipeline.chain import Chain
from mailward.services.kv import SqliteKeyValue
from mailward.services.unkept import UnkeptKeyValue
from mailward.testing import FakeClock, MemoryKeyValue
from mailward.testing.calling import made_chain, ordinary_arguments
from mailward.testing.world import FakeServices
from support.plugin_modules import plugin_file

ASKS = """
@hookimpl
async def inspect_helo(former, services):
    method, arguments, named = __import__("ast").literal_eval(former)
    try:
        return Finding(None, repr(await getattr(services.kv, method)(*arguments, **named)))
    except ValueError as error:
        return Finding("SEEN", str(error))
"""


class Isolated:
    """A plugin in its own process, which is told what to ask for."""

    def __init__(self, folder: Path, clock: FakeClock) -> None:
        self._folder, self._services = folder, FakeServices(clock=clock)
        self._chain: Chain | None = None

    def __getattr__(self, method: str) -> Callable[..., Awaitable[Any]]:
        async def asked(*arguments: object, **named: object) -> object:
            if self._chain is None:
                own = plugin_file(self._folder, "own", ASKS)
                self._chain = made_chain([own], self._services, "inspect_helo", {"own": {"isolation": "process"}})
            (one,) = self._chain.enforced("inspect_helo")
            given = {**ordinary_arguments("inspect_helo"), "former": repr((method, arguments, named))}
            called = await self._chain.ask(one, "inspect_helo", given, lambda answer: answer, time.monotonic() + 60)
            assert isinstance(called.value, tuple), called.call.error
            (finding,) = called.value
            if finding.symbol:
                raise ValueError(finding.text)
            return literal_eval(finding.text)

        return asked

    def close(self) -> None:
        if self._chain is not None:
            self._chain.close()


@pytest.fixture(params=["sqlite", "memory", "unkept", "isolated"])
def kv(request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock) -> Iterator[KeyValue]:
    if request.param == "memory":
        yield MemoryKeyValue(clock)
    elif request.param == "isolated":
        isolated = Isolated(tmp_path, clock)
        yield cast(KeyValue, isolated)
        isolated.close()
    else:
        kept = SqliteKeyValue(tmp_path / "kept.sqlite", clock)
        yield UnkeptKeyValue(kept, clock) if request.param == "unkept" else kept
        kept.close()


async def test_values_and_counters(kv: KeyValue) -> None:
    await kv.put_many({b"a": b"1", b"b": b"2"})
    await kv.put_many({b"a": b"3"})
    await kv.add_many({b"a": (1, 0), b"b": (0, 5)})
    await kv.add_many({b"a": (2, 1, 7), b"b": (0, -9)})
    assert await kv.get_many([b"a", b"b", b"c"]) == {b"a": b"3", b"b": b"2"}
    assert await kv.counters([b"a", b"b", b"c"]) == {b"a": (3, 1, 7), b"b": (0, 0)}
    assert await kv.get_many([]) == {}


async def test_counters_stay_within_64_bits(kv: KeyValue) -> None:
    most = (1 << 63) - 1
    await kv.add_many({b"a": (most,)})
    await kv.add_many({b"a": (most,)})
    assert await kv.counters([b"a"]) == {b"a": (most,)}


async def test_what_is_too_long_is_refused(kv: KeyValue) -> None:
    with pytest.raises(ValueError, match="at most 256"):
        await kv.put_many({b"k" * 257: b""})
    with pytest.raises(ValueError, match="at most 65536"):
        await kv.put_many({b"k": b"v" * 65537})


async def test_keys_are_found_by_how_they_begin_in_order_and_page_by_page(kv: KeyValue) -> None:
    await kv.put_many({b"s/2": b"b", b"s/1": b"a", b"s": b"", b"s0": b"", b"s/\xff\xff": b"c", b"t": b""})
    assert list((await kv.find(b"s/")).items()) == [(b"s/1", b"a"), (b"s/2", b"b"), (b"s/\xff\xff", b"c")]
    assert await kv.find(b"s/", limit=1) == {b"s/1": b"a"}
    assert await kv.find(b"s/", after=b"s/1", limit=1) == {b"s/2": b"b"}
    assert await kv.find(b"s/", after=b"s/\xff\xff") == {}
    assert len(await kv.find(b"")) == 6


async def test_a_range_of_keys_is_removed_with_its_counters(kv: KeyValue) -> None:
    await kv.put_many({b"s/1": b"a", b"s/2": b"b", b"s/3": b"c"})
    await kv.add_many({b"s/1": (1,), b"s/3": (3,)})
    await kv.remove(b"s/", b"s/3")
    assert await kv.find(b"s/") == {b"s/3": b"c"}
    assert await kv.counters([b"s/1", b"s/3"]) == {b"s/3": (3,)}


async def test_what_has_expired_is_seen_by_nobody(kv: KeyValue, clock: FakeClock) -> None:
    await kv.put_many({b"a": b"1", b"b": b"2"}, expires_after_s=60)
    await kv.put_many({b"c": b"3"})
    await kv.add_many({b"n": (5,)}, expires_after_s=60)
    clock.advance(timedelta(seconds=59.9))
    assert await kv.find(b"") == {b"a": b"1", b"b": b"2", b"c": b"3"}
    assert await kv.counters([b"n"]) == {b"n": (5,)}
    clock.advance(timedelta(seconds=0.1))
    assert await kv.find(b"") == await kv.get_many([b"a", b"b", b"c"]) == {b"c": b"3"}
    assert await kv.counters([b"n"]) == {}
    assert not await kv.change(b"a", b"1", b"9") and await kv.change(b"a", None, b"new")
    await kv.add_many({b"n": (1,)})
    clock.advance(timedelta(days=999))
    assert await kv.get_many([b"a"]) == {b"a": b"new"} and await kv.counters([b"n"]) == {b"n": (1,)}


async def test_each_write_says_anew_how_long_it_lives(kv: KeyValue, clock: FakeClock) -> None:
    await kv.put_many({b"longer": b"", b"for ever": b"", b"shorter": b""}, expires_after_s=60)
    await kv.add_many({b"longer": (1,), b"for ever": (1,)}, expires_after_s=60)
    clock.advance(timedelta(seconds=40))
    await kv.put_many({b"longer": b""}, expires_after_s=60)
    await kv.put_many({b"for ever": b""})
    await kv.put_many({b"shorter": b""}, expires_after_s=0.5)
    await kv.add_many({b"longer": (1,)}, expires_after_s=60)
    await kv.add_many({b"for ever": (1,)})
    clock.advance(timedelta(seconds=40))
    assert set(await kv.find(b"")) == {b"longer", b"for ever"}
    assert await kv.counters([b"longer", b"for ever"]) == {b"longer": (2,), b"for ever": (2,)}
    clock.advance(timedelta(seconds=40))
    assert set(await kv.find(b"")) == set(await kv.counters([b"longer", b"for ever"])) == {b"for ever"}


@pytest.mark.parametrize("never", [0, -1, 1e999, float("nan")])
async def test_no_time_that_is_still_to_come_is_refused(tmp_path: Path, clock: FakeClock, never: float) -> None:
    for one in (MemoryKeyValue(clock), SqliteKeyValue(tmp_path / "kept.sqlite", clock)):
        with pytest.raises(ValueError, match="more than 0 seconds were expected"):
            await one.put_many({b"a": b""}, expires_after_s=never)
        with pytest.raises(ValueError, match="more than 0 seconds were expected"):
            await one.add_many({b"a": (1,)}, expires_after_s=never)


async def test_the_refusal_comes_through(kv: KeyValue) -> None:
    with pytest.raises(ValueError, match="more than 0 seconds were expected"):
        await kv.put_many({b"a": b""}, expires_after_s=0)
