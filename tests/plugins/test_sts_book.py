"""encryption: the MTA-STS policies that are kept hold, and take no more memory and disk than they may."""

import tracemalloc
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from mailward.api import HttpAnswer, Services
from mailward.testing import FakeClock, FakeHttp, FakeZone, MemoryKeyValue
from mailward_plugins.encryption import sts_book
from mailward_plugins.encryption.sts_book import StsBook
from support.plugin_services import services

POLICY = "version: STSv1\nmode: enforce\nmx: mx.{domain}\nmax_age: {max_age}\n"


class World:
    """Domains that announce policies, and the web servers that have them."""

    def __init__(self, folder: Path) -> None:
        self.zone, self.http, self.clock, self.kv = FakeZone(), FakeHttp(), FakeClock(), MemoryKeyValue()
        made = services(folder)
        self.services: Services = replace(made, resolver=self.zone, http=self.http, clock=self.clock, kv=self.kv)

    def publish(self, domain: str, *, max_age: int = 604_800, more: str = "") -> None:
        self.zone.add(f"_mta-sts.{domain}", "TXT", "v=STSv1; id=1")
        octets = (POLICY.format(domain=domain, max_age=max_age) + more).encode()
        self.http.pages[f"https://mta-sts.{domain}/.well-known/mta-sts.txt"] = HttpAnswer(200, "text/plain", octets)

    async def holds(self, book: StsBook, domain: str) -> bool:
        kept, _ = await book.policy(domain, self.services)
        return kept is not None and kept.policy.names(f"mx.{domain}")

    @property
    def on_disk(self) -> list[str]:
        return sorted(key.decode().removeprefix("sts:") for key in self.kv.values)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


async def test_t_tls_22_a_policy_holds_though_memory_has_no_room_for_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """As when ten thousand others come while it is fetched."""
    monkeypatch.setattr(sts_book, "MOST_OCTETS", 0)
    book = StsBook()
    world.publish("a.example")
    assert await world.holds(book, "a.example")
    world.http.pages.clear()
    world.zone.add("_mta-sts.a.example", "TXT", "v=STSv1; id=2")
    assert await world.holds(book, "a.example") and len(world.http.asked) == 2


async def test_t_dos_16_the_policies_of_a_thousand_domains_take_bounded_memory(world: World) -> None:
    book, filler = StsBook(), "x-nothing: " + "x" * 62_000 + "\n"
    tracemalloc.start()
    for number in range(1000):
        world.publish(f"d{number}.example", more=filler)
        assert await world.holds(book, f"d{number}.example")
        world.http.pages.clear()
        world.kv.values.clear()
    octets, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert octets < 2 * sts_book.MOST_OCTETS


async def test_what_was_used_the_longest_ago_gives_way_on_the_disk(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sts_book, "MOST_KEPT_OCTETS", 4 * 1200)
    book = StsBook()
    for day in range(8):
        for domain in (f"d{day}.example", "often.example"):
            world.publish(domain)
            assert await world.holds(book, domain)
        world.clock.advance(timedelta(days=1))
    book.tidy(world.services, renew=False)
    await book.idle()
    assert world.on_disk == ["d5.example", "d6.example", "d7.example", "often.example"]
    assert await world.holds(book, "d7.example")


async def test_t_tls_22_one_with_a_thousand_names_pushes_off_nobody_elses_policy(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sts_book, "MOST_KEPT_OCTETS", 6 * 1200)
    book = StsBook()
    ours = ["a.example", "b.example", "mail.c.example"]
    for domain in (*ours, *(f"d{number}.evil.example" for number in range(50))):
        world.publish(domain)
        assert await world.holds(book, domain)
        if domain == ours[-1]:
            world.clock.advance(timedelta(days=1))  # his were all used after those
    book.tidy(world.services, renew=False)
    await book.idle()
    assert set(ours) < set(world.on_disk) and len(world.on_disk) == 6


async def test_t_tls_22_what_means_nothing_in_a_policy_takes_no_disk(world: World) -> None:
    book = StsBook()
    filler = "x-nothing: " + "x" * 30_000 + "\nmode: " + "y" * 30_000 + "\n" + "mx: mx.a.example\n" * 100
    world.publish("a.example", more=filler)
    assert await world.holds(book, "a.example")
    (value,) = world.kv.values.values()
    assert len(value) < 200
    assert await world.holds(StsBook(), "a.example") and len(world.http.asked) == 1  # read back, not fetched anew


async def test_where_mta_sts_is_off_policies_go_when_they_are_over_and_none_is_fetched(world: World) -> None:
    book = StsBook()
    world.publish("short.example", max_age=86_400)
    world.publish("long.example")
    for domain in ("short.example", "long.example"):
        assert await world.holds(book, domain)
    world.clock.advance(timedelta(days=2))
    book.tidy(world.services, renew=False)
    await book.idle()
    assert world.on_disk == ["long.example"] and len(world.http.asked) == 2
