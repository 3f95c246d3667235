"""Many limits, one timer: each is told in its time, and who has ended is not."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mailward.pipeline.limits import TOGETHER_S, Limits

ROUNDING_S = 1e-6


@dataclass
class Timer:
    at: float
    callback: Callable[[], None]
    cancelled: bool = False

    def cancel(self) -> None:
        self.cancelled = True


@dataclass
class Stand:
    """A clock that the test moves, and the timers of an event loop on it."""

    now: float = 1000.0
    timers: list[Timer] = field(default_factory=list)
    told: list[tuple[int, float]] = field(default_factory=list)

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> Timer:
        assert delay_s >= 0
        self.timers.append(Timer(self.now + delay_s, callback))
        return self.timers[-1]

    def armed(self) -> list[Timer]:
        self.timers = [timer for timer in self.timers if not timer.cancelled]
        return self.timers

    def go_on(self, seconds: float) -> None:
        end = self.now + seconds
        while due := [timer for timer in self.armed() if timer.at <= end]:
            (first,) = due
            self.now = max(self.now, first.at)
            self.timers.remove(first)
            first.callback()
        self.now = end


@dataclass(frozen=True, eq=False)
class One:
    number: int
    stand: Stand

    def expired(self) -> None:
        self.stand.told.append((self.number, self.stand.now))


NUMBERS = st.integers(0, 4)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("set"), NUMBERS, st.sampled_from([0.0, 0.0005, 0.2, 1.0, 1.0004, 5.0])),
        st.tuples(st.just("drop"), NUMBERS, st.just(0.0)),
        st.tuples(st.just("go on"), st.just(0), st.sampled_from([0.0, 0.3, 1.0])),
    )
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])  # each example sets all that is patched
@given(STEPS)
def test_each_is_told_once_in_its_time_unless_it_was_dropped(
    monkeypatch: pytest.MonkeyPatch, steps: list[tuple[str, int, float]]
) -> None:
    stand = Stand()
    monkeypatch.setattr(asyncio, "get_running_loop", lambda: stand)
    monkeypatch.setattr(time, "monotonic", lambda: stand.now)
    limits = Limits(deadline=2000.0)
    ones = [One(number, stand) for number in range(5)]
    ends: dict[int, float] = {}
    for what, number, seconds in [*steps, ("go on", 0, 10.0)]:
        if what == "set":
            ends[number] = stand.now + seconds
            limits.set(ones[number], ends[number])
        elif what == "drop":
            ends.pop(number, None)
            limits.drop(ones[number])
        else:
            stand.told.clear()
            stand.go_on(seconds)
            for told, at in stand.told:
                assert ends[told] - TOGETHER_S - ROUNDING_S <= at <= ends.pop(told) + ROUNDING_S
            assert all(end > stand.now - ROUNDING_S for end in ends.values())
        assert len(stand.armed()) == bool(ends)
    assert not ends
