"""Addresses and who they mean; changes by one process are seen by another."""

import timeit
from pathlib import Path

import pytest

from mailward.directory import Directory, DirectoryError
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


def test_a_plus_that_belongs_to_the_name_wins_over_the_subaddress(directory: Directory) -> None:
    directory.add_account(ALICE)
    other = directory.add_account(Address("alice+own", "example.org"))
    assert directory.resolve(Address("alice+own", "example.org")) == other


def test_postmaster_without_domain_is_the_first_domains(directory: Directory) -> None:
    account = directory.add_account(ALICE)
    directory.add_alias(Address("postmaster", "example.org"), account)
    assert directory.resolve(Address("postmaster", "")) == account
    assert directory.resolve(Address("Postmaster", "example.org")) == account


def test_what_cannot_be_done_is_said(directory: Directory) -> None:
    account = directory.add_account(ALICE)
    with pytest.raises(DirectoryError, match="is taken"):
        directory.add_account(Address("ALICE", "example.org"))
    with pytest.raises(DirectoryError, match="is not served"):
        directory.add_alias(Address("x", "example.net"), account)
    with pytest.raises(DirectoryError, match="no account"):
        directory.add_alias(Address("x", "example.org"), AccountId("nobody"))


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
