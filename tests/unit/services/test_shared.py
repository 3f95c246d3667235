"""Numbers that forked processes share, with real forks: nothing is counted twice, nothing stays of a process that died."""

import os
import signal
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from mailward.services.rates import Rates
from mailward.services.shared import OpenCounts, Seats, SharedTable


def in_child(work: Callable[[], None], *, killed: bool = False) -> None:
    """Run it in a process of its own, to its end or until it kills itself."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
            if killed:
                os.kill(os.getpid(), signal.SIGKILL)
        finally:
            os._exit(0)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == (-signal.SIGKILL if killed else 0)


@given(st.lists(st.tuples(st.text(max_size=3), st.integers(0, 5)), max_size=300))
def test_a_table_that_has_room_is_a_dictionary(steps: list[tuple[str, int]]) -> None:
    table, expected = SharedTable(100_000), dict[str, int]()
    for name, number in steps:
        table.put(name, number)
        expected[name] = number
    assert {name: table.get(name) for name in expected} == expected and table.get("never put there") == 0


def test_where_names_fall_together_the_smallest_number_gives_way() -> None:
    table = SharedTable(8)
    for number in range(1, 9):
        table.put(f"name {number}", number)
    table.put("new", 100.0)
    assert table.get("new") == 100 and table.get("name 1") == 0
    assert [table.get(f"name {number}") for number in range(2, 9)] == list(range(2, 9))


def test_open_counts_of_all_processes_are_added_up_and_a_dead_one_has_nothing_open() -> None:
    seats = Seats(3)
    counts = OpenCounts(100, seats)

    def work(seat: int) -> Callable[[], None]:
        def opens() -> None:
            seats.take(seat)
            for _ in range(seat + 1):
                counts.open("a")

        return opens

    in_child(work(0))
    in_child(work(1), killed=True)
    in_child(work(2))
    assert counts.of("a") == 6
    in_child(lambda: seats.take(1))  # the process that takes the place of the killed one
    assert counts.of("a") == 4

    def closes() -> None:
        seats.own = 2
        for _ in range(5):
            counts.close("a")

    in_child(closes)
    assert counts.of("a") == 1


def test_t_dos_03_a_rate_holds_for_all_processes_together() -> None:
    bucket = Rates(10, 3600.0)
    for _ in range(3):
        in_child(lambda: [bucket.take("a", 1.0) for _ in range(3)].clear())
    assert [bucket.take("a", 1.0) for _ in range(3)] == [True, False, False]
