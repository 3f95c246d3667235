"""Sorting by calls that are short (T-DOS-08)."""

import random
from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st

from mailward.access.imap import turns
from mailward.access.imap.turns import sorted_in_turns


@given(st.lists(st.integers(0, 5), max_size=60), st.integers(1, 70))
def test_it_is_what_one_call_makes_and_equal_ones_stay_in_order(keys: list[int], run: int) -> None:
    with patch.object(turns, "_RUN", run):
        assert sorted_in_turns(range(len(keys)), keys.__getitem__) == sorted(range(len(keys)), key=keys.__getitem__)


def test_t_dos_08_no_call_sorts_more_than_a_run() -> None:
    lengths, keys = list[int](), random.Random(1).sample(range(10**6), 10_000)

    def counted(values: range, **named: object) -> list[int]:
        lengths.append(len(values))
        return sorted(values, **named)  # type: ignore[call-overload, no-any-return]

    with patch.object(turns, "_RUN", 1000), patch.object(turns, "sorted", counted, create=True):
        assert [keys[at] for at in sorted_in_turns(range(10_000), keys.__getitem__)] == sorted(keys)
    assert lengths == [1000] * 10
