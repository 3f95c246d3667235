"""Counting in several processes, against a plain dictionary and against what Prometheus itself reads in the text."""

import gc
import os
import signal
import threading
from collections import defaultdict
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from mailward.formats.exposition import data_of, text_of
from mailward.metering import MOST_SERIES, Meters, Room
from mailward.model.metrics import Counter, Gauge, Histogram, Metric, Series

SCANS = Counter("scans", "Messages that were looked at", ("result",))
OPEN = Gauge("open", "Connections", adds_up=True)
AGE_S = Gauge("age_s", "How old it is")
TOOK_S = Histogram("took_s", "How long it took", ("kind",), bounds=(0.1, 1.0))


def in_child(work: Callable[[], None], *, killed: bool = False) -> None:
    """Run it in a process of its own, to its end or until it kills itself."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
            if killed:
                os.kill(os.getpid(), signal.SIGKILL)
            os._exit(0)
        finally:
            os._exit(1)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == (-signal.SIGKILL if killed else 0)


def read(meters: Meters) -> dict[tuple[str, ...], float]:
    """What Prometheus reads: name and label values, sorted by their names -> number."""
    found = {}
    for family in text_string_to_metric_families(text_of(meters.read())):
        for sample in family.samples:
            found[sample.name, *(value for _, value in sorted(sample.labels.items()))] = sample.value
    return found


def test_numbers_of_all_processes_are_added_up_and_a_killed_ones_successor_goes_on() -> None:
    meters = Meters()
    meters.share(["smtp0", "smtp1", "queue0"])

    def work(seat: str, result: str, opened: int) -> Callable[[], None]:
        def counts() -> None:
            meters.sit(seat)
            meters.of("antivirus").count(SCANS, result=result)
            meters.of("").change(OPEN, opened)

        return counts

    in_child(work("smtp0", "clean", 3))
    in_child(work("smtp1", "clean", 4), killed=True)
    in_child(work("queue0", "infected", 2))
    assert read(meters) == {
        ("mailward_antivirus__scans_total", "clean"): 2,
        ("mailward_antivirus__scans_total", "infected"): 1,
        ("mailward_open",): 9,
    }
    in_child(work("smtp1", "clean", 1))
    assert read(meters)["mailward_antivirus__scans_total", "clean"] == 3, "a counter never falls"
    assert read(meters)["mailward_open",] == 6, "what the killed one had open is not"


def test_of_a_gauge_the_last_word_counts_whoever_says_it() -> None:
    meters = Meters()
    meters.share(["a", "b"])

    def says(seat: str, value: float) -> None:
        meters.sit(seat)
        meters.of("antivirus").set(AGE_S, value)

    for seat, value in [("a", 7.0), ("b", 3.0), ("a", 5.0)]:
        in_child(lambda seat=seat, value=value: says(seat, value))  # type: ignore[misc]
        assert read(meters) == {("mailward_antivirus__age_s",): value}


@given(st.lists(st.tuples(st.sampled_from("ab"), st.floats(-2, 2)), min_size=1, max_size=30))
def test_a_histogram_is_what_a_plain_count_says(values: list[tuple[str, float]]) -> None:
    meters = Meters()
    expected: defaultdict[tuple[str, ...], float] = defaultdict(float)
    for kind, value in values:
        meters.of("x").observe(TOOK_S, value, kind=kind)
        for bound in ["0.1", "1", "+Inf"]:
            expected["mailward_x__took_s_bucket", kind, bound] += value <= float(bound.replace("+", ""))
        expected["mailward_x__took_s_sum", kind] += value
        expected["mailward_x__took_s_count", kind] += 1
    assert read(meters) == pytest.approx(expected)


@given(st.text(max_size=20))
def test_t_log_any_label_value_comes_back_from_the_text_as_one_value(value: str) -> None:
    meters = Meters()
    meters.of("x").count(SCANS, result=value)
    ((name, shown),) = read(meters)
    assert name == "mailward_x__scans_total" and shown == "".join(letter if letter.isprintable() else "?" for letter in value)
    (family,) = data_of(meters.read())
    assert family["name"] == name and family["series"] == [{"labels": {"result": shown}, "value": 1.0}]


def test_t_dos_16_made_up_labels_end_in_one_series_for_all_others() -> None:
    meters = Meters()
    for number in range(5 * MOST_SERIES):
        meters.of("x").count(SCANS, result=f"made up {number}")
    meters.of("y").count(SCANS, result="clean")
    found = read(meters)
    assert found["mailward_x__scans_total", "other"] == 4 * MOST_SERIES
    assert len(found) == MOST_SERIES + 2 and sum(found.values()) == 5 * MOST_SERIES + 1


def test_t_dos_16_one_plugin_cannot_take_the_room_of_others() -> None:
    meters = Meters()
    for number in range(2000):
        meters.of("x").count(Counter(f"x{number}", "x" * 200, ("a",)), a="\U0001f600" * 60)
    meters.of("y").count(SCANS, result="clean")
    assert read(meters)["mailward_y__scans_total", "clean"] == 1


def test_a_room_that_is_full_takes_no_more_and_loses_nothing() -> None:
    room = Room(256)
    places = [room.add(b"key %d" % number, 2, 1.0) for number in range(20)]
    kept = [place for place in places if place is not None]
    assert 0 < len(kept) < 20 and places[len(kept) :] == [None] * (20 - len(kept))
    assert [(key, place) for key, place, _ in room.records()] == [(b"key %d" % n, place) for n, place in enumerate(kept)]


def test_what_a_reload_changed_counts_as_it_is_now() -> None:
    meters = Meters()
    meters.of("x").count(Counter("a", "old"))
    meters.of("x").set(Gauge("a", "new"), 5)
    (family,) = meters.read()
    assert (family.kind, family.text, family.series) == ("gauge", "new", (Series((), 5.0),))


def test_threads_lose_nothing() -> None:
    meters = Meters()
    meter = meters.of("x")

    def counts() -> None:
        for number in range(3000):
            meter.count(SCANS, result="ab"[number % 2])
            meter.observe(TOOK_S, 0.5, kind="k")

    threads = [threading.Thread(target=counts) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = read(meters)
    assert found["mailward_x__scans_total", "a"] == 6000 and found["mailward_x__took_s_count", "k"] == 12000


def test_what_is_collected_while_something_is_counted_may_count() -> None:
    meters = Meters()

    class Last:
        def __del__(self) -> None:
            meters.of("").change(OPEN, -1)

    one = Last()
    one.itself = one  # type: ignore[attr-defined]
    del one
    with meters.lock:
        gc.collect()
    assert read(meters) == {("mailward_open",): -1}


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (lambda: Counter("Scans", "x"), "lower case"),
        (lambda: Counter("a__b", "x"), "single underscores"),
        (lambda: Counter("_a", "x"), "lower case"),
        (lambda: Gauge("scans_total", "x"), "_total"),
        (lambda: Counter("a", ""), "one line"),
        (lambda: Counter("a", "x\ny"), "one line"),
        (lambda: Counter("a", "x", ("le",)), "labels"),
        (lambda: Counter("a", "x", ("b", "b")), "labels"),
        (lambda: Histogram("a", "x", bounds=(1.0, 0.5)), "bounds"),
        (lambda: Histogram("a", "x", bounds=()), "bounds"),
    ],
)
def test_what_is_no_metric_is_refused_where_it_is_written(made: Callable[[], Metric], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        made()


def test_wrong_numbers_and_labels_are_refused() -> None:
    meter = Meters().of("x")
    all_wrong: list[Callable[[], None]] = [
        lambda: meter.count(SCANS, -1, result="a"),
        lambda: meter.count(SCANS, float("nan"), result="a"),
        lambda: meter.count(SCANS),
        lambda: meter.count(SCANS, result="a", more="b"),
        lambda: meter.count(SCANS, result=5),  # type: ignore[arg-type]
        lambda: meter.set(AGE_S, float("inf")),
        lambda: meter.observe(TOOK_S, float("nan"), kind="a"),
    ]
    for wrong in all_wrong:
        with pytest.raises(ValueError, match="metric"):
            wrong()
