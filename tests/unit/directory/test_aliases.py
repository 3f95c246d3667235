"""Where aliases lead: precedence, circles, bounds; and what cannot be made an alias (RFC 5321 section 3.9)."""

import sqlite3
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailward.directory import Alias, Directory, DirectoryError
from mailward.directory.aliases import MOST_ENDS, MOST_STEPS, Meaning, NoEnd, circle, expand
from mailward.formats.address import parse_mailbox
from mailward.model.address import Address
from mailward.model.ids import AccountId


def at(text: str) -> Address:
    return Address("", text[1:]) if text.startswith("@") else parse_mailbox(text)


class Book:
    """A directory with alice and bob at example.org, and example.com beside it."""

    def __init__(self, path: Path) -> None:
        self.directory = Directory(path)
        for domain in ("example.org", "example.com"):
            self.directory.add_domain(domain)
        for name in ("alice", "bob"):
            self.directory.add_account(at(f"{name}@example.org"))

    def add(self, alias: str, *targets: str, owner: str = "") -> None:
        self.directory.add_alias(Alias(at(alias), tuple(map(at, targets)), at(owner) if owner else None))

    def ends(self, address: str) -> list[str]:
        """Mailboxes by their account's address, in brackets what is on another server."""
        accounts = {account.id: str(account.address) for account in self.directory.accounts()}
        return [
            f"[{way.address}]" if way.account is None else accounts[way.account] for way in self.directory.expand(at(address))
        ]


@pytest.fixture
def book(tmp_path: Path) -> Book:
    return Book(tmp_path / "directory.sqlite")


ALICE, BOB = "alice@example.org", "bob@example.org"


def test_an_alias_leads_to_several_here_and_elsewhere_each_once(book: Book) -> None:
    book.add("Sales@example.org", ALICE, "ann@far.example", BOB, "Alice+x@example.org", "ann@far.example")
    assert book.ends("sales@EXAMPLE.org".lower()) == [ALICE, "[ann@far.example]", BOB]
    assert book.ends("SALES+spring@example.org") == [ALICE, "[ann@far.example]", BOB]


def test_an_account_counts_before_an_alias_both_before_subaddresses_and_all_before_a_catch_all(book: Book) -> None:
    book.add("@example.org", "all@far.example")
    book.add("alice+shop@example.org", BOB)
    assert book.ends(ALICE) == [ALICE]
    assert book.ends("alice+shop@example.org") == [BOB]
    assert book.ends("alice+other@example.org") == [ALICE]
    assert book.ends("nobody@example.org") == ["[all@far.example]"]
    assert book.ends("nobody+x@example.org") == ["[all@far.example]"]
    assert book.ends("+x@example.org") == ["[all@far.example]"]
    assert book.ends("nobody@example.com") == []


def test_rfc_5321_4_5_1_postmaster_is_not_lost_in_a_catch_all_but_may_be_an_alias(book: Book) -> None:
    book.add("@example.org", BOB)
    assert book.ends("postmaster@example.org") == [ALICE]
    book.add("postmaster@example.org", BOB)
    assert book.ends("Postmaster@example.org") == [BOB]


def test_a_whole_domain_leads_to_another_with_the_same_local_parts(book: Book) -> None:
    book.add("@example.com", "@example.org")
    assert book.ends("alice@example.com") == [ALICE]
    assert book.ends("alice+x@example.com") == [ALICE]
    assert book.ends("nobody@example.com") == []
    with pytest.raises(DirectoryError, match="is not served here"):
        book.add("@example.com", "@far.example")


def test_aliases_lead_to_aliases_and_the_way_is_known(book: Book) -> None:
    book.add("team@example.org", ALICE, BOB, owner=ALICE)
    book.add("everybody@example.org", "team@example.org", "ann@far.example")
    (first, second, third) = book.directory.expand(at("everybody@example.org"))
    assert [alias.name for alias in first.through] == ["everybody@example.org", "team@example.org"]
    assert (str(first.owner), str(second.owner), third.owner) == (ALICE, ALICE, None)


@pytest.mark.parametrize(
    ("alias", "targets", "why"),
    [
        (ALICE, ["ann@far.example"], "is taken: it is the account"),
        ("x@far.example", [ALICE], "is not served"),
        ("x@example.org", ["nobody@example.org"], "is nobody's address"),
        ("x@example.org", [], "needs 1 to"),
        ("x@example.org", ["x@example.org"], r"in a circle: x@example\.org -> x@example\.org"),
        ("x@example.org", [f"n{n}@far.example" for n in range(MOST_ENDS + 1)], "needs 1 to"),
    ],
)
def test_what_could_not_work_is_no_alias(book: Book, alias: str, targets: list[str], why: str) -> None:
    with pytest.raises(DirectoryError, match=why):
        book.add(alias, *targets)
    assert book.directory.aliases() == ()


