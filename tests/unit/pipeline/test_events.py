"""What happened reaches the plugins that learn from them, off the critical path."""

from pathlib import Path

import yaml

from mailward.api import MessageClassified, MessageMoved, Services
from mailward.pipeline.chain import Chain
from mailward.pipeline.enabling import chain_of
from mailward.pipeline.events import MAX_WAITING, Events
from mailward.pipeline.plugins import PluginHost
from mailward.policy import load_policy
from mailward.testing import FakeClock, FakeZone, MemoryKeyValue, MemoryLog, MemoryMetrics
from mailward.testing.fakes import FakeCredentials, FakeHttp, MemorySecrets, RunDirectly, SentMail
from support.plugin_modules import plugin_module

MOVED = MessageMoved("bob", "INBOX", "Junk", b"Subject: x\r\n\r\n", False, True, False)
COUNTS = "@hookimpl\nasync def on_moved(moved, services):\n    await services.kv.add_many({moved.target.encode(): (1,)})\n"


def made_chain(folder: Path, body: str, kv: MemoryKeyValue, **keys: object) -> Chain:
    host = PluginHost(modules={"learner": plugin_module("learner", body)})
    file = folder / "inbound.yaml"
    file.write_text(yaml.safe_dump({"version": 1, "plugins": {"learner": keys}}))
    services = Services(
        FakeZone(),
        FakeClock(),
        kv,
        MemoryLog(),
        RunDirectly(),
        MemorySecrets(),
        FakeCredentials(),
        SentMail(),
        FakeHttp(),
        MemoryMetrics(),
    )
    return chain_of(load_policy(file, host.enable(["learner"])), host, lambda _: services)


def make(folder: Path, body: str, kv: MemoryKeyValue, **keys: object) -> Events:
    chain = made_chain(folder, body, kv, **keys)
    return Events(lambda: chain)


async def test_a_move_is_told_in_the_background(tmp_path: Path) -> None:
    kv = MemoryKeyValue()
    events = make(tmp_path, COUNTS, kv)
    events.moved(MOVED)
    assert kv.counts == {}
    events.moved(MOVED)
    await events.stop()
    assert kv.counts == {b"Junk": (2,)}
    assert events.failed == 0


async def test_a_shadowed_plugin_does_not_learn(tmp_path: Path) -> None:
    kv = MemoryKeyValue()
    events = make(tmp_path, COUNTS, kv, mode="shadow")
    events.moved(MOVED)
    await events.stop()
    assert kv.counts == {}


async def test_a_flood_of_events_is_bounded(tmp_path: Path) -> None:
    kv = MemoryKeyValue()
    events = make(tmp_path, COUNTS, kv)
    for _ in range(MAX_WAITING + 10):
        events.moved(MOVED)
    await events.stop()
    assert events.left_out == 10
    assert kv.counts == {b"Junk": (MAX_WAITING,)}


async def test_what_is_classified_is_told_like_a_move(tmp_path: Path) -> None:
    kv = MemoryKeyValue()
    body = "@hookimpl\nasync def on_classified(classified, services):\n    await services.kv.put_many({b'kind': classified.kind.encode()})\n"
    events = make(tmp_path, body, kv)
    events.moved(MOVED)
    events.classified(MessageClassified("", b"Subject: x\r\n\r\n", "spam", "train"))
    await events.drain()
    assert kv.values == {b"kind": b"spam"}


async def test_t_plug_13_lessons_are_heard_one_at_a_time_in_the_order_of_what_was_said(tmp_path: Path) -> None:
    kv = MemoryKeyValue()
    body = (
        "import asyncio\n@hookimpl\nasync def on_moved(moved, services):\n    await learn(b'moved', services)\n"
        "@hookimpl\nasync def on_classified(classified, services):\n    await learn(classified.kind.encode(), services)\n"
        "async def learn(kind, services):\n    known = (await services.kv.get_many([b'said'])).get(b'said', b'')\n"
        "    for _ in range(3 - len(known) // 6):\n        await asyncio.sleep(0)\n"
        "    await services.kv.put_many({b'said': known + b' ' + kind})\n"
    )
    events = make(tmp_path, body, kv)
    events.moved(MOVED)
    events.classified(MessageClassified("bob", MOVED.octets, "ham", "keyword"))
    events.classified(MessageClassified("bob", MOVED.octets, "spam", "keyword"))
    await events.drain()
    assert kv.values == {b"said": b" moved ham spam"}


async def test_after_a_reload_the_new_plugins_are_told_and_the_end_waits_for_the_old_ones(tmp_path: Path) -> None:
    before, after = MemoryKeyValue(), MemoryKeyValue()
    slow = COUNTS.replace("on_moved(moved, services):\n", "on_moved(moved, services):\n    await asyncio.sleep(0)\n")
    chain = made_chain(tmp_path, "import asyncio\n" + slow, before)
    events = Events(lambda: chain)
    events.moved(MOVED)
    chain = made_chain(tmp_path, COUNTS, after)
    events.moved(MOVED)
    await events.stop()
    assert (before.counts, after.counts) == ({b"Junk": (1,)}, {b"Junk": (1,)})
