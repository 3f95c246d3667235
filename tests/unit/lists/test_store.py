"""Kept lists: what is on them, who put it there and until when; what another process sees; and a database that is not well."""

import itertools
import math
from collections.abc import Sequence, Set
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mailward.lists import ListError, ListStore, Remark
from mailward.lists import store as store_module
from mailward.model.errors import StorageError
from mailward.policy.entries import Entries, ListType, normalised

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
WEEK = timedelta(days=7)
ANN = Remark("ann", NOW, "a wave")


@pytest.fixture
def store(tmp_path: Path) -> ListStore:
    return ListStore(tmp_path / "lists.sqlite")


def later(by: str, passed: timedelta, note: str = "") -> Remark:
    return Remark(by, NOW + passed, note)


def values(store: ListStore, at: datetime = NOW, name: str = "blocked") -> list[str]:
    return [*store.read(name, at.timestamp()).values]


def held(store: ListStore, name: str, asked: Sequence[str], at: datetime = NOW) -> Set[str]:
    with closing(store.questions(at)) as questions:
        return questions.held(name, asked)


def test_nothing_is_made_by_reading(store: ListStore, tmp_path: Path) -> None:
    assert (values(store), store.types(), store.entries("blocked", NOW, 5), store.changes("blocked", 5)) == ([], {}, (), ())
    assert store.changed_at("blocked", NOW.timestamp()) == store.count("blocked", NOW) == 0
    assert [*tmp_path.iterdir()] == []


def test_entries_come_with_a_remark_and_go_with_one(store: ListStore) -> None:
    done = store.put("blocked", "address", ["eve@example.net", "bob@example.net", "eve@example.net"], ANN, NOW + WEEK)
    assert (done.added, done.changed) == (("eve@example.net", "bob@example.net"), ())
    again = store.put("blocked", "address", ["bob@example.net"], later("tom", WEEK / 7, "for good"))
    assert (again.added, again.changed) == ((), ("bob@example.net",))
    bob, eve = store.entries("blocked", NOW + WEEK / 7, 5)
    assert (bob.value, bob.remark, bob.expires_at) == ("bob@example.net", later("tom", WEEK / 7, "for good"), None)
    assert (eve.remark, eve.expires_at) == (ANN, NOW + WEEK)
    gone = store.remove("blocked", ["bob@example.net", "nobody@example.net"], later("tom", WEEK / 6))
    assert gone.removed == ("bob@example.net",)
    assert [(one.action, one.value, one.remark.by) for one in store.changes("blocked", 5)] == [
        ("removed", "bob@example.net", "tom"), ("changed", "bob@example.net", "tom"),
        ("added", "bob@example.net", "ann"), ("added", "eve@example.net", "ann"),
    ]  # fmt: skip
    assert [one.action for one in store.changes("blocked", 1)] == ["removed"]
    assert store.types() == {"blocked": "address"}


def test_an_entry_ends_at_its_end(store: ListStore) -> None:
    store.put("blocked", "address", ["eve@example.net"], ANN, NOW + WEEK)
    store.put("blocked", "address", ["bob@example.net"], ANN)
    kept = store.read("blocked", NOW.timestamp())
    assert (kept.type, kept.ends_at) == ("address", (NOW + WEEK).timestamp())
    end = NOW + WEEK
    assert values(store, end - timedelta(seconds=1)) == ["bob@example.net", "eve@example.net"]
    assert values(store, end) == ["bob@example.net"] and store.count("blocked", end) == 1
    assert store.entry("blocked", "eve@example.net", end) is None
    assert store.read("blocked", end.timestamp()).ends_at == math.inf
    assert store.changed_at("blocked", NOW.timestamp()) == NOW.timestamp()
    assert store.changed_at("blocked", end.timestamp()) == end.timestamp()
    assert store.put("blocked", "address", ["eve@example.net"], later("tom", WEEK)).added == ("eve@example.net",)


def test_an_end_that_was_changed_before_it_came_is_none(store: ListStore) -> None:
    store.put("blocked", "address", ["eve@example.net"], ANN, NOW + WEEK)
    store.put("blocked", "address", ["eve@example.net"], later("tom", WEEK / 7))
    assert store.changed_at("blocked", (NOW + 2 * WEEK).timestamp()) == (NOW + WEEK / 7).timestamp()