def test_t_relay_15_a_circle_is_refused_and_shown(book: Book) -> None:
    book.add("a@example.org", ALICE)
    book.add("b@example.org", "a@example.org")
    with pytest.raises(DirectoryError, match=r"a@example\.org -> b@example\.org -> a@example\.org"):
        book.add("a@example.org", BOB, "b@example.org")
    assert book.ends("b@example.org") == [ALICE]
    book.add("@example.com", "@example.org")
    with pytest.raises(DirectoryError, match="in a circle"):
        book.add("@example.org", "@example.com")


def test_an_alias_is_replaced_listed_and_removed(book: Book) -> None:
    book.add("x@example.org", ALICE)
    book.add("X@example.org", BOB)
    (alias,) = book.directory.aliases()
    assert (alias.name, alias.targets) == ("x@example.org", (at(BOB),))
    with pytest.raises(DirectoryError, match="is taken: it is an alias"):
        book.directory.add_account(at("x@example.org"))
    book.directory.remove_alias(at("x@example.org"))
    with pytest.raises(DirectoryError, match="no alias"):
        book.directory.remove_alias(at("x@example.org"))


def test_an_alias_lends_nobody_its_name(book: Book) -> None:
    book.add("sales@example.org", ALICE)
    assert book.directory.resolve(at("sales@example.org")) is None


def test_what_leads_to_nobody_any_more_is_passed_over(book: Book) -> None:
    book.add("x@example.org", ALICE, BOB)
    found = book.directory.account(at(ALICE))
    assert found is not None
    book.directory.remove_account(found.id)
    assert book.ends("x@example.org") == [BOB]


def test_another_connection_sees_an_alias_at_once(book: Book, tmp_path: Path) -> None:
    other = Directory(tmp_path / "directory.sqlite")
    assert other.expand(at("x@example.org")) == ()
    book.add("x@example.org", ALICE)
    assert len(other.expand(at("x@example.org"))) == 1
    book.directory.remove_domain("example.com")
    assert not other.is_local_domain("example.com")


def test_the_aliases_of_a_domain_go_with_it(book: Book, tmp_path: Path) -> None:
    book.add("x@example.com", ALICE)
    book.directory.remove_domain("example.com")
    connection = sqlite3.connect(tmp_path / "directory.sqlite")
    assert connection.execute("SELECT count(*) FROM alias_target").fetchone() == (0,)
    connection.close()
    assert book.directory.aliases() == ()


def test_a_domain_that_aliases_of_others_lead_into_stays(book: Book) -> None:
    book.add("x@example.com", ALICE)
    book.add("y@example.org", "x@example.com")
    book.add("@example.org", "@example.com")
    with pytest.raises(DirectoryError, match=r"aliases lead into example\.com.*: @example\.org, y@example\.org"):
        book.directory.remove_domain("example.com")
    book.directory.remove_alias(at("y@example.org"))
    book.directory.remove_alias(Address("", "example.org"))
    book.directory.remove_domain("example.com")


def test_an_account_that_owns_a_list_stays(book: Book) -> None:
    book.add("team@example.org", BOB, owner=ALICE)
    found = book.directory.account(at(ALICE))
    assert found is not None
    with pytest.raises(DirectoryError, match=r"owns team@example\.org"):
        book.directory.remove_account(found.id)
    book.directory.remove_alias(at("team@example.org"))
    book.directory.remove_account(found.id)


NAMES = [f"n{n}@x.example" for n in range(8)]


@given(st.dictionaries(st.sampled_from(NAMES), st.lists(st.sampled_from([*NAMES, "out@far.example", "a", "b"]), min_size=1)))
def test_t_relay_15_any_web_of_aliases_ends_and_reaches_each_end_once(web: dict[str, list[str]]) -> None:
    """Against the plain closure of the web."""

    def look_up(address: Address) -> Meaning:
        name = str(address)
        if address.domain == "accounts":
            return AccountId(address.local_part)
        if name in web:
            return Alias(address, tuple(at(t) if "@" in t else Address(t, "accounts") for t in web[name]))
        return NoEnd.ELSEWHERE if address.domain == "far.example" else NoEnd.NOBODY

    for start in NAMES:
        reached, waiting = set[str](), [start]
        while waiting:
            name = waiting.pop()
            if name not in reached:
                reached.add(name)
                waiting += web.get(name, [])
        ends = [str(way.address).removesuffix("@accounts") for way in expand(at(start), look_up)]
        assert sorted(ends) == sorted(reached - set(NAMES))
        in_circle = start in web and any(start in _reached(web, target) for target in web[start])
        alias = look_up(at(start))
        assert not in_circle or (isinstance(alias, Alias) and circle(alias, look_up))


def _reached(web: dict[str, list[str]], start: str) -> set[str]:
    reached, waiting = set[str](), [start]
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting += web.get(name, [])
    return reached


def test_a_long_way_is_cut_and_not_made(book: Book) -> None:
    book.add("a0@example.org", ALICE)
    for n in range(1, MOST_STEPS):
        book.add(f"a{n}@example.org", f"a{n - 1}@example.org")
    assert book.ends(f"a{MOST_STEPS - 1}@example.org") == [ALICE]
    with pytest.raises(DirectoryError, match="more than 10 aliases"):
        book.add(f"a{MOST_STEPS}@example.org", f"a{MOST_STEPS - 1}@example.org")
