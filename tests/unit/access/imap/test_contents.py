"""Columns of a mailbox say what the store says, whatever came and went since they were made, and do not grow beyond their bound."""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailward.access.imap import contents as module
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


def test_of_a_very_large_mailbox_nothing_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_MESSAGES", 3)
    store = Office(tmp_path).store.open(AccountId("alice"))
    inbox = store.mailbox("INBOX").id
    store.apply([Append(inbox, f"Subject: {text}\r\n\r\n".encode(), datetime.now(UTC)) for text in "dbca"])
    shelf, read = Shelf(), list[int]()
    contents = Contents(shelf, store, Selected(store.view(inbox), read_only=True))
    for _ in range(2):
        assert [*contents.values("a", subjects(store, read), range(4))] == ["D", "B", "C", "A"]
        assert contents.ranks("a", subjects(store, read), range(4)) == ["D", "B", "C", "A"]
    assert (len(read), shelf.octets) == (16, 0)


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