def test_a_file_that_comes_again_changes_only_what_differs(store: ListStore) -> None:
    store.fill("feed", "domain", ["a.example", "b.example"], ANN)
    again = store.fill("feed", "domain", ["b.example", "c.example"], later("tom", WEEK))
    assert (again.added, again.changed, again.removed) == (("c.example",), (), ())
    alone = store.fill("feed", "domain", ["b.example", "d.example"], later("tom", WEEK), alone=True)
    assert (alone.added, alone.removed) == (("d.example",), ("a.example", "c.example"))
    b, d = sorted(store.entries("feed", NOW, 5), key=lambda entry: entry.value)
    assert (b.value, b.remark.by, d.value, d.remark.by) == ("b.example", "ann", "d.example", "tom")


def test_a_list_has_one_type_while_anything_is_on_it(store: ListStore) -> None:
    store.put("blocked", "address", ["eve@example.net"], ANN)
    with pytest.raises(
        ListError, match=r"are of type address and not domain; remove them first: mailward list remove blocked --all"
    ):
        store.put("blocked", "domain", ["example.net"], ANN)
    assert store.remove("blocked", None, ANN).removed == ("eve@example.net",)
    assert store.read("blocked", NOW.timestamp()).type is None
    store.put("blocked", "domain", ["example.net"], ANN)
    assert store.types() == {"blocked": "domain"} and values(store) == ["example.net"]


def test_a_list_has_its_bound(store: ListStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "MOST_ENTRIES", 2)
    store.put("feed", "domain", ["a.example", "b.example"], ANN)
    with pytest.raises(ListError, match="more than 2 entries"):
        store.put("feed", "domain", ["c.example"], ANN)
    assert store.fill("feed", "domain", ["c.example", "d.example"], ANN, alone=True).added
    assert values(store, name="feed") == ["c.example", "d.example"]


def test_changes_are_kept_for_a_year(store: ListStore) -> None:
    store.put("blocked", "address", ["eve@example.net"], ANN, NOW + WEEK)
    store.put("blocked", "address", ["bob@example.net"], later("tom", timedelta(days=400)))
    assert [one.value for one in store.changes("blocked", 5)] == ["bob@example.net"]


def test_the_mark_is_another_one_for_another_process_and_the_same_for_readers(store: ListStore, tmp_path: Path) -> None:
    other = ListStore(tmp_path / "lists.sqlite")
    marks = [other.mark()]
    for value in ("a.example", "b.example"):
        store.put("feed", "domain", [value], ANN)
        marks.append(other.mark())
    assert len(set(marks)) == 3
    for _ in range(3):
        assert values(other, name="feed") == ["a.example", "b.example"]
        store.entries("feed", NOW, 5)
    with store._reading() as connection:  # a reader that is still there
        assert connection is not None
        connection.execute("SELECT * FROM entry").fetchall()
        assert other.mark() == marks[-1]
    assert other.mark() == marks[-1]


def test_a_database_that_is_not_well_is_said(store: ListStore, tmp_path: Path) -> None:
    store.put("feed", "domain", ["a.example"], ANN)
    path = tmp_path / "lists.sqlite"
    path.write_bytes(b"no database at all" * 100)
    with pytest.raises(StorageError, match=r"lists\.sqlite: file is not a database"):
        values(store, name="feed")
    path.unlink()
    with pytest.raises(StorageError, match=r"lists\.sqlite is gone"):
        values(store, name="feed")


@pytest.mark.parametrize(
    ("type", "entry", "value"),
    [
        ("address", "bob@example.org", "Bob@Example.ORG"),
        ("domain", ".example.org", "mail.example.org"),
        ("domain", "example.org", "EXAMPLE.org"),
        ("network", "192.0.2.0/24", "192.0.2.200"),
        ("network", "2001:db8::/32", "2001:db8::1"),
        ("hash", "d41d8cd98f00b204e9800998ecf8427e", "D41D8CD98F00B204E9800998ECF8427E"),
        ("text", "stra\u00dfe", "STRASSE"),
    ],
)
def test_the_database_is_asked_as_a_policy_asks_what_it_has_read(
    store: ListStore, type: ListType, entry: str, value: str
) -> None:
    store.put("blocked", type, [normalised(type, entry)], ANN, NOW + WEEK)
    for asked, at in itertools.product((value, "other.example", "203.0.113.9", "." * 100_000, "", "\udcff"), (NOW, NOW + WEEK)):
        known = asked in Entries(type, values(store, at))
        assert held(store, "blocked", ("no", asked), at) == ({asked} if known else set()), (asked, at)
    assert held(store, "another", (value,)) == set()


def test_no_list_holds_anything_before_there_are_any(store: ListStore, tmp_path: Path) -> None:
    assert held(store, "blocked", ("bob@example.org",)) == set()
    assert [*tmp_path.iterdir()] == []
