"""What logins are checked against, in the directory's file: password hashes, SCRAM keys, app passwords.

Nothing is kept in memory: every login reads what holds at that moment, so a changed or revoked secret counts at once. Only the
process that checks logins and the command line open this. Secrets never show in a repr.
"""

import hashlib
import sqlite3
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

from mailward.api.logins import LoginProtocol
from mailward.directory.errors import DirectoryError
from mailward.directory.schema import open_file
from mailward.model.address import Address
from mailward.model.ids import AccountId
from mailward.model.proof import ScramKeys


@dataclass(frozen=True, slots=True)
class AppPassword:
    """A password made for one program. digest: SHA-256 of its 128 random bits. scopes: the protocols it is good for.

    expires_at: from then on it is good for nothing, None for never. last_used_at: within some minutes.
    """

    id: str
    name: str
    digest: bytes = field(repr=False)
    scram_keys: ScramKeys = field(repr=False)
    scopes: tuple[LoginProtocol, ...]
    created_at: datetime
    last_used_at: datetime | None = None
    expires_at: datetime | None = None

    def is_good_for(self, protocol: LoginProtocol, now: datetime) -> bool:
        return protocol in self.scopes and (self.expires_at is None or now < self.expires_at)


@dataclass(frozen=True, slots=True)
class Credential:
    """Everything one account's logins are checked against. address: its own. password_hash: Argon2id in the PHC form.

    scram_salt, scram_iterations: shared by all its secrets, since a SCRAM client names the account and not the secret.
    scram_keys: of the main password; None when they could not be made yet (only its hash is known) or at all.
    """

    account: AccountId
    address: Address
    scram_salt: bytes = field(repr=False)
    scram_iterations: int
    password_hash: str | None = field(repr=False)
    scram_keys: ScramKeys | None = field(repr=False)
    app_passwords: tuple[AppPassword, ...]


def password_id(password_hash: str) -> str:
    """Names a main password, as an app password's id does; tells nothing of it, and the next password has another."""
    return hashlib.sha256(password_hash.encode()).hexdigest()[:32]


