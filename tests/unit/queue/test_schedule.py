"""Retry times."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailward.model.ids import QueueId
from mailward.queue.index import DueIndex
from mailward.queue.schedule import (
    LEAST_ATTEMPTS,
    delay_s,
    gives_up_at,
    is_given_up,
    relay_delay_s,
    remaining_s,
)
from support.spooling import NOW


@pytest.mark.parametrize(("failures", "expected_s"), [(1, 60), (2, 120), (3, 240), (6, 1920), (7, 3600), (5000, 3600)])
def test_delays_double_from_a_minute_to_an_hour(failures: int, expected_s: float) -> None:
    assert delay_s(failures, 0.5) == pytest.approx(expected_s)


@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True))
def test_jitter_stays_within_a_fifth(failures: int, chance: float) -> None:
    assert 0.8 * delay_s(failures, 0.5) - 0.001 <= delay_s(failures, chance) <= 1.2 * delay_s(failures, 0.5) + 0.001


@pytest.mark.parametrize("jump", [timedelta(hours=1), timedelta(days=3650), -timedelta(hours=1), -timedelta(days=3650)])
def test_t_q_07_a_clock_jump_never_makes_mail_wait_longer_than_the_longest_delay(jump: timedelta) -> None:
    next_at = NOW + timedelta(seconds=delay_s(3, 0.5))
    assert 0 <= remaining_s(NOW + jump, next_at) <= 3600 * 1.2


def test_due_index_gives_the_earliest_first_and_each_once() -> None:
    index = DueIndex()
    for due_s in (30.0, 10.0, 20.0, 99.0):
        index.add([(due_s, QueueId(f"id{due_s:.0f}"), 0)])
    assert index.take(30.0) == [("id10", 0), ("id20", 0), ("id30", 0)]
    assert index.take(30.0) == []


def test_t_q_07_relaying_is_given_up_after_its_time_and_a_few_attempts() -> None:
    assert not is_given_up(NOW, NOW - timedelta(days=6), LEAST_ATTEMPTS - 1, 5 * 86400.0)
    assert not is_given_up(NOW, NOW - timedelta(days=4), 1000, 5 * 86400.0)
    assert is_given_up(NOW, NOW - timedelta(days=5), LEAST_ATTEMPTS, 5 * 86400.0)
    assert not is_given_up(NOW, NOW + timedelta(days=3650), 1000, 5 * 86400.0)


@given(st.integers(60, 4 * 86400), st.floats(0, 1, exclude_max=True))
def test_an_attempt_is_planned_for_the_moment_of_the_delay_notice(notice_after_s: int, chance: float) -> None:
    now, tried_at = NOW, []
    for failures in range(1, 140):  # 48 minutes each at the least
        now += timedelta(seconds=relay_delay_s(now, NOW, failures, chance, notice_after_s, 5 * 86400.0))
        tried_at.append(now)
    assert NOW + timedelta(seconds=notice_after_s) in tried_at


@given(st.integers(0, 5 * 86400), st.floats(0, 1, exclude_max=True))
def test_mail_is_given_up_at_the_moment_that_is_told_and_with_an_attempt_then(after_s: int, chance: float) -> None:
    now, failures, told = NOW, 0, []
    while True:
        failures += 1
        if is_given_up(now, NOW, failures, after_s):
            break
        told.append(gives_up_at(now, NOW, failures, after_s))
        now += timedelta(seconds=relay_delay_s(now, NOW, failures, chance, 4 * 3600.0, after_s))
    assert all(now <= moment for moment in told)
    if failures > LEAST_ATTEMPTS:
        assert now == NOW + timedelta(seconds=after_s)
        assert (
            set(told) == {now} or after_s < 2520
        )  # four attempts may take 42 minutes, and are promised with their longest delays
