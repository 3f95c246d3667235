"""Who gets in, and how guessing is slowed down; time is an argument."""

from dataclasses import dataclass

import pytest
from structlog.testing import capture_logs

from mailward.auth.failures import FailureLimits, Failures, network_of
from mailward.auth.login import Login
from mailward.auth.passwords import PasswordChecker, hash_password
from mailward.model.ids import AccountId

HASH = hash_password("right")


@dataclass(frozen=True)
class Kept:
    account: AccountId
    password_hash: str


class Book:
    def credential(self, login: str) -> Kept | None:
        return Kept(AccountId("acc1"), HASH) if login.lower() == "alice@example.org" else None


class Time:
    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def clock() -> Time:
    return Time()


@pytest.fixture
def login(clock: Time) -> Login:
    return Login(Book(), PasswordChecker(workers=1), monotonic=clock, sleep=clock.sleep)


async def test_right_wrong_and_unknown(login: Login) -> None:
    assert await login.check("Alice@example.org", "right", "192.0.2.1") == "acc1"
    assert await login.check("alice@example.org", "wrong", "192.0.2.1") is None
    assert await login.check("nobody@example.org", "right", "192.0.2.1") is None
    assert await login.check("x" * 100_000, "right", "192.0.2.1") is None
    assert await login.check("a\0b", "right", "192.0.2.1") is None


async def test_t_auth_03_unknown_and_known_accounts_are_slowed_alike(clock: Time) -> None:
    waits = []
    for name in ("alice@example.org", "nobody@example.org"):
        clock.slept.clear()
        fresh = Login(Book(), PasswordChecker(workers=1), monotonic=clock, sleep=clock.sleep)
        for _ in range(6):
            assert await fresh.check(name, "wrong", "192.0.2.1") is None
        waits.append(list(clock.slept))
    assert waits[0] == waits[1] and len(waits[0]) >= 2
    assert waits[0] == sorted(waits[0])


async def test_t_auth_11_neither_password_nor_unknown_name_is_logged(login: Login) -> None:
    with capture_logs() as logs:
        await login.check("hunter2-as-name", "hunter2", "192.0.2.1")
        await login.check("alice@example.org", "hunter2", "192.0.2.1")
    assert logs and "hunter2" not in repr(logs)


def test_t_auth_01_a_hundred_connections_guess_no_faster_than_one() -> None:
    failures = Failures(FailureLimits(free=1))
    for _ in range(3):
        failures.failed("a", "n", 0.0)
    waits = [failures.wait_s("a", "n", 10.0) for _ in range(100)]
    assert waits[:4] == [0.0, 1.0, 2.0, 3.0]
    assert waits[-1] is None


def test_t_auth_01_guesses_from_five_hundred_addresses_slow_down_and_the_owner_does_not_notice() -> None:
    failures = Failures()
    failures.succeeded("alice", "198.51.100.7")
    now = 0.0
    refused = 0
    for n in range(500):
        wait = failures.wait_s("alice", f"n{n}", now)
        refused += wait is None
        failures.failed("alice", f"n{n}", now)
    assert refused > 400
    assert failures.wait_s("alice", "198.51.100.7", now) == 0.0
    assert failures.wait_s("bob", "192.0.2.99", now) == 0.0


def test_t_auth_02_a_source_that_sprays_many_accounts_is_slowed_down() -> None:
    failures = Failures()
    for n in range(40):
        failures.failed(f"user{n}", "192.0.2.1", 0.0)
    assert failures.wait_s("user99", "192.0.2.1", 0.0)
    failures.succeeded("mallory", "192.0.2.1")
    assert failures.wait_s("user98", "192.0.2.1", 0.0) != 0.0


def test_memory_is_bounded_and_failures_are_forgotten() -> None:
    failures = Failures(FailureLimits(keys=10))
    for n in range(1000):
        failures.failed(f"a{n}", f"n{n}", 0.0)
    assert len(failures._accounts) == len(failures._networks) == 10
    for _ in range(10):
        failures.failed("x", "y", 0.0)
    assert failures.wait_s("x", "y", 1.0)
    assert failures.wait_s("x", "y", 5000.0) == 0.0


@pytest.mark.parametrize(
    ("peer_ip", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9%eth0", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("?", "?"),
    ],
)
def test_what_counts_as_one_source(peer_ip: str, network: str) -> None:
    assert network_of(peer_ip) == network
