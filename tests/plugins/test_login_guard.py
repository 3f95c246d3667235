"""login_guard: one password tried on many names from one network (T-AUTH-02)."""

from datetime import timedelta
from pathlib import Path

import pytest

from mailward.model.errors import PolicyError
from mailward.services import kv as kv_module
from mailward.services.kv import SqliteKeyValue
from mailward.testing import FakeClock, Login
from mailward_plugins.login_guard.networks import counted_source
from mailward_plugins.login_guard.tally import Tally

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
    alarms = [values for _, event, values in login.services.log["login_guard"].events if event == "login spraying"]
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
    assert [len(key) for key in login.services.kv["login_guard"].values] == [16]
    assert b"hunter2" not in b"".join(login.services.kv["login_guard"].values)


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


async def test_t_dos_16_of_too_many_names_the_oldest_are_forgotten_whoever_tries_what(
    tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kv_module, "MOST_EXPIRING", 500)
    kv = SqliteKeyValue(tmp_path / "kv.sqlite", clock)
    tally = Tally(kv, 20, 3600)
    for network in range(100):
        for name in range(20):
            await tally.add(f"2001:db8:{network:x}::/64", f"user{name}")
        clock.advance(timedelta(seconds=1))
    assert await tally.names("2001:db8:63::/64") == 20 and await tally.names("2001:db8:0::/64") == 0
    assert len(await kv.find(b"", limit=2000)) <= 500
    kv.close()


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
