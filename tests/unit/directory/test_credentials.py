"""What logins are checked against: kept, changed, revoked, and brought over from the form before."""

import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mailward.auth.passwords import hash_password, verify
from mailward.directory import AppPassword, CredentialStore, Directory, DirectoryError
from mailward.model.address import Address
from mailward.model.errors import StorageError
from mailward.model.ids import AccountId
from mailward.model.proof import ScramKeys
from mailward.protocol.scram import ITERATIONS

ALICE = Address("Alice", "example.org")
KEYS = ScramKeys(b"s" * 32, b"v" * 32)
NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
PHONE = AppPassword("id1", "phone", b"d" * 32, KEYS, ("smtp", "imap"), NOON, expires_at=NOON + timedelta(days=90))

FORM_1 = """
PRAGMA journal_mode = WAL;
CREATE TABLE domain (name TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE account (
  number INTEGER PRIMARY KEY, id TEXT UNIQUE NOT NULL, local_part TEXT NOT NULL, domain TEXT NOT NULL REFERENCES domain,
  password_hash TEXT NOT NULL
);
CREATE TABLE address (
  local_part TEXT NOT NULL, domain TEXT NOT NULL REFERENCES domain, account TEXT NOT NULL REFERENCES account (id),
  PRIMARY KEY (local_part, domain)
) WITHOUT ROWID;
INSERT INTO domain VALUES ('example.org');
INSERT INTO account (id, local_part, domain, password_hash) VALUES ('a1', 'Alice', 'example.org', :alice), ('b2', 'bob', 'example.org', :bob);
INSERT INTO address VALUES ('alice', 'example.org', 'a1'), ('postmaster', 'example.org', 'a1'), ('bob', 'example.org', 'b2');
PRAGMA user_version = 1;
"""  # as it was written before there were credentials


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "directory.sqlite"


@pytest.fixture
def account(path: Path) -> AccountId:
    directory = Directory(path)
    directory.add_domain("example.org")
    made = directory.add_account(ALICE)
    directory.add_address(Address("a", "example.org"), made)
    directory.close()
    return made


@pytest.fixture
def store(path: Path, account: AccountId) -> CredentialStore:
    return CredentialStore(path)


def test_found_by_address_and_alias_without_case(store: CredentialStore, account: AccountId) -> None:
    for login in ("alice@example.org", "ALICE@Example.org", "a@example.org"):
        found = store.find(login)
        assert found is not None and (found.account, found.address) == (account, ALICE)
        assert store.account_of(login) == account
    for login in ("", "alice", "@example.org", "alice+x@example.org", "bob@example.org", "' OR 1=1 --@example.org"):
        assert store.find(login) is None and store.account_of(login) is None


def test_a_new_account_has_a_salt_and_no_secret(store: CredentialStore, account: AccountId) -> None:
    found = store.of(account)
    assert (len(found.scram_salt), found.scram_iterations) == (16, ITERATIONS)
    assert found.password_hash is None and found.scram_keys is None and found.app_passwords == ()


def test_passwords_are_replaced_at_once_and_the_salt_stays(store: CredentialStore, account: AccountId, path: Path) -> None:
    other = CredentialStore(path)
    store.set_password(account, "first", KEYS)
    before = other.of(account)
    store.set_password(account, "second", None)
    after = other.of(account)
    assert (before.password_hash, before.scram_keys) == ("first", KEYS)
    assert (after.password_hash, after.scram_keys) == ("second", None)
    assert before.scram_salt == after.scram_salt


def test_keys_of_a_password_that_was_changed_meanwhile_are_not_kept(store: CredentialStore, account: AccountId) -> None:
    store.set_password(account, "second", None)
    store.add_scram_keys(account, "first", KEYS)
    assert store.of(account).scram_keys is None
    store.add_scram_keys(account, "second", KEYS)
    assert store.of(account).scram_keys == KEYS


