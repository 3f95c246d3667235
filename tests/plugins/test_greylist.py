"""greylist: first attempts are early, second ones are not, and the table stays as small as it is (T-DOS-16)."""

import random
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from mailward.api import KeyValue, Role
from mailward.model.errors import PolicyError
from mailward.services.kv import SqliteKeyValue
from mailward.testing import FakeClock, FakeZone, MemoryKeyValue, Scan
from mailward_plugins import dnsbl, greylist, spf
from mailward_plugins.greylist import table as tables
from mailward_plugins.greylist.rules import keys_of, source_of_mail
from mailward_plugins.greylist.settings import GreylistFacts, GreylistSettings
from mailward_plugins.greylist.table import CHOICES, Entry, Table
from support.plugin_services import envelope, evidence, services, session

MAIL = "From: a@example.net\nSubject: hi\n\nhello\n"
RULE = {
    "name": "greylist",
    "when": "greylist.early",
    "then": "tempfail",
    "reply": "451 4.7.1 Greylisted: please try again in {greylist.wait_s} seconds",
}


class Sender:
    """Sends the same message; the answer is "accept" or the seconds to wait."""

    def __init__(self, scan: Scan, clock: FakeClock, **settings: object) -> None:
        self._scan, self._clock = scan, clock
        self._settings = {"greylist": {"exempt": [], **settings}}

    def __call__(self, ip: str = "192.0.2.1", to: str | list[str] = "bob@example.org", by: str = "a@example.net") -> str | int:
        result = self._scan(
            MAIL, [spf, greylist], ip=ip, rcpt=to, mail_from=by, settings=self._settings, policy={"rules": [RULE]}
        )
        facts = result.facts("greylist")
        assert isinstance(facts, GreylistFacts)
        if not facts.early:
            assert result.verdict == "accept"
            return "accept"
        assert result.reply.startswith(f"451 4.7.1 Greylisted: please try again in {facts.wait_s} seconds (id ")
        return facts.wait_s

    def after(self, **span: float) -> "Sender":
        self._clock.advance(timedelta(**span))
        return self


@pytest.fixture
def send(scan: Scan, clock: FakeClock) -> Sender:
    return Sender(scan, clock)


# --- the way of a message ---


def test_a_first_attempt_waits_and_the_second_is_taken(send: Sender) -> None:
    assert send() == 300
    assert send.after(seconds=10)() == 290
    assert send.after(seconds=289)() == 1
    assert send.after(seconds=1)() == "accept"
    assert send.after(days=35)() == "accept"
    assert send.after(days=35)() == "accept"
    assert send.after(days=37)() == 300


def test_a_retry_may_come_from_the_same_network(send: Sender) -> None:
    assert send("192.0.2.1") == 300 and send("2001:db8::1") == 300
    send.after(minutes=6)
    assert send("192.0.2.200") == "accept" and send("2001:db8::ffff:1") == "accept"
    assert send("198.51.100.1") == 300 and send("2001:db8:0:1::1") == 300


def test_a_retry_that_comes_too_late_is_a_first_attempt(send: Sender) -> None:
    assert send() == 300
    assert send.after(days=2)() == 300


def test_sender_and_recipient_count_and_their_case_does_not(send: Sender) -> None:
    send()
    send.after(minutes=6)
    assert send(by="b@example.net") == 300 and send(to="eve@example.org") == 300 and send(by="") == 300
    assert send(by="A@example.net", to="Bob@example.org") == "accept"


def test_of_several_recipients_each_is_remembered(send: Sender) -> None:
    send(to="bob@example.org")
    assert send.after(minutes=4)(to=["bob@example.org", "eve@example.org"]) == 300
    send.after(minutes=2)
    assert send(to="bob@example.org") == "accept"
    assert send.after(minutes=4)(to=["bob@example.org", "eve@example.org"]) == "accept"


def test_a_source_that_often_came_back_is_known(send: Sender) -> None:
    people = [f"person{number}@example.org" for number in range(5)]
    assert [send(to=one) for one in people] == [300] * 5
    send.after(minutes=6)
    assert [send(to=one) for one in people[:4]] == ["accept"] * 4
    assert send(to="new@example.org") == 300
    assert send(to=people[4]) == "accept"
    assert send("192.0.2.99", to="other@example.org", by="x@example.com") == "accept"
    assert send("198.51.100.1", to="other@example.org") == 300


