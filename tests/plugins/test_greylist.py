"""greylist: first attempts are early, second ones are not, and what is remembered is bounded (T-DOS-16)."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from mailward.api import KeyValue, Role
from mailward.model.errors import PolicyError
from mailward.services import kv as kv_module
from mailward.services.kv import SqliteKeyValue
from mailward.testing import FakeClock, FakeZone, MemoryKeyValue, Scan, make_forward_path
from mailward_plugins import dnsbl, greylist, spf
from mailward_plugins.greylist.rules import source_of_mail
from mailward_plugins.greylist.settings import GreylistFacts, GreylistSettings
from mailward_plugins.greylist.table import Entry, Table
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


async def held(by: Table, key: str, now: int = 2000) -> Entry | None:
    return (await by.find([key], now)).get(key)


async def test_who_came_back_is_remembered_for_longer(clock: FakeClock) -> None:
    one = table(MemoryKeyValue(clock))
    await one.keep({"waits": Entry(1000, 1000), "passed": Entry(1000, 1300, 1)})
    assert await held(one, "waits") and await held(one, "passed") and not await held(one, "another")
    clock.advance(timedelta(seconds=600))
    assert not await held(one, "waits") and await held(one, "passed") == Entry(1000, 1300, 1)
    clock.advance(timedelta(seconds=5400))
    assert not await held(one, "passed")


async def test_a_clock_that_was_set_back_makes_nobody_wait_for_years() -> None:
    one = table(MemoryKeyValue())
    await one.keep({"key": Entry(1000, 1000)})
    assert await held(one, "key", 1000) and not await held(one, "key", 999)


async def test_it_survives_a_restart_and_is_shared(tmp_path: Path) -> None:
    first, second = SqliteKeyValue(tmp_path / "kv.sqlite"), SqliteKeyValue(tmp_path / "kv.sqlite")
    await table(first).keep({"key": Entry(1000, 1000)})
    assert await held(table(second), "key") == Entry(1000, 1000)
    first.close()
    second.close()
    again = SqliteKeyValue(tmp_path / "kv.sqlite")
    assert await held(table(again), "key") == Entry(1000, 1000)
    again.close()


async def test_t_dos_16_a_flood_of_triplets_is_bounded_and_spares_who_came_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kv_module, "MOST_EXPIRING", 1024)
    kv = SqliteKeyValue(tmp_path / "kv.sqlite")
    one = table(kv)
    await one.keep({f"friend {number}": Entry(1000, 1000, 1) for number in range(100)})
    for start in range(0, 20_000, 50):
        await one.keep({f"stranger {start + number}": Entry(1001, 1001) for number in range(50)})
    assert len(await kv.find(b"", limit=20_000)) <= 1024
    assert all([await held(one, f"friend {number}") for number in range(100)])
    assert await held(one, "stranger 19999")
    kv.close()


class Counting(MemoryKeyValue):
    """reads, writes: of how many keys each was."""

    def __init__(self) -> None:
        super().__init__()
        self.reads: list[int] = []
        self.writes: list[int] = []

    async def get_many(self, keys: Sequence[bytes]) -> Mapping[bytes, bytes]:
        self.reads.append(len(keys))
        return await super().get_many(keys)

    async def put_many(self, values: Mapping[bytes, bytes], *, expires_after_s: float | None = None) -> None:
        self.writes.append(len(values))
        await super().put_many(values, expires_after_s=expires_after_s)


async def test_t_dos_16_one_message_costs_one_read_and_one_write_of_few_keys(tmp_path: Path) -> None:
    kv = Counting()
    given, settings = replace(services(tmp_path), kv=kv), GreylistSettings(exempt=())
    many = tuple(make_forward_path(f"p{number}@example.org") for number in range(1000))
    sent = replace(envelope("a@example.net"), forward_paths=many)
    assert await greylist.inspect_message(session(), sent, evidence(), settings, given) is not None
    assert (kv.reads, kv.writes) == ([51], [50])


async def test_the_full_table_on_disk_answers_as_fast_as_the_empty_one(tmp_path: Path) -> None:
    kv = SqliteKeyValue(tmp_path / "kv.sqlite")
    one = table(kv)
    for start in range(0, 100_000, 10_000):
        await one.keep({f"stranger {number}": Entry(1001, 1001) for number in range(start, start + 10_000)})
    since = time.monotonic()
    for number in range(200):
        assert not await held(one, f"later {number}")
        await one.keep({f"later {number}": Entry(1002, 1002)})
    assert (time.monotonic() - since) / 200 < 0.5
    kv.close()


def test_sources() -> None:
    assert source_of_mail("192.0.2.77", "") == "network 192.0.2.0/24"
    assert source_of_mail("2001:db8::77", "") == "network 2001:db8::/64"
    assert source_of_mail("192.0.2.77", "Example.net") == "domain example.net"
