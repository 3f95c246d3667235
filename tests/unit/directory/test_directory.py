"""Addresses and who they mean; changes by one process are seen by another."""

import sqlite3
import timeit
from pathlib import Path

import pytest

from mailward.directory import Directory, DirectoryError
from mailward.directory.aliases import Alias
from mailward.model.address import Address
from mailward.model.ids import AccountId

ALICE = Address("Alice", "example.org")


@pytest.fixture
def directory(tmp_path: Path) -> Directory:
    made = Directory(tmp_path / "directory.sqlite")
    made.add_domain("example.org")
    return made


@pytest.mark.parametrize("local_part", ["Alice", "alice", "ALICE", "alice+shop", "alice+a+b"])
def test_an_account_is_found_without_case_and_with_subaddress(directory: Directory, local_part: str) -> None:
    account = directory.add_account(ALICE)
    assert directory.resolve(Address(local_part, "example.org")) == account


@pytest.mark.parametrize(
    "address", [Address("bob", "example.org"), Address("alice", "example.net"), Address("+alice", "example.org")]
)
def test_nobody_is_found_for_other_addresses(directory: Directory, address: Address) -> None:
    directory.add_account(ALICE)
    assert directory.resolve(address) is None


@pytest.mark.parametrize(
    ("local_part", "detail"),
    [
        ("alice", ""), ("Alice+Shop", "Shop"), ("alice+a+b", "a+b"), ("alice+", ""), ("ALICE+own", ""), ("alice+own+x", "own+x"),
        ("alice+team", ""), ("postmaster+x", "x"),
    ],
)  # fmt: skip
def test_a_detail_stands_behind_the_first_plus_unless_the_whole_is_an_address(
    directory: Directory, local_part: str, detail: str
) -> None:
    directory.add_account(ALICE)
    directory.add_account(Address("alice+own", "example.org"))
    directory.add_alias(Alias(Address("alice+team", "example.org"), (ALICE,)))
    assert directory.detail(Address(local_part, "example.org")) == detail


def test_a_plus_that_belongs_to_the_name_wins_over_the_subaddress(directory: Directory) -> None:
    directory.add_account(ALICE)
    other = directory.add_account(Address("alice+own", "example.org"))
    assert directory.resolve(Address("alice+own", "example.org")) == other


POSTMASTER = Address("postmaster", "")
"""RFC 5321 section 4.1.1.3: <Postmaster> without a domain."""


def test_rfc_5321_4_5_1_postmaster_and_abuse_of_every_domain_are_somebodys(directory: Directory) -> None:
    directory.add_domain("aaa.example")
    assert directory.resolve(POSTMASTER) is None  # nobody is there to read it
    alice = directory.add_account(ALICE)
    bob = directory.add_account(Address("bob", "aaa.example"))
    for domain in ("example.org", "aaa.example"):
        for role in ("Postmaster", "abuse", "postmaster+x"):
            assert directory.resolve(Address(role, domain)) == alice
    assert directory.resolve(POSTMASTER) == alice

    directory.add_address(Address("postmaster", "aaa.example"), bob)
    assert directory.resolve(Address("postmaster", "aaa.example")) == bob
    assert directory.resolve(POSTMASTER) == directory.resolve(Address("abuse", "aaa.example")) == alice

    directory.add_address(Address("postmaster", "example.org"), bob)  # the server's own: what was given to nobody follows
    assert directory.resolve(POSTMASTER) == directory.resolve(Address("abuse", "aaa.example")) == bob
    directory.remove_account(alice)
    assert directory.resolve(Address("abuse", "example.org")) == bob
    assert directory.resolve(Address("postmaster", "elsewhere.example")) is None


def test_an_account_may_be_called_postmaster(directory: Directory) -> None:
    directory.add_account(ALICE)
    own = directory.add_account(Address("Postmaster", "example.org"))
    assert directory.resolve(POSTMASTER) == own
    assert directory.further_addresses() == ()


