"""How guessing is slowed down; time is an argument."""

from mailward.auth.failures import FailureLimits, Failures


def fail(failures: Failures, account: str, network: str, now: float) -> float | None:
    """One whole attempt that fails; how long it had to wait."""
    wait_s = failures.wait_s(account, network, now)
    if wait_s is not None:
        failures.failed(account, network, now + wait_s)
    return wait_s


def test_t_auth_01_each_failure_doubles_the_wait() -> None:
    failures, now, waits = Failures(FailureLimits(free=2)), 0.0, []
    for _ in range(6):
        wait_s = fail(failures, "a", "n", now)
        assert wait_s is not None
        waits.append(wait_s)
        now += wait_s
    assert waits == [0.0, 0.0, 0.0, 0.5, 1.0, 2.0]


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
    refused = sum(fail(failures, "alice", f"n{n}", 0.0) is None for n in range(500))
    assert refused > 400
    assert failures.wait_s("alice", "198.51.100.7", 0.0) == 0.0
    assert failures.wait_s("bob", "192.0.2.99", 0.0) == 0.0


def test_t_auth_02_a_source_that_sprays_many_accounts_is_slowed_down() -> None:
    failures = Failures()
    for n in range(40):
        fail(failures, f"user{n}", "192.0.2.1", 0.0)
    assert failures.wait_s("user99", "192.0.2.1", 0.0) != 0.0
    failures.succeeded("mallory", "192.0.2.1")
    assert failures.wait_s("user98", "192.0.2.1", 0.0) != 0.0


def test_an_unlocked_account_starts_anew_wherever_its_owner_is() -> None:
    failures = Failures()
    failures.succeeded("alice", "home")
    for _ in range(20):
        fail(failures, "alice", "home", 0.0)
        fail(failures, "alice", "away", 0.0)
        fail(failures, "bob", "office", 0.0)
    assert failures.wait_s("alice", "home", 0.0) != 0.0
    failures.unlock("alice")
    assert failures.wait_s("alice", "home", 0.0) == failures.wait_s("alice", "away", 0.0) == 0.0
    fail(failures, "carol", "home", 0.0)  # no newcomer any more
    assert failures.wait_s("bob", "home", 0.0) != 0.0


def test_t_auth_01_who_guesses_from_a_few_networks_does_not_hold_up_an_owner_who_has_moved() -> None:
    failures = Failures()
    for n in range(200):
        fail(failures, "alice", f"guesser {n % 3}", float(n))
    assert failures.wait_s("alice", "guesser 0", 200.0) != 0.0
    assert failures.wait_s("alice", "hotel", 200.0) == 0.0


def test_memory_is_bounded_and_failures_are_forgotten() -> None:
    failures = Failures(FailureLimits(keys=10))
    for n in range(1000):
        fail(failures, f"a{n}", f"n{n}", 0.0)
    assert len(failures._accounts) == len(failures._networks) == 10
    for _ in range(10):
        fail(failures, "x", "y", 0.0)
    assert failures.wait_s("x", "y", 1.0) != 0.0
    assert failures.wait_s("x", "y", 5000.0) == 0.0
