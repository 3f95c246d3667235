"""A day that has ended is told until the plugin has done its work, whatever happens in between."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from mailward.api import Services
from mailward.pipeline.chain import Chain
from mailward.pipeline.collecting import ORDER
from mailward.pipeline.days import MOST_DAYS, Days, chains_to_tell
from mailward.pipeline.enabling import chain_of
from mailward.pipeline.plugins import PluginHost
from mailward.policy import Direction, Policy, load_policy
from mailward.services.kv import SqliteKeyValue
from mailward.testing import (
    FakeClock,
    FakeCredentials,
    FakeHttp,
    FakeZone,
    MemoryKeyValue,
    MemoryLog,
    MemoryMetrics,
    MemorySecrets,
    SentMail,
)
from mailward.testing.fakes import RunDirectly
from support.plugin_modules import plugin_module

NOON = datetime(2026, 11, 27, 12, tzinfo=UTC)
COUNTS = """
@hookimpl
async def on_day(day, services):
    await services.kv.add_many({day.isoformat().encode(): (1,)})
    if await services.kv.get_many([b"broken"]):
        raise ValueError("no more")
"""
LOOKS = """
@hookimpl
def inspect_message():
    return None
"""


OUTBOUND: Mapping[Direction, Mapping[str, object]] = {"outbound": {"diary": {}}}


def made_chains(folder: Path, kv: MemoryKeyValue, plugins: Mapping[Direction, Mapping[str, object]]) -> tuple[Chain, ...]:
    """plugins: of each policy, as it names them."""
    bodies = {"diary": COUNTS, "other": COUNTS.replace("day.isoformat()", "('other ' + day.isoformat())"), "deaf": LOOKS}
    host = PluginHost(modules={name: plugin_module(name, body) for name, body in bodies.items()})
    policies: dict[Direction, Policy] = {}
    for direction in ORDER:
        file = folder / f"{direction}.yaml"
        file.write_text(yaml.safe_dump({"version": 1, "plugins": plugins.get(direction, {})}))
        policies[direction] = load_policy(file, host.enable(list(plugins.get(direction, {}))))
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
    outbound = chain_of(policies["outbound"], host, lambda _: services)
    return chains_to_tell({"outbound": outbound}, policies, host, lambda _: services)


class Desk:
    """kept: on the disk, opened anew for each start."""

    def __init__(self, folder: Path, plugins: Mapping[Direction, Mapping[str, object]] = OUTBOUND) -> None:
        self.folder = folder
        self.plugins = plugins
        self.kv = MemoryKeyValue()
        self.clock = FakeClock(NOON)
        self.start()

    def start(self) -> None:
        self.chains = made_chains(self.folder, self.kv, self.plugins)
        self.days = Days(lambda: self.chains, SqliteKeyValue(self.folder / "days.sqlite"), self.clock)

    def told(self) -> dict[str, int]:
        return {key.decode(): row[0] for key, row in self.kv.counts.items()}


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


async def test_a_day_is_told_once_when_it_is_over(desk: Desk) -> None:
    await desk.days.tell_due()
    assert desk.told() == {}  # nobody knows what was before
    desk.clock.set(datetime(2026, 11, 28, tzinfo=UTC))
    for _ in range(3):
        await desk.days.tell_due()
        desk.start()
    assert desk.told() == {"2026-11-27": 1}


async def test_days_that_ended_while_nobody_ran_are_made_up_in_their_order(desk: Desk) -> None:
    await desk.days.tell_due()
    desk.clock.advance(timedelta(days=3))
    desk.start()
    await desk.days.tell_due()
    assert list(desk.told()) == ["2026-11-27", "2026-11-28", "2026-11-29"]


async def test_of_a_long_absence_the_last_days_are_told(desk: Desk) -> None:
    await desk.days.tell_due()
    desk.clock.advance(timedelta(days=3650))
    await desk.days.tell_due()
    assert len(desk.told()) == MOST_DAYS and max(desk.told()) == "2036-11-23"


async def test_work_that_fails_is_asked_for_again_before_the_next_day_is(desk: Desk) -> None:
    await desk.days.tell_due()
    desk.clock.advance(timedelta(days=2))
    desk.kv.values[b"broken"] = b"yes"
    await desk.days.tell_due()
    await desk.days.tell_due()
    assert desk.told() == {"2026-11-27": 2}
    desk.kv.values.clear()
    desk.start()
    await desk.days.tell_due()
    await desk.days.tell_due()
    assert desk.told() == {"2026-11-27": 3, "2026-11-28": 1}


async def test_a_clock_that_was_ten_years_ahead_does_not_silence_the_ten_years(desk: Desk) -> None:
    desk.clock.advance(timedelta(days=3650))
    await desk.days.tell_due()
    desk.clock.set(NOON)
    await desk.days.tell_due()
    assert desk.told() == {}
    desk.clock.advance(timedelta(days=1))
    await desk.days.tell_due()
    assert desk.told() == {"2026-11-27": 1}


async def test_plugins_of_every_policy_are_told_once_for_the_whole_server(tmp_path: Path) -> None:
    desk = Desk(tmp_path, {"outbound": {"diary": {}}, "submission": {"diary": {}}, "inbound": {"other": {}, "diary": {}}})
    await desk.days.tell_due()
    desk.clock.advance(timedelta(days=1))
    await desk.days.tell_due()
    assert desk.told() == {"2026-11-27": 1, "other 2026-11-27": 1}
    assert len(desk.chains) == 2


async def test_the_settings_of_the_first_policy_that_enforces_it_hold(tmp_path: Path) -> None:
    desk = Desk(
        tmp_path,
        {
            "outbound": {"diary": {"mode": "off"}},
            "submission": {"diary": {"mode": "shadow"}, "deaf": {}},
            "inbound": {"diary": {"timeout": "7s"}, "other": {"mode": "canary", "share": "50%"}},
        },
    )
    told = [(one.name, one.timeout_s) for chain in desk.chains for one in chain.enforced("on_day")]
    assert (told, len(desk.chains)) == ([("diary", 7.0)], 1)
