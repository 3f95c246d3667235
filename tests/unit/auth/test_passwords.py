"""Passwords: RFC 9106 hashes, the same work for every answer, and odd rows that let nobody in."""

import asyncio
import statistics
import time

import pytest
from argon2 import extract_parameters
from argon2.low_level import Type

from mailward.auth.passwords import PasswordChecker, TooManyWaitingError, hash_password, verify


def test_the_parameters_are_argon2id_19_mib_two_passes_one_lane() -> None:
    parameters = extract_parameters(hash_password("correct horse"))
    assert (parameters.type, parameters.memory_cost, parameters.time_cost, parameters.parallelism) == (Type.ID, 19 * 1024, 2, 1)


def test_two_hashes_of_one_password_differ() -> None:
    assert hash_password("x") != hash_password("x")


@pytest.mark.parametrize("password", ["", "x" * 1025])
def test_a_password_that_could_not_be_used_is_not_hashed(password: str) -> None:
    with pytest.raises(ValueError, match="1 to 1024"):
        hash_password(password)


@pytest.mark.parametrize(
    "stored",
    [
        "",
        "secret",
        "{PLAIN}secret",
        "$argon2id$",
        "$argon2id$v=19$m=1,t=1,p=1$$",
        "$2b$12$abc",
        pytest.param(hash_password("s")[:-20], id="cut"),
        "\0",
    ],
)
def test_t_auth_07_a_damaged_or_foreign_hash_lets_nobody_in(stored: str) -> None:
    assert not verify(stored, "secret")
    assert not verify(stored, "")


async def test_right_and_wrong() -> None:
    checker = PasswordChecker(workers=1)
    stored = hash_password("naïve ☃")
    assert await checker.check(stored, "naïve ☃")
    assert not await checker.check(stored, "naive ☃")
    assert not await checker.check(stored, "\ud800")
    assert not await checker.check(None, "naïve ☃")
    checker.close()


async def test_t_auth_10_a_remembered_password_is_bound_to_the_stored_hash() -> None:
    now = [0.0]
    checker = PasswordChecker(workers=1, clock=lambda: now[0])
    old, new = hash_password("old"), hash_password("new")
    assert await checker.check(old, "old")
    assert not await checker.check(new, "old")
    assert await checker.check(old, "old")
    checker.close()


async def test_t_auth_04_unknown_accounts_cost_what_wrong_passwords_cost() -> None:
    checker = PasswordChecker(workers=1)
    stored = hash_password("right")
    times: dict[str, list[float]] = {"known": [], "unknown": [], "damaged": [], "cut": [], "empty": [], "unprintable": []}
    for _ in range(8):
        for kind, kept, given in (
            ("known", stored, "wrong"),
            ("unknown", None, "wrong"),
            ("damaged", "{PLAIN}x", "x"),
            ("cut", stored[:-20], "right"),
            ("empty", stored, ""),
            ("unprintable", stored, "\ud800"),
        ):
            start = time.thread_time()
            checker._work(kept, given)
            times[kind].append(time.thread_time() - start)
    base = statistics.median(times["known"])
    for kind in ("unknown", "damaged", "cut", "empty", "unprintable"):
        assert 0.5 < statistics.median(times[kind]) / base < 2.0, kind
    checker.close()


async def test_a_flood_is_told_to_come_back() -> None:
    checker = PasswordChecker(workers=1, max_waiting=2)
    results = await asyncio.gather(*(checker.check(None, "x") for _ in range(5)), return_exceptions=True)
    assert sum(isinstance(r, TooManyWaitingError) for r in results) == 3
    checker.close()


async def test_t_dos_01_who_was_here_before_waits_for_no_crowd_of_strangers() -> None:
    checker = PasswordChecker(workers=1, max_waiting=200)
    right = hash_password("correct horse")
    crowd = [asyncio.create_task(checker.check(None, f"guess {n}")) for n in range(100)]
    await asyncio.sleep(0)
    assert await checker.check(right, "correct horse", from_known=True)
    assert sum(one.done() for one in crowd) < 50
    for one in crowd:
        one.cancel()
    checker.close()
