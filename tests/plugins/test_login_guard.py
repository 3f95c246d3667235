"""login_guard: one password tried on many names from one network (T-AUTH-02)."""

from datetime import timedelta

import pytest

from mailward.model.errors import PolicyError
from mailward.testing import FakeClock, Login, MemoryKeyValue
from mailward_plugins.login_guard.networks import counted_source
from mailward_plugins.login_guard.tally import MOST_OCTETS, Tally

PLUGINS = ["accounts", "login_guard"]
PASSWORDS = {"alice@example.org": "a long one"}
GUARD = {"login_guard": {"heed": True, "on_error": "accept", "names": 5, "window": "1h"}}


def spray(login: Login, names: int, ip: str = "192.0.2.7", first: int = 0) -> list[str]:
    return [
        login(f"user{n}@example.org", "Summer2026", PLUGINS, ip=ip, passwords=PASSWORDS, settings=GUARD).why
        for n in range(first, first + names)
    ]


def alice(login: Login, ip: str = "192.0.2.7") -> str:
    return login("alice@example.org", "a long one", PLUGINS, ip=ip, passwords=PASSWORDS, settings=GUARD).result


def test_t_auth_02_many_names_from_one_network_are_turned_away_whatever_the_name(login: Login) -> None:
    assert set(spray(login, 5)) == {"wrong name or password"}
    assert set(spray(login, 3, first=5)) == {"rejected by policy"}
    assert alice(login) == "refused"
    assert alice(login, ip="192.0.2.8") == "accepted"


def test_t_auth_02_one_name_many_times_is_one_name(login: Login) -> None:
    for _ in range(30):
        assert login(" USER1@example.org", "x", PLUGINS, settings=GUARD).why == "wrong name or password"
    assert alice(login) == "accepted"


def test_t_auth_02_an_account_of_ones_own_forgives_nothing(login: Login) -> None:
    for n in range(5):
        spray(login, 1, first=n)
        last = alice(login)
    assert last == "refused"


def test_t_auth_02_the_alarm_is_raised_once(login: Login) -> None:
    spray(login, 9)
    alarms = [values for _, event, values in login.services.log["login_guard"].events if event == "login_spraying"]
    assert alarms == [{"network": "192.0.2.7", "names": 5, "protocol": "imap"}]


def test_a_network_is_let_in_again_when_the_window_is_over_though_it_went_on(login: Login, clock: FakeClock) -> None:
    spray(login, 5)
    for minutes in range(11):
        clock.advance(timedelta(minutes=5))
        spray(login, 1, first=100 + minutes)
    assert alice(login) == "refused"
    clock.advance(timedelta(minutes=5))
    assert alice(login) == "accepted"


def test_slow_spraying_stays_below_the_limit_only_at_the_rate_of_the_limit(login: Login, clock: FakeClock) -> None:
    refused = 0
    for n in range(40):
        refused += spray(login, 1, first=n) == ["rejected by policy"]
        clock.advance(timedelta(minutes=10))
    assert refused > 0


@pytest.mark.parametrize("ip", ["127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1", "198.51.100.77"])
def test_loopback_and_what_is_trusted_are_never_counted(login: Login, ip: str) -> None:
    settings = {"login_guard": {**GUARD["login_guard"], "trusted": ["198.51.100.0/24"]}}
    for n in range(20):
        assert login(f"user{n}", "x", PLUGINS, ip=ip, settings=settings).why == "wrong name or password"


def test_names_are_not_kept_in_clear(login: Login) -> None:
    login("hunter2-typed-into-the-wrong-field", "x", PLUGINS, settings=GUARD)
    kept = b"".join(login.services.kv["login_guard"].values.values())
    assert b"192.0.2.1" in kept
    assert b"hunter2" not in kept


@pytest.mark.parametrize(
    ("peer_ip", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("::1", None),
        ("rubbish", None),
    ],
)
def test_a_network_is_an_ipv4_address_or_a_64(peer_ip: str, network: str | None) -> None:
    assert counted_source(peer_ip) == network


async def test_what_is_kept_is_bounded_whoever_tries_what(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mailward_plugins.login_guard.tally.BUCKETS", 1)
    kv = MemoryKeyValue()
    tally = Tally(kv, 3600)
    for network in range(200):
        for name in range(20):
            await tally.add(f"2001:db8:{network:x}::/64", f"user{name}", 1000.0 + network, 20)
    assert await tally.names("2001:db8:c7::/64", 1200.0) == 20
    assert [len(value) <= MOST_OCTETS for value in kv.values.values()] == [True]


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"names": 1}, "names: 2 to 1000 was expected"),
        ({"window": "1s"}, "window: at least 1m was expected"),
        ({"trusted": ["192.0.2.1/24"]}, "192.0.2.1/24 has host bits set"),
    ],
)
def test_settings_that_make_no_sense_are_problems_of_the_policy(login: Login, settings: dict[str, object], problem: str) -> None:
    with pytest.raises(PolicyError, match=problem):
        login("a", "b", PLUGINS, settings={"login_guard": settings})
