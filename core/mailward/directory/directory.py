"""The embedded directory, one small SQLite file read by every process of the server.

Reads come from a copy in memory that is renewed when another connection has changed the file (PRAGMA data_version), so
resolving a forward-path costs microseconds and a change by `mailward account` counts at once. No secret is read here: what
logins are checked against is `credentials`' business.
"""

import secrets
import sqlite3
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mailward.directory.schema import open_file
from mailward.model.address import Address
from mailward.model.errors import MailwardError
from mailward.model.ids import AccountId
from mailward.protocol.scram import ITERATIONS, SALT_OCTETS

ROLES = ("postmaster", "abuse")
"""Local-parts that somebody reads in every domain (RFC 5321 section 4.5.1, RFC 2142 section 4)."""


class DirectoryError(MailwardError):
    """What was asked cannot be done; the text says why."""


@dataclass(frozen=True, slots=True)
class Account:
    """One account. id: never changes and names its folder in the store; address: where its own mail comes to."""

    id: AccountId
    address: Address


@dataclass(frozen=True, slots=True)
class Alias:
    """A further address of an account."""

    address: Address
    account: Account


_Addresses = Mapping[tuple[str, str], AccountId]
"""(local-part in lower case, domain) -> whose."""


@dataclass(frozen=True, slots=True)
class _Copy:
    """given: what was given to accounts; by_address: that, and the roles that were not."""

    version: int
    domains: tuple[str, ...]
    accounts: tuple[Account, ...]
    given: _Addresses
    by_address: _Addresses


