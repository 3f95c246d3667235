"""Groups of accounts: who is in which, by his own addresses and by aliases; and which names they may have."""

from pathlib import Path

import pytest

from mailward.directory import Alias, Directory, DirectoryError
from mailward.directory import groups as groups_module
from mailward.formats.address import parse_mailbox as at
from mailward.model.ids import AccountId

ALICE, BOB = at("alice@example.org"), at("bob@example.org")


@pytest.fixture
def directory(tmp_path: Path) -> Directory:
    made = Directory(tmp_path / "directory.sqlite")
    made.add_domain("example.org")
    for address in (ALICE, BOB):
        made.add_account(address)
    return made


def put(directory: Directory, name: str, *addresses: str) -> None:
    accounts = [directory.resolve(at(address)) for address in addresses]
    directory.add_to_group(name, [account for account in accounts if account is not None])


def members(directory: Directory, name: str) -> list[str]:
    return [str(account.address) for account in directory.groups().get(name, ())]


def test_an_account_is_in_its_groups_by_each_of_its_addresses(directory: Directory) -> None:
    put(directory, "staff", "bob@example.org", "alice@example.org")
    put(directory, "finance", "alice@example.org")
    directory.add_address(at("ann@example.org"), directory.accounts()[0].id)
    assert {name: members(directory, name) for name in directory.groups()} == {
        "finance": ["alice@example.org"],
        "staff": ["alice@example.org", "bob@example.org"],
    }
    for address in ("Alice@example.org", "ann@example.org", "alice+x@example.org", "postmaster@example.org"):
        assert directory.groups_behind(at(address)) == ("finance", "staff")
    assert directory.groups_behind(BOB) == ("staff",)
    assert directory.groups_behind(at("nobody@example.org")) == directory.groups_behind(at("x@far.example")) == ()


def test_an_alias_is_in_the_groups_of_all_mailboxes_that_it_leads_to(directory: Directory) -> None:
    put(directory, "finance", "alice@example.org")
    put(directory, "sales", "bob@example.org")
    directory.add_alias(Alias(at("one@example.org"), (BOB, at("x@far.example"))))
    directory.add_alias(Alias(at("all@example.org"), (at("one@example.org"), ALICE)))
    directory.add_alias(Alias(at("far@example.org"), (at("x@far.example"),)))
    found = [directory.groups_behind(at(f"{name}@example.org")) for name in ("one", "all", "far")]
    assert found == [("sales",), ("finance", "sales"), ()]


def test_a_group_ends_with_its_last_member(directory: Directory) -> None:
    put(directory, "finance", "alice@example.org", "bob@example.org", "alice@example.org")
    alice, bob = (account.id for account in directory.accounts())
    directory.remove_from_group("finance", [bob])
    assert members(directory, "finance") == ["alice@example.org"]
    directory.remove_account(alice)
    assert directory.groups() == {} and directory.groups_of([alice, bob]) == ()


def test_another_connection_sees_a_member_at_once(directory: Directory, tmp_path: Path) -> None:
    other = Directory(tmp_path / "directory.sqlite")
    assert other.groups_behind(ALICE) == ()
    put(directory, "finance", "alice@example.org")
    assert other.groups_behind(ALICE) == ("finance",)


@pytest.mark.parametrize("name", ["", "-x", "a b", "group:x", "x\n", "naïve", "x" * 65])
def test_what_a_policy_could_not_name_is_no_group(directory: Directory, name: str) -> None:
    with pytest.raises(DirectoryError, match="cannot name a group: 1 to 64 letters"):
        put(directory, name, "alice@example.org")


def test_two_groups_do_not_differ_by_capital_letters(directory: Directory) -> None:
    put(directory, "finance", "alice@example.org")
    with pytest.raises(DirectoryError, match="there is a group 'finance' already"):
        put(directory, "Finance", "bob@example.org")


def test_what_is_too_much_or_nobody_is_said_and_changes_nothing(directory: Directory, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DirectoryError, match="no account x"):
        directory.add_to_group("finance", [directory.accounts()[0].id, AccountId("x")])
    assert directory.groups() == {}
    monkeypatch.setattr(groups_module, "MOST_GROUPS", 1)
    put(directory, "finance", "alice@example.org")
    with pytest.raises(DirectoryError, match="there are 1 groups already"):
        put(directory, "sales", "alice@example.org")
    put(directory, "finance", "bob@example.org")
