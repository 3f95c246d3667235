"""THREAD's algorithms (RFC 5256 section 3) on what no mailbox should hold; tests/integration compares with a real Dovecot."""

import gc
from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailward.access.imap.threads import (
    Trees,
    by_references,
    by_subject,
    join_by_subject,
    sort_by_date,
    sort_by_latest,
    written,
)
from support.imap import Client, Office

MANY = 100_000


def ids(*numbers: int) -> bytes:
    return array("Q", numbers).tobytes()


def threads(*messages: bytes) -> str:
    trees = by_references(messages)
    sort_by_date(trees, range(len(messages)))
    return written(trees, range(1, len(messages) + 1))


@pytest.mark.parametrize(
    ("messages", "told"),
    [
        ((), ""),
        ((ids(1), ids(2, 1), ids(3, 1, 2)), "(1 2 3)"),
        ((ids(2, 1), ids(3, 1)), "((1)(2))"),  # what both answer is not here
        ((ids(2, 1), ids(1)), "(2 1)"),
        ((ids(1), ids(1, 5), ids(2, 1)), "(1 3)(2)"),  # the same id twice
        ((ids(1, 2), ids(2, 1)), "(2 1)"),  # each answers the other
        ((ids(1, 1), ids(2, 1, 1)), "(1 2)"),
        ((ids(3, 9, 8, 7), ids(4, 9, 8)), "((1)(2))"),
    ],
)
def test_who_answers_whom(messages: tuple[bytes, ...], told: str) -> None:
    assert threads(*messages) == told


def test_t_imap_10_a_chain_of_a_hundred_thousand() -> None:
    chain = [ids(1), *(ids(n, n - 1) for n in range(2, MANY))]
    assert threads(*chain).count(" ") == MANY - 2
    assert threads(*reversed(chain)).count(" ") == MANY - 2
    evens_first = [*chain[::2], *chain[1::2]]
    assert threads(*evens_first).count(" ") == MANY - 2


def test_t_imap_10_a_circle_and_messages_that_are_not_here() -> None:
    circle = [ids(n, (n + 1) % MANY) for n in range(MANY)]
    assert threads(*circle).count(" ") == MANY - 1
    gone = [ids(2 * n + 1_000_000, 2 * n, 2 * n + 2) for n in range(MANY)]
    assert threads(*gone).count("(") > 0


def alone(messages: int) -> Trees:
    """As many threads."""
    trees = Trees(messages)
    trees.roots += range(messages)
    return trees


def test_t_imap_10_a_hundred_thousand_equal_subjects() -> None:
    subjects, dates = ["same"] * MANY, range(MANY)
    trees = alone(MANY)
    join_by_subject(trees, subjects, lambda asked: set(asked) - {5})
    assert trees.roots == [5] and len(trees.children(5)) == MANY - 1
    trees = alone(MANY)
    join_by_subject(trees, subjects, lambda _: set())
    sort_by_date(trees, dates)
    (root,) = trees.roots
    assert not trees.is_message(root) and trees.children(root) == [*dates]
    assert written(by_subject(subjects, dates), dates).startswith("(0 (1)(2)")


IDS = st.lists(st.integers(0, 12), min_size=1, max_size=5).map(lambda numbers: ids(*numbers))


@given(st.lists(IDS, max_size=14), st.lists(st.integers(0, 3), min_size=14, max_size=14))
def test_every_message_is_in_one_thread_once(messages: list[bytes], dates: list[int]) -> None:
    joined = by_references(messages)
    join_by_subject(joined, [("", "a", "b")[date % 3] for date in dates], lambda asked: set(asked[::2]))
    for trees in (by_references(messages), joined, by_subject([str(date) for date in dates[: len(messages)]], dates)):
        sort_by_date(trees, dates)
        sort_by_latest(trees, dates)
        told = written(trees, range(len(messages)))
        assert sorted(told.replace("(", " ").replace(")", " ").split()) == sorted(map(str, range(len(messages))))


def test_t_dos_08_threads_are_no_objects_that_the_collector_has_to_look_through() -> None:
    answers = [ids(n, n - n % 2) for n in range(MANY)]
    subjects = [str(n // 4) for n in range(MANY)]
    gc.collect()
    before = len(gc.get_objects())
    trees = by_references(answers)
    sort_by_date(trees, range(MANY))
    join_by_subject(trees, subjects, lambda _: set())
    told = written(trees, range(MANY))
    assert told.startswith("((0 1)(2 3))((4 5)(6 7))")
    assert len(gc.get_objects()) - before < MANY / 10


def test_t_dos_08_no_one_call_sorts_all_answers_to_a_message(monkeypatch: pytest.MonkeyPatch) -> None:
    """T-DOS-08: such a call holds the interpreter to its end. Between two of them keys are asked for."""
    monkeypatch.setattr("mailward.access.imap.turns._RUN", 50)
    compared = longest = 0

    class Rank(int):
        def __lt__(self, other: int) -> bool:
            nonlocal compared, longest
            compared += 1
            longest = max(longest, compared)
            return int(self) < other

    class Watched(Trees):
        def first_message(self, number: int) -> int:
            nonlocal compared
            compared = 0
            return super().first_message(number)

    trees = Watched(1000)
    trees.roots.append(0)
    for number in range(1, 1000):
        trees.add(0, number)
    trees.sort([Rank(number * 7 % 1000) for number in range(1000)])
    assert [number * 7 % 1000 for number in trees.children(0)] == [*range(1, 1000)]
    assert 0 < longest < 998, "as many at least compares who sorts all at once"


async def test_what_is_told(office: Office) -> None:
    client = await Client(office).login()
    for more in ("Message-ID: <a@x>", "In-Reply-To: <a@x>", "Subject: other"):
        await client.append("INBOX", f"{more}\r\n\r\n".encode())
    await client.ok("SELECT INBOX")
    assert await client.ok("THREAD REFERENCES UTF-8 ALL") == [b"* THREAD (1 2)(3)"]
    assert await client.ok("UID THREAD REFS US-ASCII SEEN") == [b"* THREAD"]
    assert (await client.command("THREAD FROB UTF-8 ALL"))[-1].startswith(b"BAD")
    assert (await client.command("THREAD REFERENCES KOI8-R ALL"))[-1].startswith(b"NO [BADCHARSET")