class Directory:
    """Domains, accounts and aliases. Local-parts are compared without case; "+tag" after a known one is a subaddress.

    A role (postmaster, abuse) of a domain that was given to nobody there, and the bare <postmaster>, goes to the postmaster of
    the oldest account's domain; where that too was given to nobody, to the oldest account. So as long as there is an account,
    every domain has both, whatever is added and removed.
    """

    def __init__(self, path: Path) -> None:
        """Opens the file, or makes it. Raises StorageError."""
        self._database = open_file(path)
        self._lock = threading.Lock()
        self._kept: _Copy | None = None

    def close(self) -> None:
        self._database.close()

    def domains(self) -> tuple[str, ...]:
        """The domains served here, as A-labels, sorted."""
        return self._copy().domains

    def is_local_domain(self, domain: str) -> bool:
        """Is final delivery for this domain (A-labels, lower case) here?"""
        return domain in self._copy().domains

    def accounts(self) -> tuple[Account, ...]:
        """All accounts in the order they were made."""
        return self._copy().accounts

    def resolve(self, address: Address) -> AccountId | None:
        """Whose mailbox an address means, None when nobody's.

        The whole local-part first, then what stands before "+" (RFC 5233).
        """
        by_address, domain, local_part = self._copy().by_address, address.domain, address.local_part.lower()
        return by_address.get((local_part, domain)) or by_address.get((local_part.partition("+")[0], domain))

    def account(self, address: Address) -> Account | None:
        """The account whose mailbox an address means."""
        found = self.resolve(address)
        return next((account for account in self.accounts() if account.id == found), None)

    def aliases(self) -> tuple[Alias, ...]:
        """What was given to accounts beside their own addresses, by domain and local-part."""
        copy = self._copy()
        accounts = {account.id: account for account in copy.accounts}
        return tuple(
            Alias(Address(local_part, domain), accounts[account])
            for (local_part, domain), account in sorted(copy.given.items(), key=lambda item: item[0][::-1])
            if _key(accounts[account].address) != (local_part, domain)
        )

    def check_free(self, address: Address) -> None:
        """Can this address be given to an account? Raises DirectoryError as `add_account` does."""
        with self._database.read() as connection:
            _check_free(connection, address)

    def add_domain(self, name: str) -> None:
        """Serve a domain (A-labels, lower case); one that is served already stays as it is."""
        with self._database.write() as connection:
            connection.execute("INSERT OR IGNORE INTO domain VALUES (?)", (name,))
        self._forget()

    def add_account(self, address: Address) -> AccountId:
        """Make an account in a served domain; nobody can log in to it until it has a password.

        Raises DirectoryError when the address is taken or the domain unknown.
        """
        account = AccountId(secrets.token_hex(8))
        with self._database.write() as connection:
            _check_free(connection, address)
            row = (account, address.local_part, address.domain)
            connection.execute("INSERT INTO account (id, local_part, domain) VALUES (?, ?, ?)", row)
            salt = (account, secrets.token_bytes(SALT_OCTETS), ITERATIONS)
            connection.execute("INSERT INTO credential (account, scram_salt, scram_iterations) VALUES (?, ?, ?)", salt)
            connection.execute("INSERT INTO address VALUES (?, ?, ?)", (*_key(address), account))
        self._forget()
        return account

    def remove_account(self, account: AccountId) -> None:
        """Forget an account with its aliases and everything it could log in with. Its mail is not the directory's.

        Raises DirectoryError when there is none.
        """
        with self._database.write() as connection:
            for table in ("app_password", "credential", "address"):
                connection.execute(f"DELETE FROM {table} WHERE account = ?", (account,))  # noqa: S608 - names of ours
            if connection.execute("DELETE FROM account WHERE id = ?", (account,)).rowcount == 0:
                raise DirectoryError(f"there is no account {account}")
        self._forget()

    def remove_domain(self, name: str) -> None:
        """Serve a domain no longer; aliases in it go. Raises DirectoryError while it has accounts, and when it is not served."""
        with self._database.write() as connection:
            left = connection.execute("SELECT local_part FROM account WHERE domain = ? ORDER BY number", (name,)).fetchall()
            if left:
                which = ", ".join(f"{local_part}@{name}" for (local_part,) in left[:3]) + (" ..." if len(left) > 3 else "")
                raise DirectoryError(f"the domain {name} still has accounts; remove them first: {which}")
            connection.execute("DELETE FROM address WHERE domain = ?", (name,))
            if connection.execute("DELETE FROM domain WHERE name = ?", (name,)).rowcount == 0:
                raise DirectoryError(f"the domain {name} is not served here")
        self._forget()

    def add_alias(self, address: Address, account: AccountId) -> None:
        """Let a further address mean an account; one that is the account's already stays as it is.

        Raises DirectoryError as `add_account` does.
        """
        with self._database.write() as connection:
            owner = _owner(connection, address)
            if owner is not None and owner.id == account:
                return
            _check_free(connection, address)
            if connection.execute("SELECT 1 FROM account WHERE id = ?", (account,)).fetchone() is None:
                raise DirectoryError(f"there is no account {account}")
            connection.execute("INSERT INTO address VALUES (?, ?, ?)", (*_key(address), account))
        self._forget()

    def remove_alias(self, address: Address) -> None:
        """Raises DirectoryError when it is none: nobody's, or an account's own address."""
        with self._database.write() as connection:
            found = _owner(connection, address)
            if found is None:
                raise DirectoryError(f"there is no alias {address}")
            if _key(found.address) == _key(address):
                raise DirectoryError(f"{address} is no alias but an account's own address")
            connection.execute("DELETE FROM address WHERE local_part = ? AND domain = ?", _key(address))
        self._forget()

    def _forget(self) -> None:
        """data_version does not count our own changes."""
        with self._lock:
            self._kept = None

    def _copy(self) -> _Copy:
        with self._database.read() as connection:
            version: int = connection.execute("PRAGMA data_version").fetchone()[0]
            kept = self._kept
            if kept is not None and kept.version == version:
                return kept
            domains = tuple(name for (name,) in connection.execute("SELECT name FROM domain ORDER BY name"))
            rows = connection.execute("SELECT id, local_part, domain FROM account ORDER BY number").fetchall()
            addresses = connection.execute("SELECT local_part, domain, account FROM address").fetchall()
        accounts = tuple(Account(AccountId(row[0]), Address(row[1], row[2])) for row in rows)
        given = {(local_part, domain): AccountId(account) for local_part, domain, account in addresses}
        made = _Copy(version, domains, accounts, given, _roles(domains, accounts, given) | given)
        with self._lock:
            self._kept = made
        return made


def _roles(domains: tuple[str, ...], accounts: tuple[Account, ...], given: _Addresses) -> dict[tuple[str, str], AccountId]:
    """Who has the roles that were given to nobody; the bare <postmaster> has no domain."""
    if not accounts:
        return {}
    oldest = accounts[0]
    postmaster = given.get(("postmaster", oldest.address.domain), oldest.id)
    return {(role, domain): postmaster for domain in domains for role in ROLES} | {("postmaster", ""): postmaster}


def _key(address: Address) -> tuple[str, str]:
    return address.local_part.lower(), address.domain


def _check_free(connection: sqlite3.Connection, address: Address) -> None:
    if connection.execute("SELECT 1 FROM domain WHERE name = ?", (address.domain,)).fetchone() is None:
        raise DirectoryError(f"the domain {address.domain} is not served here")
    owner = _owner(connection, address)
    if owner is not None:
        is_own = _key(owner.address) == _key(address)
        raise DirectoryError(f"{address} is taken: it is {'the' if is_own else 'an alias of the'} account {owner.address}")


def _owner(connection: sqlite3.Connection, address: Address) -> Account | None:
    """The account that an address was given to."""
    row = connection.execute(
        "SELECT account.id, account.local_part, account.domain FROM address JOIN account ON account.id = address.account "
        "WHERE address.local_part = ? AND address.domain = ?",
        _key(address),
    ).fetchone()
    return None if row is None else Account(AccountId(row[0]), Address(row[1], row[2]))
