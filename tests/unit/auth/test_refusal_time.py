"""How long refusals take: as long for a name that is nobody's as for an account with a slow hash of another server (T-AUTH-04)."""

import math
from pathlib import Path
from unittest.mock import patch

import pytest

from mailward.auth.exchange import Refused
from mailward.auth.foreign_hashes import parameters_of
from mailward.auth.passwords import OURS, PasswordChecker, hash_password
from mailward.auth.refusal_time import LOOK_EVERY_S, REFUSAL_S, SLACK, RefusalTime
from support.login_bench import NAME, Bench

SLOW = "$2b$12$" + "a" * 53
QUICK = "$6$salt$" + "a" * 86


@pytest.mark.parametrize(
    ("hash_", "parameters"),
    [
        (SLOW, "$2b$12"),
        (QUICK, "$6"),
        ("$5$rounds=90000$salt$" + "a" * 43, "$5$rounds=90000"),
        ("$1$salt$" + "a" * 22, "$1"),
        ("$y$j9T$salt$" + "a" * 43, "$y$j9T"),
        (hash_password("x"), OURS[:-1]),
        ("", ""),
    ],
    ids=["bcrypt", "sha512", "sha256", "md5", "yescrypt", "ours", "none"],  # a hash has another salt each time it is made
)
def test_what_the_work_of_a_hash_hangs_on(hash_: str, parameters: str) -> None:
    assert parameters_of(hash_) == parameters


def test_t_auth_04_a_refusal_takes_the_time_of_the_slowest_hash_that_is_kept() -> None:
    works, measured, now, kept = {SLOW: 0.5, QUICK: 0.01}, list[str](), [0.0], list[str]()

    def work_s(hash_: str) -> float:
        measured.append(hash_)
        return works[hash_]

    time = RefusalTime(lambda: kept, work_s, lambda: now[0])
    assert time.least_s() == REFUSAL_S
    kept += [SLOW, QUICK, SLOW]
    assert time.least_s() == REFUSAL_S, "there is a look now and then"
    now[0] += LOOK_EVERY_S
    assert time.least_s() == SLACK * 0.5
    now[0] += LOOK_EVERY_S
    kept.remove(SLOW)
    assert time.least_s() == SLACK * 0.5
    now[0] += LOOK_EVERY_S
    kept.remove(SLOW)
    assert time.least_s() == REFUSAL_S, "the last of its kind has given way to ours"
    assert measured.count(SLOW) <= 3 and measured.count(QUICK) <= 2, "each kind once, and the slowest at each look"


def test_what_was_measured_on_a_busy_machine_is_measured_again() -> None:
    took_s, now = iter((5.0, 4.0, 0.2, 0.3)), [0.0]
    time = RefusalTime(lambda: [SLOW], lambda _: next(took_s), lambda: now[0])
    assert time.least_s() == SLACK * 4.0
    for _ in range(2):
        now[0] += LOOK_EVERY_S
        assert time.least_s() == SLACK * 0.2


async def test_t_auth_04_nobodys_name_is_refused_as_late_as_an_account_with_a_slow_hash(tmp_path: Path) -> None:
    with patch.object(PasswordChecker, "work_s", lambda _, hash_: 1000.0):
        bench = Bench(tmp_path / "directory.sqlite")
        assert await bench.kept.refusal_s() == REFUSAL_S
        bench.store.set_password(bench.account, QUICK, None)
        bench.restart()
        for name in (NAME, "nobody@example.org"):
            assert await bench.plain("wrong", name) == Refused("failed")
    assert [math.ceil(slept_s / 100) for slept_s in bench.slept] == [SLACK * 10, SLACK * 10], "but for what was worked"
