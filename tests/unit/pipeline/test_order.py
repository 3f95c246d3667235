"""needs and after give an order, or a reason why not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailward.api.hooks import HookOptions
from mailward.pipeline.order import Order, OrderError, arrange

HOOK = "inspect_message"


def order(**options: HookOptions) -> Order:
    return arrange(HOOK, options, dict.fromkeys(options, 0))


def test_needs_and_after_come_first() -> None:
    made = order(a=HookOptions(needs=("b",)), b=HookOptions(after=("c",)), c=HookOptions())
    assert made.sequence == ("c", "b", "a")
    assert made.waits_for == {"a": {"b"}, "b": {"c"}, "c": set()}
    assert made.sees == made.waits_for


def test_after_a_plugin_that_is_not_enabled_means_nothing() -> None:
    assert order(a=HookOptions(after=("absent",))).waits_for == {"a": set()}


def test_a_star_waits_for_all_that_have_none() -> None:
    made = order(a=HookOptions(after=("*",)), b=HookOptions(), c=HookOptions(after=("*",)), d=HookOptions())
    assert made.waits_for["a"] == made.waits_for["c"] == {"b", "d"}


def test_a_star_may_still_wait_for_another_star_by_name() -> None:
    made = order(a=HookOptions(after=("*", "b")), b=HookOptions(after=("*",)), c=HookOptions())
    assert made.sequence == ("c", "b", "a")


def test_a_plugin_of_an_earlier_stage_is_seen_but_not_waited_for() -> None:
    made = arrange(HOOK, {"dmarc": HookOptions(needs=("spf",))}, {"dmarc": 0, "spf": 0})
    assert made.sees["dmarc"] == {"spf"}
    assert made.waits_for["dmarc"] == set()


def test_equals_stand_in_the_policys_order_and_then_by_name() -> None:
    options = {name: HookOptions() for name in "dcba"}
    assert arrange(HOOK, options, {"a": 2, "b": 1, "c": 2, "d": 0}).sequence == ("d", "b", "a", "c")


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"a": HookOptions(needs=("absent",))}, "needs the plugin 'absent', which does not count here"),
        ({"a": HookOptions(needs=("b",)), "b": HookOptions(after=("a",))}, "in a circle: .* -> "),
        ({"a": HookOptions(after=("a",))}, "names itself"),
        ({"a": HookOptions(after=("*",)), "b": HookOptions(needs=("a",))}, "in a circle"),
    ],
    ids=["missing", "circle", "itself", "circle through a star"],
)
def test_what_cannot_be_kept_is_refused(options: dict[str, HookOptions], text: str) -> None:
    with pytest.raises(OrderError, match=text):
        order(**options)


@given(st.dictionaries(st.sampled_from("abcdef"), st.tuples(*[st.lists(st.sampled_from("abcdef*"), max_size=3)] * 2), max_size=6))
def test_an_order_keeps_every_wish_or_is_refused(wishes: dict[str, tuple[list[str], list[str]]]) -> None:
    options = {
        name: HookOptions(needs=tuple(w for w in needs if w != "*"), after=tuple(after))
        for name, (needs, after) in wishes.items()
    }
    try:
        made = order(**options)
    except OrderError:
        return
    assert sorted(made.sequence) == sorted(options)
    for name, own in options.items():
        for first in set(own.needs) | (set(own.after) & options.keys()):
            assert made.sequence.index(first) < made.sequence.index(name)
