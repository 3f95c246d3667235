"""Good messages, changed: everything is read, nothing takes long, and who reads them otherwise is warned of.

The longer form of this, led by which lines of the parser run, is `make fuzz`.
"""

import time

import pytest
from hypothesis import given, settings

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


@settings(max_examples=100, deadline=None, derandomize=True)
@given(mutated(SEEDS))
def test_the_view_of_a_view_is_the_same(octets: bytes) -> None:
    """What is read depends on the octets alone, not on what was asked before."""
    first, second = MessageView(octets), MessageView(octets)
    _ = [part.decode() for part in second.parts()], second.subject, second.attachment_types
    assert first.anomalies == second.anomalies
    assert [(p.start, p.end, p.content_type) for p in first.root.walk()] == [
        (p.start, p.end, p.content_type) for p in second.root.walk()
    ]