def test_no_source_is_known_when_the_admin_says_so(scan: Scan, clock: FakeClock) -> None:
    send = Sender(scan, clock, known_after=0)
    people = [f"person{number}@example.org" for number in range(6)]
    for one in people:
        send(to=one)
    send.after(minutes=6)
    assert [send(to=one) for one in people] == ["accept"] * 6
    assert send(to="new@example.org") == 300


def test_a_large_sender_may_come_back_from_anywhere_its_domain_vouches_for(send: Sender, fake_zone: FakeZone) -> None:
    fake_zone.add("big.example", "TXT", "v=spf1 ip4:192.0.2.0/24 ip4:198.51.100.0/24 -all")
    assert send("192.0.2.1", by="a@big.example") == 300
    assert send.after(minutes=6)("198.51.100.77", by="a@big.example") == "accept"
    assert send("203.0.113.1", by="a@big.example") == 300  # SPF fails there


def test_a_domain_that_lets_everybody_in_vouches_for_nobody(send: Sender, fake_zone: FakeZone) -> None:
    fake_zone.add("open.example", "TXT", "v=spf1 +all")
    send("192.0.2.1", by="a@open.example")
    assert send.after(minutes=6)("198.51.100.77", by="a@open.example") == 300


# --- who is never early ---


@pytest.mark.parametrize("ip", ["127.0.0.1", "10.0.0.1", "::1", "fd00::1"])
def test_our_own_machines_are_not_delayed(scan: Scan, ip: str) -> None:
    assert scan(MAIL, [greylist], ip=ip).facts("greylist") == GreylistFacts()


async def test_users_and_servers_of_ours_are_not_delayed(tmp_path: Path) -> None:
    given, settings = services(tmp_path), GreylistSettings(exempt=())
    user, lmtp = replace(session(), role=Role.SUBMISSION), replace(session(), lmtp=True)
    for ours in (user, lmtp):
        assert await greylist.inspect_message(ours, envelope("a@example.net"), evidence(), settings, given) is None


def test_networks_and_domains_that_are_exempt(scan: Scan, clock: FakeClock, fake_zone: FakeZone) -> None:
    send = Sender(scan, clock, exempt=["192.0.2.0/25"], exempt_domains=["big.example"])
    fake_zone.add("mail.big.example", "TXT", "v=spf1 ip4:198.51.100.1 -all")
    assert send("192.0.2.1") == "accept" and send("192.0.2.200") == 300
    assert send("198.51.100.1", by="a@mail.big.example") == "accept"
    assert send("198.51.100.2", by="a@mail.big.example") == 300
    assert send("198.51.100.1", by="a@notbig.example") == 300


def test_what_an_allowlist_lists_is_not_delayed(scan: Scan, fake_zone: FakeZone) -> None:
    fake_zone.add("1.2.0.192.wl.test", "A", "127.0.5.3")
    settings: dict[str, dict[str, object]] = {"greylist": {"exempt": []}, "dnsbl": {"allow": {"wl.test": []}}}
    result = scan(MAIL, [dnsbl, greylist], settings=settings)
    assert result.facts("greylist") == GreylistFacts()
    assert result.observed[-1][1].text == "not looked at: wl.test lists the peer"


def test_shadow_learns_and_delays_nobody(scan: Scan, clock: FakeClock) -> None:
    shadow = {"greylist": {"exempt": [], "mode": "shadow"}}
    mail = {"mail_from": "a@example.net", "rcpt": "bob@example.org"}
    assert scan(MAIL, [greylist], settings=shadow, policy={"rules": [RULE]}, **mail).verdict == "accept"
    assert Sender(scan, clock).after(minutes=6)() == "accept"


@pytest.mark.parametrize(
    "settings", [{"exempt": ["x"]}, {"delay": "0s"}, {"delay": "3d"}, {"retry_within": "40d"}, {"delay": "5m", "remember": "1h"}]
)
def test_wrong_settings_are_problems_of_the_policy(scan: Scan, settings: dict[str, object]) -> None:
    with pytest.raises(PolicyError):
        scan(MAIL, [greylist], settings={"greylist": settings})


# --- the table ---


def table(kv: KeyValue) -> Table:
    return Table(kv, 600, 6000)