def test_t_2fa_06_app_passwords_are_kept_listed_used_and_revoked(store: CredentialStore, account: AccountId) -> None:
    store.add_app_password(account, PHONE)
    assert store.of(account).app_passwords == (PHONE,)
    store.app_password_used("id1", NOON + timedelta(hours=1))
    assert store.of(account).app_passwords[0].last_used_at == NOON + timedelta(hours=1)
    with pytest.raises(DirectoryError, match="already"):
        store.add_app_password(account, PHONE)
    store.revoke_app_password(account, "phone")
    assert store.of(account).app_passwords == ()
    with pytest.raises(DirectoryError, match="no app password 'phone'"):
        store.revoke_app_password(account, "phone")


def test_t_2fa_06_scope_and_end() -> None:
    assert PHONE.is_good_for("imap", NOON) and PHONE.is_good_for("smtp", NOON)
    assert not PHONE.is_good_for("pop3", NOON)
    assert not PHONE.is_good_for("imap", NOON + timedelta(days=90))


def test_t_auth_11_secrets_show_in_no_repr(store: CredentialStore, account: AccountId) -> None:
    store.set_password(account, "$argon2id$hash", KEYS)
    store.add_app_password(account, PHONE)
    shown = repr(store.of(account))
    assert "argon2id" not in shown and "ssss" not in shown and "dddd" not in shown


def test_who_has_no_credential_is_said(store: CredentialStore) -> None:
    with pytest.raises(DirectoryError, match="no account"):
        store.of(AccountId("x"))
    with pytest.raises(DirectoryError, match="no account"):
        store.set_password(AccountId("x"), "hash", None)


def test_an_account_is_disabled_and_enabled_and_forgotten_when_it_is_removed(
    store: CredentialStore, path: Path, account: AccountId
) -> None:
    directory, nobody = Directory(path), AccountId("nobody")
    for disabled in (True, True, False, True):
        directory.set_disabled(account, disabled)
        assert store.disabled_of([account, nobody]) == directory.disabled() == ({account} if disabled else set())
    directory.remove_account(account)
    assert directory.disabled() == frozenset()
    directory.close()


def test_the_key_of_fake_salts_stays(store: CredentialStore, path: Path) -> None:
    assert store.fake_salt_key() == CredentialStore(path).fake_salt_key()
    assert len(store.fake_salt_key()) == 32


@pytest.fixture
def form_1(path: Path) -> dict[str, str]:
    hashes = {"alice": hash_password("alice's"), "bob": hash_password("bob's")}
    connection = sqlite3.connect(path)
    for statement in FORM_1.split(";"):
        connection.execute(statement, hashes if ":alice" in statement else {})
    connection.commit()
    connection.close()
    return hashes


def test_t_q_14_a_file_of_form_1_is_brought_up(path: Path, form_1: dict[str, str]) -> None:
    directory = Directory(path)
    assert [str(account.address) for account in directory.accounts()] == ["Alice@example.org", "bob@example.org"]
    assert directory.resolve(Address("postmaster", "")) == "a1"
    store = CredentialStore(path)
    alice, bob = store.of(AccountId("a1")), store.of(AccountId("b2"))
    assert verify(alice.password_hash or "", "alice's") and verify(bob.password_hash or "", "bob's")
    assert alice.scram_salt != bob.scram_salt and len(alice.scram_salt) == 16
    assert alice.scram_keys is None
    directory.add_account(Address("carol", "example.org"))


def test_t_q_14_the_file_as_it_was_stays_beside_it(path: Path, form_1: dict[str, str]) -> None:
    Directory(path).close()
    kept = sqlite3.connect(path.with_name("directory.sqlite.form-1"))
    assert kept.execute("SELECT password_hash FROM account WHERE id = 'a1'").fetchone()[0] == form_1["alice"]
    kept.close()


def test_t_q_14_a_newer_form_is_refused(path: Path, account: AccountId) -> None:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 1000")
    connection.close()
    for opened in (Directory, CredentialStore):
        with pytest.raises(StorageError, match="newer release"):
            opened(path)


def test_the_directory_reads_no_secrets(path: Path, account: AccountId) -> None:
    """The process that takes mail from strangers opens only this."""
    CredentialStore(path).set_password(account, "$argon2id$", KEYS)
    directory = Directory(path)
    asked: list[str] = []
    with directory._database.read() as connection:
        connection.set_trace_callback(asked.append)
    directory._forget()
    assert directory.resolve(ALICE) == account
    assert asked and not any(word in " ".join(asked) for word in ("credential", "password", "*"))
