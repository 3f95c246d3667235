"""Lists: what counts as listed, and files and kept lists that change under a running server."""

import math
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
import structlog

from mailward.model.errors import StorageError
from mailward.policy.entries import Entries, ListType, entries_holding
from mailward.policy.lists import RETRY_S, KeptEntries, Lists, ListSource


@pytest.mark.parametrize(
    ("kind", "entry", "value", "expected"),
    [
        ("address", "Bob@Example.ORG", "bob@example.org", True),
        ("address", "bob@example.org", "bobby@example.org", False),
        ("domain", "example.org", "EXAMPLE.org", True),
        ("domain", "example.org", "sub.example.org", False),
        ("domain", ".example.org", "a.b.example.org", True),
        ("domain", ".example.org", "example.org", False),
        ("domain", ".example.org", "notexample.org", False),
        ("domain", "bücher.example", "xn--bcher-kva.example", True),
        ("network", "192.0.2.0/24", "192.0.2.255", True),
        ("network", "192.0.2.0/24", "192.0.3.0", False),
        ("network", "192.0.2.7", "192.0.2.7", True),
        ("network", "2001:db8::/32", "2001:db8:ffff::1", True),
        ("network", "0.0.0.0/0", "2001:db8::1", False),
        ("network", "::ffff:192.0.2.0/120", "192.0.2.255", True),
        ("network", "::ffff:192.0.2.7", "192.0.2.8", False),
        ("network", "::/0", "192.0.2.7", False),
        ("network", "192.0.2.0/24", "no address", False),
        ("hash", "D41D8CD98F00B204E9800998ECF8427E", "d41d8cd98f00b204e9800998ecf8427e", True),
        ("text", "Straße", "STRASSE", True),
        ("text", "café", "CAFE\u0301", True),
        ("text", "cafe\u0301", "café", True),
        ("address", "jose\u0301@example.org", "José@example.org", True),
        ("address", "José@example.org", "jose\u0301@example.org", True),
        ("address", "a b@example.org", '"a b"@example.org', True),
        ("address", '"a b"@Example.org', '"a b"@example.org', True),
        ("text", "# no comment #1", "# no comment #1", False),
        ("text", "offer #1", "Offer #1", True),
    ],
)
def test_what_is_listed(tmp_path: Path, kind: ListType, entry: str, value: str, expected: bool) -> None:
    file = tmp_path / "list.txt"
    file.write_text(f"# a comment\n\n  {entry}  \n")
    lists = Lists()
    assert lists.add(ListSource("l", kind, (), file, "list.txt", "p.yaml:1:1")) == []
    assert lists.listed(value, "l") is expected


def test_networks_agree_with_ipaddress() -> None:
    entries = Entries("network", ["10.0.0.0/8", "192.0.2.128/25", "::1/128"])
    assert "10.255.255.255" in entries
    assert "192.0.2.127" not in entries
    assert "::1" in entries
    assert "::2" not in entries


def test_a_file_that_changes_is_read_again_and_a_broken_one_is_not_used(tmp_path: Path) -> None:
    file = tmp_path / "list.txt"
    file.write_text("a.example\n")
    lists = Lists()
    assert lists.add(ListSource("l", "domain", (("c.example", "p.yaml:2:2"),), file, "list.txt", "p.yaml:1:1")) == []
    assert not lists.refresh()
    file.write_text("b.example\nbb.example\n")
    assert lists.refresh()
    assert [lists.listed(name + ".example", "l") for name in "abc"] == [False, True, True]
    file.write_text("not a domain\n")
    assert not lists.refresh()
    file.unlink()
    assert not lists.refresh()
    assert lists.listed("b.example", "l")
    assert lists.listed(["x.example", "b.example"], "l")