def test_further_addresses_are_listed_and_removed(directory: Directory) -> None:
    account = directory.add_account(ALICE)
    directory.add_address(Address("Sales", "example.org"), account)
    directory.add_address(Address("sales", "example.org"), account)  # is its already
    (further,) = directory.further_addresses()
    assert (str(further.address), further.account.id) == ("sales@example.org", account)
    with pytest.raises(DirectoryError, match="is taken: it is a further address of the account Alice@"):
        directory.add_account(Address("sales", "example.org"))
    directory.remove_address(Address("SALES", "example.org"))
    assert directory.further_addresses() == () and directory.resolve(Address("sales", "example.org")) is None
    with pytest.raises(DirectoryError, match=r"sales@example\.org is no further address"):
        directory.remove_address(Address("sales", "example.org"))
    with pytest.raises(DirectoryError, match="an account's own"):
        directory.remove_address(ALICE)


def test_t_auth_10_of_a_removed_account_nothing_is_left(directory: Directory, tmp_path: Path) -> None:
    account, other = directory.add_account(ALICE), directory.add_account(Address("bob", "example.org"))
    directory.add_address(Address("sales", "example.org"), account)
    directory.remove_account(account)
    assert [a.id for a in directory.accounts()] == [other]
    assert directory.resolve(ALICE) is None and directory.resolve(Address("sales", "example.org")) is None
    connection = sqlite3.connect(tmp_path / "directory.sqlite")
    for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
        assert account not in str(connection.execute(f"SELECT * FROM {table}").fetchall())
    connection.close()
    assert directory.add_account(ALICE) != account
    with pytest.raises(DirectoryError, match="no account"):
        directory.remove_account(account)


def test_a_domain_goes_with_its_further_addresses_once_it_has_no_accounts(directory: Directory) -> None:
    account = directory.add_account(ALICE)
    directory.add_domain("example.net")
    directory.add_address(Address("sales", "example.net"), account)
    with pytest.raises(DirectoryError, match="still has accounts; remove them first: Alice@"):
        directory.remove_domain("example.org")
    assert directory.resolve(ALICE) == account
    directory.remove_domain("example.net")
    assert directory.domains() == ("example.org",)
    assert directory.resolve(Address("sales", "example.net")) is None and directory.further_addresses() == ()
    with pytest.raises(DirectoryError, match="not served"):
        directory.remove_domain("example.net")


def test_what_cannot_be_done_is_said(directory: Directory) -> None:
    account = directory.add_account(ALICE)
    with pytest.raises(DirectoryError, match="is taken: it is the account"):
        directory.add_account(Address("ALICE", "example.org"))
    with pytest.raises(DirectoryError, match="is not served"):
        directory.add_address(Address("x", "example.net"), account)
    with pytest.raises(DirectoryError, match="no account"):
        directory.add_address(Address("x", "example.org"), AccountId("nobody"))


def test_another_connection_sees_a_change_at_once(directory: Directory, tmp_path: Path) -> None:
    other = Directory(tmp_path / "directory.sqlite")
    assert other.accounts() == ()
    account = directory.add_account(ALICE)
    assert [a.id for a in other.accounts()] == [account]
    assert other.resolve(ALICE) == account
    assert other.domains() == ("example.org",)
    assert other.is_local_domain("example.org")


def test_t_relay_09_names_are_never_part_of_a_statement(directory: Directory) -> None:
    account = directory.add_account(Address("a'or'1", "example.org"))
    assert directory.resolve(Address("a'or'1", "example.org")) == account
    assert directory.resolve(Address("*", "example.org")) is None


def test_resolving_costs_microseconds(directory: Directory) -> None:
    directory.add_account(ALICE)
    assert min(timeit.repeat(lambda: directory.resolve(ALICE), number=200, repeat=5)) / 200 < 0.001


def test_capabilities_are_switched_off_for_one_account_and_go_with_it(tmp_path: Path) -> None:
    directory = Directory(tmp_path / "directory.sqlite")
    directory.add_domain("example.org")
    ann, bob = directory.add_account(ALICE), directory.add_account(Address("bob", "example.org"))
    directory.set_capabilities_off(ann, ("QRESYNC", "NOTIFY"))
    assert Directory(tmp_path / "directory.sqlite").capabilities_off(ann) == {"QRESYNC", "NOTIFY"}
    assert directory.capabilities_off(bob) == frozenset()
    directory.set_capabilities_off(ann, ("NOTIFY",))
    assert directory.capabilities_off(ann) == {"NOTIFY"}
    directory.remove_account(ann)
    assert directory.capabilities_off(ann) == frozenset()
