"""The log's UIDs come back, and all of a mailbox takes no more room there than one message."""

from array import array
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailward.model.errors import StorageError
from mailward.store.changelog import pack_ranges, unpack_ranges

UIDS = st.integers(1, 2**32 - 1)
RANGES = st.builds(lambda first, length: range(first, min(first + length, 2**32)), UIDS, st.integers(1, 50))


@given(st.lists(st.one_of(RANGES, st.lists(UIDS, max_size=5))))
def test_what_was_touched_comes_back(parts: list[range | list[int]]) -> None:
    assert [*chain.from_iterable(unpack_ranges(pack_ranges(parts)))] == [*chain.from_iterable(parts)]


def test_all_of_a_mailbox_is_one_range() -> None:
    packed = pack_ranges([range(1, 513), range(513, 1001), [1001, 1002]])
    assert list(unpack_ranges(packed)) == [range(1, 1003)] and len(packed) == 8


@pytest.mark.parametrize("ends", [(1, 2, 3), (2, 0), (1, 4, 9, 3)])
def test_t_q_13_a_damaged_row_is_told(ends: tuple[int, ...]) -> None:
    with pytest.raises(StorageError, match="store check --repair"):
        unpack_ranges(array("I", ends).tobytes())