async def put(into: Table, key: str, entry: Entry, now: int) -> None:
    _, slots = await into.find([key], now)
    await into.keep({key: entry}, slots)


async def held(by: Table, key: str, now: int) -> Entry | None:
    return (await by.find([key], now))[0].get(key)


async def test_entries_expire() -> None:
    one = table(MemoryKeyValue())
    await put(one, "waits", Entry(1000, 1000), 1000)
    await put(one, "passed", Entry(1000, 1300, 1), 1300)
    assert await held(one, "waits", 1599) and not await held(one, "waits", 1600)
    assert await held(one, "passed", 7299) and not await held(one, "passed", 7300)
    assert not await held(one, "passed", 1299)  # a clock that was set back


async def test_it_survives_a_restart_and_is_shared(tmp_path: Path) -> None:
    first, second = SqliteKeyValue(tmp_path / "kv.sqlite"), SqliteKeyValue(tmp_path / "kv.sqlite")
    await put(table(first), "key", Entry(1000, 1000), 1000)
    assert await held(table(second), "key", 1001) == Entry(1000, 1000)
    first.close()
    second.close()
    again = SqliteKeyValue(tmp_path / "kv.sqlite")
    assert await held(table(again), "key", 1001) == Entry(1000, 1000)
    again.close()


async def test_t_dos_16_a_flood_of_triplets_fills_a_table_of_fixed_size_and_spares_who_came_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slots = 1024
    monkeypatch.setattr(tables, "SLOTS", slots)
    kv = MemoryKeyValue()
    one = table(kv)
    for number in range(100):
        await put(one, f"friend {number}", Entry(1000, 1000, 1), 1000)
    rng = random.Random(16)
    for _ in range(20_000):
        await put(one, f"stranger {rng.random()}", Entry(1001, 1001), 1001)
    assert len(kv.values) <= slots
    assert sum(len(key) + len(value) for key, value in kv.values.items()) < slots * 40
    assert all([await held(one, f"friend {number}", 1002) for number in range(100)])


async def test_t_dos_16_one_message_costs_one_read_and_one_write_of_few_keys(tmp_path: Path) -> None:
    class Counting(MemoryKeyValue):
        reads: list[int] = []  # noqa: RUF012 - one instance
        writes: list[int] = []  # noqa: RUF012 - one instance

        async def get_many(self, keys):  # type: ignore[no-untyped-def]
            self.reads.append(len(keys))
            return await super().get_many(keys)

        async def put_many(self, values):  # type: ignore[no-untyped-def]
            self.writes.append(len(values))
            await super().put_many(values)

    kv = Counting()
    one = table(kv)
    many = keys_of("network 192.0.2.0/24", "a@example.net", [f"p{n}@example.org" for n in range(1000)])
    known, slots = await one.find((many.source, *many.triplets), 1000)
    await one.keep({key: Entry(1000, 1000) for key in many.triplets}, slots)
    assert known == {} and len(many.triplets) == 50
    assert len(kv.reads) == 1 and kv.reads[0] <= 51 * CHOICES and kv.writes == [50]


async def test_rubbish_in_the_store_is_nothing_known() -> None:
    kv = MemoryKeyValue()
    one = table(kv)
    await put(one, "key", Entry(1000, 1000), 1000)
    kv.values = dict.fromkeys(kv.values, b"rubbish")
    assert await held(one, "key", 1001) is None


async def test_the_full_table_on_disk_answers_as_fast_as_the_empty_one(tmp_path: Path) -> None:
    kv = SqliteKeyValue(tmp_path / "kv.sqlite")
    one = table(kv)
    for start in range(0, 100_000, 10_000):
        entries = {f"stranger {number}": Entry(1001, 1001) for number in range(start, start + 10_000)}
        _, slots = await one.find(entries, 1001)
        await one.keep(entries, slots)
    since = time.monotonic()
    for number in range(200):
        await put(one, f"later {number}", Entry(1002, 1002), 1002)
    assert (time.monotonic() - since) / 200 < 0.05
    kv.close()


def test_sources() -> None:
    assert source_of_mail("192.0.2.77", "") == "network 192.0.2.0/24"
    assert source_of_mail("2001:db8::77", "") == "network 2001:db8::/64"
    assert source_of_mail("192.0.2.77", "Example.net") == "domain example.net"
