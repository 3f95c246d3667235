"""Good messages, changed: everything is read, nothing takes long, and who reads them otherwise is warned of.

The longer form of this, led by which lines of the parser run, is `make fuzz`.
"""

import mmap
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailward.formats import octets as windows
from mailward.formats.lines import LineCounter
from mailward.formats.message import MessageView
from support.differential import disagreements, unexplained
from support.mutations import crlf, mutated
from support.reading import read_everything
from support.seed_mail import SEEDS

MAX_S_PER_10_KB = 0.1


def reading_s(octets: bytes) -> float:
    """CPU seconds for everything there is to read, the better of two runs."""
    taken = []
    for _ in range(2):
        started = time.process_time()
        read_everything(octets)
        taken.append(time.process_time() - started)
        if taken[-1] < MAX_S_PER_10_KB / 4:
            break
    return min(taken)


@pytest.mark.parametrize("octets", SEEDS)
def test_good_messages_are_read_alike_by_all(octets: bytes) -> None:
    found = read_everything(octets)
    assert not unexplained(octets)
    if not set(found.anomalies) - {"MALFORMED_FROM", "MULTIPLE_FROM_DOMAINS"}:
        assert not disagreements(octets)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(mutated(SEEDS))
def test_changed_messages_are_read_to_the_end_in_time(octets: bytes) -> None:
    assert reading_s(octets) < MAX_S_PER_10_KB * max(len(octets) / 10_000, 1)


@settings(max_examples=500, deadline=None, derandomize=True)
@given(mutated(SEEDS))
def test_each_disagreement_carries_an_anomaly(octets: bytes) -> None:
    assert unexplained(octets) == []


@settings(max_examples=500, deadline=None, derandomize=True)
@given(mutated(SEEDS).map(crlf))
def test_each_disagreement_carries_an_anomaly_when_lines_are_sound(octets: bytes) -> None:
    """As above, with line ends as they come through SMTP: a bare CR explains nothing here."""
    assert unexplained(octets) == []


def _reading(view: MessageView) -> tuple[object, ...]:
    parts = [(part.number, part.start, part.body_start, part.end, part.content_type, part.decode()) for part in view.parts()]
    return parts, [field.raw for field in view.fields], view.anomalies, view.attachment_types


@settings(max_examples=200, deadline=None, derandomize=True)
@given(mutated(SEEDS), st.lists(st.integers(1, 400), max_size=8))
def test_what_is_read_does_not_depend_on_how_the_octets_came(octets: bytes, cuts: list[int]) -> None:
    """From memory or from a map, with the facts about lines found afterwards or gathered from pieces of any size."""
    counter, rest = LineCounter(), octets
    for cut in cuts:
        counter.feed(rest[:cut])
        rest = rest[cut:]
    counter.feed(rest)
    expected = _reading(MessageView(octets))
    assert _reading(MessageView(octets, counter.facts)) == expected
    if octets:
        with mmap.mmap(-1, len(octets)) as mapped:
            mapped[:] = octets
            assert _reading(MessageView(mapped)) == expected


@settings(max_examples=100, deadline=None, derandomize=True)
@given(mutated(SEEDS))
def test_a_map_is_searched_in_windows_without_missing_their_seams(octets: bytes) -> None:
    expected = _reading(MessageView(octets))
    with pytest.MonkeyPatch.context() as patch, mmap.mmap(-1, len(octets) or 1) as mapped:
        patch.setattr(windows, "_FIRST_WINDOW", 1)
        patch.setattr(windows, "_LARGEST_WINDOW", 16)
        mapped[: len(octets)] = octets
        assert not octets or _reading(MessageView(mapped)) == expected


@settings(max_examples=100, deadline=None, derandomize=True)
@given(mutated(SEEDS))
def test_what_is_read_does_not_depend_on_what_was_asked_before(octets: bytes) -> None:
    first, second = MessageView(octets), MessageView(octets)
    _ = second.attachment_types, [part.text for part in second.texts()], second.subject, second.anomalies
    assert _reading(first) == _reading(second)
