"""THREAD's algorithms (RFC 5256 section 3) on what no mailbox should hold; tests/integration compares with a real Dovecot."""

from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailward.access.imap.threads import (
    NOBODY,
    Node,
    by_references,
    by_subject,
    joined_by_subject,
    sort_by_date,
    sort_by_latest,
    written,
)
from support.imap import Client, Office

MANY = 100_000


def ids(*numbers: int) -> bytes:
    return array("Q", numbers).tobytes()


def threads(*messages: bytes) -> str:
    roots = by_references(messages)
    sort_by_date(roots, range(len(messages)))
    return written(roots, range(1, len(messages) + 1))


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


def test_t_imap_10_a_hundred_thousand_equal_subjects() -> None:
    subjects, dates = ["same"] * MANY, range(MANY)
    roots = joined_by_subject([Node(at) for at in range(MANY)], subjects, lambda asked: set(asked) - {5})
    assert [(root.at, len(root.children)) for root in roots] == [(5, MANY - 1)]
    roots = joined_by_subject([Node(at) for at in range(MANY)], subjects, lambda _: set())
    sort_by_date(roots, dates)
    assert [(root.at, len(root.children)) for root in roots] == [(NOBODY, MANY)]
    assert written(by_subject(subjects, dates), dates).startswith("(0 (1)(2)")


IDS = st.lists(st.integers(0, 12), min_size=1, max_size=5).map(lambda numbers: ids(*numbers))


@given(st.lists(IDS, max_size=14), st.lists(st.integers(0, 3), min_size=14, max_size=14))
def test_every_message_is_in_one_thread_once(messages: list[bytes], dates: list[int]) -> None:
    for roots in (
        by_references(messages),
        joined_by_subject(by_references(messages), [("", "a", "b")[date % 3] for date in dates], lambda asked: set(asked[::2])),
        by_subject([str(date) for date in dates[: len(messages)]], dates),
    ):
        sort_by_date(roots, dates)
        sort_by_latest(roots, dates)
        told = written(roots, range(len(messages)))
        assert sorted(told.replace("(", " ").replace(")", " ").split()) == sorted(map(str, range(len(messages))))


async def test_what_is_told(office: Office) -> None:
    client = await Client(office).login()
    for more in ("Message-ID: <a@x>", "In-Reply-To: <a@x>", "Subject: other"):
        await client.append("INBOX", f"{more}\r\n\r\n".encode())
    await client.ok("SELECT INBOX")
    assert await client.ok("THREAD REFERENCES UTF-8 ALL") == [b"* THREAD (1 2)(3)"]
    assert await client.ok("UID THREAD REFS US-ASCII SEEN") == [b"* THREAD"]
    assert (await client.command("THREAD FROB UTF-8 ALL"))[-1].startswith(b"BAD")
    assert (await client.command("THREAD REFERENCES KOI8-R ALL"))[-1].startswith(b"NO [BADCHARSET")
