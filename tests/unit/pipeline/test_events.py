"""What happened reaches the plugins that learn from them, off the critical path."""

from pathlib import Path

import yaml

from mailward.api import MessageClassified, MessageMoved, Services
from mailward.pipeline.events import MAX_WAITING, Events, events_of
from mailward.pipeline.plugins import PluginHost
from mailward.policy import load_policy
from mailward.testing import FakeClock, FakeZone, MemoryKeyValue, MemoryLog
from mailward.testing.fakes import FakeCredentials, MemorySecrets, RunDirectly
from support.plugin_modules import plugin_module

MOVED = MessageMoved("bob", "INBOX", "Junk", b"Subject: x\r\n\r\n", False, True, False)
COUNTS = "@hookimpl\nasync def on_moved(moved, services):\n    await services.kv.add_many({moved.target.encode(): (1,)})\n"


def make(folder: Path, body: str, kv: MemoryKeyValue, **keys: object) -> Events:
    host = PluginHost(modules={"learner": plugin_module("learner", body)})
    file = folder / "inbound.yaml"
    file.write_text(yaml.safe_dump({"version": 1, "plugins": {"learner": keys}}))
    services = Services(FakeZone(), FakeClock(), kv, MemoryLog(), RunDirectly(), MemorySecrets(), FakeCredentials())
    return events_of(load_policy(file, host.enable(["learner"])), host, lambda _: services)


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