class CredentialStore:
    """The credentials of every account. All calls block, shortly. Raises StorageError."""

    def __init__(self, path: Path) -> None:
        """path: the directory's file."""
        self._database = open_file(path)

    def close(self) -> None:
        self._database.close()

    def account_of(self, login: str) -> AccountId | None:
        """Whose login name this is: an account's address, its own or a further one, without case. Subaddresses are none."""
        with self._database.read() as connection:
            return _account(connection, login)

    def find(self, login: str) -> Credential | None:
        """The credential behind a login name, None when it is nobody's."""
        with self._database.read() as connection:
            account = _account(connection, login)
            return None if account is None else _credential(connection, account)

    def of(self, account: AccountId) -> Credential:
        """The credential of an account. Raises DirectoryError when there is none."""
        with self._database.read() as connection:
            found = _credential(connection, account)
        if found is None:
            raise DirectoryError(f"there is no account {account}")
        return found

    def good_ids(self, account: AccountId, now: datetime) -> frozenset[str]:
        """What names the secrets that an account can log in with: the main password's `password_id`, and app passwords' ids."""
        with self._database.read() as connection:
            main = connection.execute("SELECT password_hash FROM credential WHERE account = ?", (account,)).fetchone()
            unexpired = "SELECT id FROM app_password WHERE account = ? AND (expires_at IS NULL OR expires_at > ?)"
            found = [str(id_) for (id_,) in connection.execute(unexpired, (account, now.timestamp()))]
        if main is not None and main[0] is not None:
            found.append(password_id(main[0]))
        return frozenset(found)

    def disabled_of(self, accounts: Collection[AccountId]) -> frozenset[AccountId]:
        """Those of them that nobody can log in to; see `Directory.disabled`."""
        query = "SELECT 1 FROM disabled WHERE account = ?"
        with self._database.read() as connection:
            return frozenset(one for one in accounts if connection.execute(query, (one,)).fetchone() is not None)

    def hashes_unlike(self, beginning: str) -> Iterator[str]:
        """The main passwords' hashes that do not begin so, of all accounts."""
        query = "SELECT password_hash FROM credential WHERE substr(password_hash, 1, ?) <> ?"
        with self._database.read() as connection:
            for (hash_,) in connection.execute(query, (len(beginning), beginning)):
                yield str(hash_)

    def fake_salt_key(self) -> bytes:
        """Names that are nobody's get salts made with this key: steady ones, as those of accounts are."""
        with self._database.read() as connection:
            return bytes(connection.execute("SELECT key FROM fake_salt").fetchone()[0])

    def set_password(self, account: AccountId, password_hash: str, scram_keys: ScramKeys | None) -> None:
        """Replace the main password. scram_keys: made with the account's salt. Raises DirectoryError for no such account."""
        row = (password_hash, *_pair(scram_keys), account)
        with self._database.write() as connection:
            change = "UPDATE credential SET password_hash = ?, stored_key = ?, server_key = ? WHERE account = ?"
            if connection.execute(change, row).rowcount == 0:
                raise DirectoryError(f"there is no account {account}")

    def replace_hash(self, account: AccountId, known: str, made: str, scram_keys: ScramKeys | None) -> None:
        """Another hash of the password whose hash is known; nothing happens when it was changed meanwhile."""
        row = (made, *_pair(scram_keys), account, known)
        with self._database.write() as connection:
            change = (
                "UPDATE credential SET password_hash = ?, stored_key = ?, server_key = ? WHERE account = ? AND password_hash = ?"
            )
            connection.execute(change, row)

    def add_scram_keys(self, account: AccountId, password_hash: str, scram_keys: ScramKeys) -> None:
        """The SCRAM keys of a password whose hash alone was known; nothing happens when it was changed meanwhile."""
        row = (*_pair(scram_keys), account, password_hash)
        with self._database.write() as connection:
            change = "UPDATE credential SET stored_key = ?, server_key = ? WHERE account = ? AND password_hash = ?"
            connection.execute(change, row)

    def add_app_password(self, account: AccountId, made: AppPassword) -> None:
        """Raises DirectoryError when the account has one of this name."""
        row = (
            made.id, account, made.name, made.digest, *_pair(made.scram_keys), " ".join(made.scopes),
            _seconds(made.created_at), _seconds(made.last_used_at), _seconds(made.expires_at),
        )  # fmt: skip
        with self._database.write() as connection:
            taken = connection.execute("SELECT 1 FROM app_password WHERE account = ? AND name = ?", (account, made.name))
            if taken.fetchone() is not None:
                raise DirectoryError(f"there is an app password '{made.name}' already; revoke it, or choose another name")
            connection.execute("INSERT INTO app_password VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)

    def revoke_app_password(self, account: AccountId, name: str) -> None:
        """Raises DirectoryError when there is none of this name."""
        with self._database.write() as connection:
            if connection.execute("DELETE FROM app_password WHERE account = ? AND name = ?", (account, name)).rowcount == 0:
                raise DirectoryError(f"there is no app password '{name}'")

    def app_password_used(self, app_password: str, at: datetime) -> None:
        """Note when an app password (its id) was last used."""
        with self._database.write() as connection:
            connection.execute("UPDATE app_password SET last_used_at = ? WHERE id = ?", (_seconds(at), app_password))


def _account(connection: sqlite3.Connection, login: str) -> AccountId | None:
    local_part, at, domain = login.lower().rpartition("@")
    found = connection.execute("SELECT account FROM address WHERE local_part = ? AND domain = ?", (local_part, domain)).fetchone()
    return AccountId(found[0]) if at and found is not None else None


def _credential(connection: sqlite3.Connection, account: AccountId) -> Credential | None:
    found = connection.execute(
        "SELECT local_part, domain, scram_salt, scram_iterations, password_hash, stored_key, server_key "
        "FROM credential JOIN account ON account.id = credential.account WHERE credential.account = ?",
        (account,),
    ).fetchone()
    if found is None:
        return None
    local_part, domain, salt, iterations, password_hash, stored_key, server_key = found
    rows = connection.execute(
        "SELECT id, name, digest, stored_key, server_key, scopes, created_at, last_used_at, expires_at "
        "FROM app_password WHERE account = ? ORDER BY created_at, name",
        (account,),
    )
    return Credential(
        account,
        Address(local_part, domain),
        salt,
        iterations,
        password_hash,
        None if stored_key is None else ScramKeys(stored_key, server_key),
        tuple(_app_password(row) for row in rows),
    )


def _app_password(row: Sequence[object]) -> AppPassword:
    id_, name, digest, stored_key, server_key, scopes, created_at, last_used_at, expires_at = cast(
        tuple[str, str, bytes, bytes, bytes, str, int, int | None, int | None], tuple(row)
    )
    return AppPassword(
        id_,
        name,
        digest,
        ScramKeys(stored_key, server_key),
        cast(tuple[LoginProtocol, ...], tuple(scopes.split())),
        datetime.fromtimestamp(created_at, UTC),
        None if last_used_at is None else datetime.fromtimestamp(last_used_at, UTC),
        None if expires_at is None else datetime.fromtimestamp(expires_at, UTC),
    )


def _pair(keys: ScramKeys | None) -> tuple[bytes | None, bytes | None]:
    return (None, None) if keys is None else (keys.stored_key, keys.server_key)


def _seconds(moment: datetime | None) -> int | None:
    return None if moment is None else int(moment.timestamp())