@dataclass
class Kept:
    """One list, without a database. broken: what reading it raises."""

    entries: KeptEntries = field(default_factory=KeptEntries)
    number: int = 0
    broken: str = ""
    reads: int = 0

    def become(self, *values: str, ends_at: float = math.inf) -> None:
        self.number += 1
        self.entries = KeptEntries("domain", sorted(values), dict.fromkeys(values, ends_at))

    def mark(self) -> object:
        return self.number

    def read(self, name: str, now: float) -> KeptEntries:
        self.reads += 1
        if self.broken:
            raise StorageError(self.broken)
        return self.entries if now < self.entries.ends_at else KeptEntries()

    def changed_at(self, name: str, now: float) -> float:
        return self.number * 100.0


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


KEPT = ListSource("l", "domain", (("c.example", "p.yaml:2:2"),), None, "", "p.yaml:1:1", is_kept=True)


def test_a_kept_list_is_read_again_when_it_changes_and_never_else() -> None:
    kept = Kept()
    lists = Lists(kept, Clock())
    assert lists.add(KEPT) == []
    empty = lists.digest
    assert not lists.refresh() and kept.reads == 1
    kept.become("a.example", "b.example")
    assert lists.refresh() and not lists.refresh() and kept.reads == 2
    assert [lists.listed(name + ".example", "l") for name in "abcd"] == [True, True, True, False]
    assert lists.digest != empty
    kept.become("b.example", "a.example")
    assert not lists.refresh()  # another moment, the same content
    kept.become()
    assert lists.refresh() and lists.digest == empty and not lists.listed("a.example", "l")


def test_an_entry_that_expires_ends_without_a_change_of_the_database() -> None:
    kept, clock = Kept(), Clock()
    kept.become("a.example", ends_at=2000.0)
    lists = Lists(kept, clock)
    lists.add(KEPT)
    held = lists.digest
    clock.now = 1999.9
    assert not lists.refresh() and lists.listed("a.example", "l")
    clock.now = 2000.0
    assert lists.refresh() and not lists.listed("a.example", "l") and lists.digest != held
    assert not lists.refresh()


def test_a_kept_list_that_cannot_be_read_stays_with_an_alarm_and_is_tried_again() -> None:
    kept, clock = Kept(), Clock()
    kept.become("a.example")
    lists = Lists(kept, clock)
    lists.add(KEPT)
    kept.become("b.example")
    kept.broken = "the disk is away"
    with structlog.testing.capture_logs() as logs:
        assert not lists.refresh() and not lists.refresh()
    assert [(one["event"], one["log_level"], one["problem"]) for one in logs] == [("policy list kept", "error", kept.broken)]
    assert lists.listed("a.example", "l")
    kept.broken = ""
    assert not lists.refresh()
    clock.now += RETRY_S
    assert lists.refresh() and lists.listed("b.example", "l")


@pytest.mark.parametrize("broken", ["the disk is away", ""])
def test_what_expires_ends_though_the_list_cannot_be_used_and_it_is_tried_again(broken: str) -> None:
    kept, clock = Kept(), Clock()
    kept.entries = KeptEntries("domain", ["a.example", "b.example", "c.example"], {"a.example": 2000.0, "c.example": 2000.0})
    lists = Lists(kept, clock)
    lists.add(KEPT)
    kept.become("1.example")
    kept.broken = broken
    kept.entries = KeptEntries("address", ["x@example.org"])  # by another policy
    assert not lists.refresh() and lists.listed("a.example", "l")
    clock.now = 2000.0
    assert lists.refresh()
    assert [lists.listed(name + ".example", "l") for name in "abc"] == [False, True, True]  # c is written in the policy, too
    kept.broken, kept.entries = "", KeptEntries("domain", ["d.example"])
    clock.now += RETRY_S
    assert lists.refresh() and lists.listed("d.example", "l") and not lists.listed("b.example", "l")


def test_a_kept_list_that_cannot_be_read_at_the_start_is_a_problem() -> None:
    (problem,) = Lists(Kept(broken="no such thing")).add(KEPT)
    assert (problem.where, problem.text) == ("p.yaml:1:1", "cannot be read: no such thing")


