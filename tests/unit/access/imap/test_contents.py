"""Columns of a mailbox say what the store says, whatever came and went since they were made, and do not grow beyond their bound."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailward.access.imap.contents import Contents, Shelf
from mailward.access.imap.selected import Selected
from mailward.model.ids import AccountId, Uid
from mailward.store.base import AccountStore
from mailward.store.ops import Append, Expunge
from support.imap import Client, Office

SUBJECTS = ("pears", "apples", "Re: pears", "figs")


def subjects(store: AccountStore, read: list[int]) -> Callable[[Sequence[int]], Iterable[str]]:
    """Reads sort keys, and notes of which messages."""

    def some(messages: Sequence[int]) -> Iterable[str]:
        read.extend(messages)
        return (str(key) for (key,) in store.meta(messages, ("subject_key",)))

    return some


@given(steps=st.lists(st.one_of(st.just(None), st.integers(0, 8), st.sampled_from(["old", "few"])), max_size=12))
@settings(deadline=None, max_examples=30)
def test_a_column_is_what_the_store_says(tmp_path_factory: pytest.TempPathFactory, steps: list[int | str | None]) -> None:
    """None: a message comes; a number: that one goes; old: a session that has not been told of any of it asks."""
    store = Office(tmp_path_factory.mktemp("contents")).store.open(AccountId("alice"))
    inbox = store.mailbox("INBOX").id
    mail = (f"Subject: {SUBJECTS[number % 4]}\r\n\r\n{number}\r\n".encode() for number in range(100))
    store.apply([Append(inbox, next(mail), datetime.now(UTC)) for _ in range(9)])
    shelf, old = Shelf(), Selected(store.view(inbox), read_only=True)
    for step in steps:
        selected = old if step == "old" else Selected(store.view(inbox), read_only=True)
        if step is None:
            store.apply([Append(inbox, next(mail), datetime.now(UTC))])
        elif isinstance(step, int) and step < len(selected):
            store.apply([Expunge(inbox, (Uid(selected.uids[step]),))])
        places: Sequence[int] = range(len(selected)) if step != "few" else [place for place in (1, 4) if place < len(selected)]
        contents = Contents(shelf, store, selected)
        keys = [str(next(iter(store.meta((selected.messages[place],), ("subject_key",))))[0]) for place in places]
        assert [*contents.values("subjects", subjects(store, []), places)] == keys
        ranks = [*contents.ranks("subjects", subjects(store, []), places)]
        assert [a < b for a in ranks for b in ranks] == [a < b for a in keys for b in keys]
        sizes = [next(iter(store.meta((selected.messages[place],), ("size_octets",))))[0] for place in places]
        assert [*contents.numbers("size_octets", places)] == sizes


def test_only_what_is_not_known_is_read(tmp_path: Path) -> None:
    store = Office(tmp_path).store.open(AccountId("alice"))
    inbox = store.mailbox("INBOX").id
    store.apply([Append(inbox, b"Subject: a\r\n\r\n", datetime.now(UTC)) for _ in range(9)])
    shelf, read = Shelf(), list[int]()

    def look(places: Sequence[int] | None = None) -> list[int]:
        read.clear()
        selected = Selected(store.view(inbox), read_only=True)
        [*Contents(shelf, store, selected).values("a", subjects(store, read), range(len(selected)) if places is None else places)]
        return read

    assert look([2]) == [3]
    assert look() == [*range(1, 10)]
    assert look() == look([2]) == []
    store.apply([Append(inbox, b"Subject: a\r\n\r\n", datetime.now(UTC))])
    assert look() == [10]
    store.apply([Expunge(inbox, (Uid(4),)), Append(inbox, b"Subject: a\r\n\r\n", datetime.now(UTC))])
    assert look() == [11]


def test_t_imap_07_of_a_column_that_is_too_large_nothing_is_held(tmp_path: Path) -> None:
    store = Office(tmp_path).store.open(AccountId("alice"))
    inbox = store.mailbox("INBOX").id
    keys = [f"{letter * 200}" for letter in "DBCAFE"]
    store.apply([Append(inbox, f"Subject: {text}\r\n\r\n".encode(), datetime.now(UTC)) for text in keys])
    shelf, read = Shelf(2400), list[int]()

    def look() -> tuple[list[str], list[int]]:
        read.clear()
        contents = Contents(shelf, store, Selected(store.view(inbox), read_only=True))
        ranks = [*contents.ranks("a", singly, range(len(contents.selected)))]
        assert sorted(range(len(ranks)), key=ranks.__getitem__) == sorted(range(len(keys)), key=keys.__getitem__)
        values = contents.values("a", singly, range(len(contents.selected)))
        of_ranks = read[:]
        return [*values], of_ranks

    def singly(messages: Sequence[int]) -> Iterable[str]:
        for message in messages:
            yield from subjects(store, read)([message])

    for of_ranks in ([1, 2, 3, 4, 5, *range(1, 7)], [*range(1, 7)]):
        assert look() == (keys, of_ranks), "reading for the column ends where it is too large, and is not tried again"
        assert shelf.octets <= 400
    store.apply([Expunge(inbox, (Uid(1), Uid(2), Uid(3), Uid(4)))])
    del keys[:4]
    assert look() == (keys, [5, 6]), "until the mailbox is smaller"
    assert look() == (keys, [])


def test_t_imap_07_who_takes_most_makes_room_of_its_own(tmp_path: Path) -> None:
    office = Office(tmp_path)
    shelf = Shelf(10_000)

    def column(account: str, name: str) -> int:
        """How many messages were read for it."""
        store, read = office.store.open(AccountId(account)), list[int]()
        contents = Contents(shelf, store, Selected(store.view(store.mailbox("INBOX").id), read_only=True))
        [*contents.values(name, subjects(store, read), range(len(contents.selected)))]
        assert shelf.octets <= 10_000
        return len(read)

    for account in ("alice", "bob"):
        store = office.store.open(AccountId(account))
        inbox = store.mailbox("INBOX").id
        store.apply([Append(inbox, f"Subject: {number}\r\n\r\n".encode(), datetime.now(UTC)) for number in range(10)])
    for name in "ab":
        column("alice", name)
    assert sum(column("bob", str(number)) for number in range(50)) == 500
    assert [column("alice", name) for name in "ab"] == [0, 0]
    assert column("bob", "49") == 0


def test_a_column_is_made_once_for_all_who_wait_for_it(tmp_path: Path) -> None:
    store = Office(tmp_path).store.open(AccountId("alice"))
    inbox = store.mailbox("INBOX").id
    store.apply([Append(inbox, b"Subject: a\r\n\r\n", datetime.now(UTC)) for _ in range(9)])
    shelf, read = Shelf(), list[int]()
    selected = Selected(store.view(inbox), read_only=True)

    def look() -> list[str]:
        return [*Contents(shelf, store, selected).values("a", some, range(9))]

    def some(messages: Sequence[int]) -> Iterable[str]:
        assert shelf.making(store).locked()
        return subjects(store, read)(messages)

    with ThreadPoolExecutor(4) as pool:
        assert [*pool.map(lambda _: look(), range(4))] == [["A"] * 9] * 4
    assert len(read) == 9


def test_what_was_used_last_stays(tmp_path: Path) -> None:
    store = Office(tmp_path).store.open(AccountId("alice"))
    inbox = store.mailbox("INBOX").id
    store.apply([Append(inbox, b"Subject: a\r\n\r\n", datetime.now(UTC)) for _ in range(9)])
    selected = Selected(store.view(inbox), read_only=True)
    one = Shelf()
    [*Contents(one, store, selected).numbers("size_octets", range(9))]
    shelf = Shelf(one.octets * 2)
    contents = Contents(shelf, store, selected)

    def reads(name: str) -> int:
        read = list[int]()

        def some(messages: Sequence[int]) -> Iterable[int]:
            read.extend(messages)
            return (1 for _ in messages)

        [*contents.values(name, some, range(9))]
        assert shelf.octets <= one.octets * 2
        return len(read)

    assert [reads(name) for name in ("a", "b", "a", "c", "a", "b")] == [9, 9, 0, 9, 0, 9]


async def test_threads_and_orders_are_told_of_those_that_are_there_now(office: Office) -> None:
    one, other = await Client(office).login(), await Client(office).login()
    for number in range(1, 4):
        await one.append("INBOX", f"Message-ID: <{number}@x>\r\nReferences: <1@x>\r\n\r\n".encode())
    await one.ok("SELECT INBOX")
    await other.ok("SELECT INBOX")
    told = [b"* THREAD (1 (2)(3))"]
    assert await one.ok("UID THREAD REFERENCES UTF-8 ALL") == await other.ok("UID THREAD REFERENCES UTF-8 ALL") == told
    assert await one.ok("UID THREAD REFERENCES UTF-8 2:3") == [b"* THREAD ((2)(3))"]
    assert await one.ok("UID SORT (REVERSE ARRIVAL SUBJECT) UTF-8 2:3") == [b"* SORT 2 3"]
    await one.ok("UID STORE 1 +FLAGS.SILENT (\\Deleted)")
    await one.ok("EXPUNGE")
    assert await one.ok("UID THREAD REFERENCES UTF-8 ALL") == [b"* THREAD ((2)(3))"]
    assert await one.ok("THREAD REFERENCES UTF-8 ALL") == [b"* THREAD ((1)(2))"]
    assert await one.ok("UID SORT (REVERSE ARRIVAL SUBJECT) UTF-8 UID 2:3") == [b"* SORT 2 3"]
    assert await one.ok("SORT (REVERSE ARRIVAL SUBJECT) UTF-8 UID 2:3") == [b"* SORT 1 2"]
