"""What a plugin keeps in memory: one of each kind, whichever thread asks, and none of code that is no more."""

import gc
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor

from mailward.api import Memory
from mailward.pipeline import dropins

DROP_IN = b"""
class Book:
    def __init__(self):
        self.pages = []
"""


def run() -> type[object]:
    """The drop-in, as each reload of the policy runs it."""
    book: type[object] = dropins.run(DROP_IN, "acme.py", "mailward_dropins.acme").Book
    return book


def test_of_each_kind_there_is_one() -> None:
    memory = Memory()
    book = run()
    kept = memory.of(book)
    assert memory.of(book) is kept and isinstance(kept, book)
    assert memory.of(list) is memory.of(list) is not kept


def test_what_a_drop_in_kept_goes_when_a_reload_runs_it_again() -> None:
    memory = Memory()
    book = run()
    before = weakref.ref(memory.of(book))
    other = run()
    now = memory.of(other)
    assert type(now) is other and now is not before() and memory.of(other) is now
    del book
    gc.collect()
    assert before() is None


def test_two_threads_that_ask_for_the_first_time_get_the_same() -> None:
    memory = Memory()
    second = threading.Event()
    made: list[object] = []

    class Slow:
        def __init__(self) -> None:
            made.append(self)
            if len(made) > 1:
                second.set()
            second.wait(0.2)  # so long the other thread may come in between

    with ThreadPoolExecutor(2) as threads:
        one, other = threads.map(lambda _: memory.of(Slow), range(2))
    assert one is other and made == [one]


def test_a_kind_may_keep_another_one() -> None:
    memory = Memory()

    class Shelf:
        def __init__(self) -> None:
            self.books = memory.of(list)

    assert memory.of(Shelf).books is memory.of(list)