def test_entries_of_another_type_are_a_problem_with_the_way_out() -> None:
    kept = Kept()
    kept.become("a.example")
    lists = Lists(kept)
    (problem,) = lists.add(ListSource("l", "address", (), None, "", "p.yaml:1:1", is_kept=True))
    assert problem.text == "the 1 entries in the database are of type domain, here it is address"
    assert "mailward list remove l --all" in problem.hint


def test_a_list_of_a_policy_comes_instead_of_the_presets(tmp_path: Path) -> None:
    file = tmp_path / "list.txt"
    file.write_text("a.example\n")
    lists = Lists(Kept())
    lists.add(ListSource("l", "domain", (), file, "list.txt", "preset.yaml:1:1"))
    lists.add(ListSource("l", "domain", (("c.example", "p.yaml:2:2"),), None, "", "p.yaml:1:1"))
    file.write_text("b.example, changed\n")
    assert not lists.refresh() and lists.digest == b""
    assert lists.listed("c.example", "l") and not lists.listed("a.example", "l")


def test_what_has_changed_since_is_known(tmp_path: Path) -> None:
    file = tmp_path / "list.txt"
    file.write_text("a.example\n")
    kept = Kept()
    kept.become("a.example")
    lists = Lists(kept)
    lists.add(KEPT)
    lists.add(ListSource("f", "domain", (), file, "list.txt", "p.yaml:1:1"))
    written = file.stat().st_mtime
    assert lists.changed_since(written + 1) == {}
    assert [*lists.changed_since(101.0)] == ["f"]
    assert {name: at.timestamp() for name, at in lists.changed_since(0).items()} == {"f": pytest.approx(written), "l": 100.0}


@pytest.mark.parametrize(
    ("kind", "entries", "value", "holding"),
    [
        ("domain", [".example.org", "a.b.example.org", ".b.example.org"], "A.b.example.org", ["a.b.example.org", ".b.example.org", ".example.org"]),
        ("domain", [".example.org"], ".example.org", [".example.org"]),
        ("network", ["192.0.2.0/24", "192.0.2.7/32", "0.0.0.0/0", "2001:db8::/32"], "192.0.2.7", ["192.0.2.7/32", "192.0.2.0/24", "0.0.0.0/0"]),
        ("network", ["192.0.2.0/24"], "192.0.2.0/24", ["192.0.2.0/24"]),
        ("address", ["bob@example.org"], "Bob@Example.org", ["bob@example.org"]),
        ("address", ["bob@example.org"], "no address", []),
        ("text", ["straße".casefold()], "STRASSE", ["strasse"]),
    ],
)  # fmt: skip
def test_the_entries_by_which_a_value_is_listed(kind: ListType, entries: list[str], value: str, holding: list[str]) -> None:
    found = Entries(kind, entries)
    assert [*found.holding(value)] == holding
    assert (value in found) or value.startswith(".") or "/" in value or not holding


@pytest.mark.parametrize("value", ["192.0.2.7", "0.0.0.0", "2001:db8::7:0:0:1", "::ffff:192.0.2.7", "::", "::192.0.2.7"])
def test_the_networks_of_an_address_are_named_as_the_standard_library_names_them(value: str) -> None:
    address = ip_address(value)
    named = [str(ip_network((address, size), strict=False)) for size in range(address.max_prefixlen, -1, -1)]
    assert [one for one in entries_holding("network", value) if one in named] == named


def test_mistakes_in_a_file_have_their_line(tmp_path: Path) -> None:
    file = tmp_path / "list.txt"
    file.write_text("a.example\n\nbad domain  # why\n")
    problems = Lists().add(ListSource("l", "domain", (), file, "lists/list.txt", "p.yaml:1:1"))
    assert [problem.where for problem in problems] == ["lists/list.txt:3:1"]
