"""Lists: what counts as listed, and files that change under a running server."""

from pathlib import Path

import pytest

from mailward.policy.lists import Entries, Lists, ListSource, ListType, read


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
    entries, _, problems = read(ListSource("l", kind, (), file, "list.txt", "p.yaml:1:1"))
    assert problems == []
    assert (value in entries) is expected


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


def test_mistakes_in_a_file_have_their_line(tmp_path: Path) -> None:
    file = tmp_path / "list.txt"
    file.write_text("a.example\n\nbad domain  # why\n")
    _, _, problems = read(ListSource("l", "domain", (), file, "lists/list.txt", "p.yaml:1:1"))
    assert [problem.where for problem in problems] == ["lists/list.txt:3:1"]
