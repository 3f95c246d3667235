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


class DirectoryError(MailwardError):
    """What was asked cannot be done; the text says why."""


@dataclass(frozen=True, slots=True)
class Account:
    """One account. id: never changes and names its folder in the store; address: where its own mail comes to."""

    id: AccountId
    address: Address


@dataclass(frozen=True, slots=True)
class _Copy:
    version: int
    domains: tuple[str, ...]
    accounts: tuple[Account, ...]
    by_address: Mapping[tuple[str, str], AccountId]


class Directory:
    """Domains, accounts and aliases. Local-parts are compared without case; "+tag" after a known one is a subaddress."""

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

        The whole local-part first, then what stands before "+" (RFC 5233). "postmaster" without a domain is the first
        domain's (RFC 5321 section 4.5.1).
        """
        copy = self._copy()
        domain = address.domain or (copy.domains[0] if copy.domains else "")
        local_part = address.local_part.lower()
        return copy.by_address.get((local_part, domain)) or copy.by_address.get((local_part.partition("+")[0], domain))

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
            self._check_free(connection, address)
            row = (account, address.local_part, address.domain)
            connection.execute("INSERT INTO account (id, local_part, domain) VALUES (?, ?, ?)", row)
            salt = (account, secrets.token_bytes(SALT_OCTETS), ITERATIONS)
            connection.execute("INSERT INTO credential (account, scram_salt, scram_iterations) VALUES (?, ?, ?)", salt)
            connection.execute("INSERT INTO address VALUES (?, ?, ?)", (address.local_part.lower(), address.domain, account))
        self._forget()
        return account

    def add_alias(self, address: Address, account: AccountId) -> None:
        """Let a further address mean an account. Raises DirectoryError as `add_account` does."""
        with self._database.write() as connection:
            self._check_free(connection, address)
            if connection.execute("SELECT 1 FROM account WHERE id = ?", (account,)).fetchone() is None:
                raise DirectoryError(f"there is no account {account}")
            connection.execute("INSERT INTO address VALUES (?, ?, ?)", (address.local_part.lower(), address.domain, account))
        self._forget()

    def _check_free(self, connection: sqlite3.Connection, address: Address) -> None:
        if connection.execute("SELECT 1 FROM domain WHERE name = ?", (address.domain,)).fetchone() is None:
            raise DirectoryError(f"the domain {address.domain} is not served here")
        key = (address.local_part.lower(), address.domain)
        if connection.execute("SELECT 1 FROM address WHERE local_part = ? AND domain = ?", key).fetchone() is not None:
            raise DirectoryError(f"the address {address} is taken")

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
        made = _Copy(
            version,
            domains,
            tuple(Account(AccountId(row[0]), Address(row[1], row[2])) for row in rows),
            {(local_part, domain): AccountId(account) for local_part, domain, account in addresses},
        )
        with self._lock:
            self._kept = made
        return made
