"""How often each of many may do something, in bounded memory."""

import resource

from hypothesis import given
from hypothesis import strategies as st

from mailward.services.rates import Rates


def test_as_many_at_once_as_the_limit_and_as_many_again_in_each_period() -> None:
    bucket = Rates(3, 60.0)
    assert [bucket.take("a", 0.0) for _ in range(5)] == [True, True, True, False, False]
    assert bucket.take("b", 0.0)
    assert [bucket.take("a", 20.0) for _ in range(2)] == [True, False]
    assert [bucket.take("a", 200.0) for _ in range(4)] == [True, True, True, False]


def test_zero_is_no_limit() -> None:
    bucket = Rates(0, 60.0)
    assert all(bucket.take("a", 0.0, 10**9) for _ in range(100)) and not bucket.is_spent("a", 0.0)


def test_what_was_done_anyway_is_waited_for_but_not_for_ever() -> None:
    bucket = Rates(100, 60.0)
    bucket.charge("a", 0.0, 10**9)
    assert bucket.is_spent("a", 59.0) and not bucket.is_spent("a", 60.1)


def test_t_dos_16_memory_is_bounded_however_many_sources_there_are() -> None:
    bucket = Rates(1, 3600.0, sources=1000)
    remembered = [f"regular {number}" for number in range(500)]
    assert all(bucket.take(source, 0.0) for source in remembered)
    assert sum(bucket.take(source, 1.0) for source in remembered) < 50  # nearly all have a place
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for number in range(50_000):
        bucket.take(f"random {number}", 2.0)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 4096
    assert bucket.take("random 49999", 2.0) is False


@given(st.integers(1, 50), st.lists(st.floats(0, 1000), max_size=200))
def test_never_more_than_twice_the_limit_in_any_period(limit: int, moments: list[float]) -> None:
    bucket, taken = Rates(limit, 100.0), []
    for moment in sorted(moments):
        if bucket.take("a", moment):
            taken.append(moment)
    for start in taken:
        assert sum(start <= moment <= start + 100.0 for moment in taken) <= 2 * limit
