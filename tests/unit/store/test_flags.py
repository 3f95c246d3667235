"""Many flags values are changed at once as each would be by itself."""

from array import array
from typing import get_args

from hypothesis import given
from hypothesis import strategies as st

from mailward.store.flags import DELETED, SEEN, FlagChange, first_without, how_many, mask_of
from mailward.store.ops import ANY_KEYWORD, Mode

values = st.integers(0, 2**63 - 1) | st.integers(0, 31)
kept = st.sampled_from((0, SEEN, mask_of((ANY_KEYWORD,), ()), mask_of((ANY_KEYWORD, "\\Flagged"), ())))


@given(st.sampled_from(get_args(Mode)), values, kept, st.lists(values))
def test_many_values_become_what_each_becomes(mode: Mode, bits: int, kept: int, before: list[int]) -> None:
    change = FlagChange.of(mode, bits, kept)
    after = [change.one(value) for value in before]
    assert change.many(array("Q", before)) == (array("Q", after), bytes(map(int.__ne__, before, after)))


@given(st.sampled_from(get_args(Mode)), values, st.data())
def test_what_changes_has_the_new_modseq_and_nothing_else(mode: Mode, bits: int, data: st.DataObject) -> None:
    flags = data.draw(st.lists(values, min_size=3, max_size=9))
    start, end = sorted(data.draw(st.tuples(*[st.integers(0, len(flags))] * 2)))
    place = st.sampled_from(range(len(flags)))
    places = data.draw(st.sampled_from((range(start, end), data.draw(st.lists(place, unique=True)))))
    change, changed, modseqs = FlagChange.of(mode, bits), array("Q", flags), array("Q", range(len(flags)))
    _, old, new = change.apply(changed, modseqs, places, 99)
    expected = [change.one(value) if at in places else value for at, value in enumerate(flags)]
    assert [*changed] == expected and [*old] == [flags[at] for at in places] and [*new] == [expected[at] for at in places]
    assert [*modseqs] == [at if value == flags[at] else 99 for at, value in enumerate(expected)]


@given(st.lists(values))
def test_how_many_have_a_flag_and_which_is_the_first_that_has_not(some: list[int]) -> None:
    for flag in (SEEN, DELETED):
        assert how_many(array("Q", some), flag) == sum(bool(value & flag) for value in some)
        without = [place for place, value in enumerate(some) if not value & flag]
        assert first_without(array("Q", some), flag) == (without[0] if without else None)
