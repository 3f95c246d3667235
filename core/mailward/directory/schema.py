"""The forms of directory.sqlite, and how an older one becomes the present one."""

from pathlib import Path

from mailward.database import Database
from mailward.protocol.scram import ITERATIONS, SALT_OCTETS

VERSION = 7
"""1: accounts with a password hash each. 2: credentials in tables of their own, with SCRAM keys and app passwords. 3: aliases.
4: groups. 5: quotas. 6: capabilities that are switched off. 7: accounts that are disabled."""

_CREDENTIALS = """
CREATE TABLE credential (
  account TEXT PRIMARY KEY REFERENCES account (id), scram_salt BLOB NOT NULL, scram_iterations INTEGER NOT NULL,
  password_hash TEXT, stored_key BLOB, server_key BLOB
) WITHOUT ROWID;
CREATE TABLE app_password (
  id TEXT PRIMARY KEY, account TEXT NOT NULL REFERENCES account (id), name TEXT NOT NULL,
  digest BLOB NOT NULL, stored_key BLOB NOT NULL, server_key BLOB NOT NULL,
  scopes TEXT NOT NULL, created_at INTEGER NOT NULL, last_used_at INTEGER, expires_at INTEGER,
  UNIQUE (account, name)
) WITHOUT ROWID;
CREATE TABLE fake_salt (key BLOB NOT NULL);
INSERT INTO fake_salt VALUES (randomblob(32));
"""

_ALIASES = """
CREATE TABLE alias (
  local_part TEXT NOT NULL, domain TEXT NOT NULL REFERENCES domain, owner TEXT, members_only INTEGER NOT NULL,
  PRIMARY KEY (local_part, domain)
) WITHOUT ROWID;
CREATE TABLE alias_target (
  number INTEGER PRIMARY KEY, local_part TEXT NOT NULL, domain TEXT NOT NULL, target TEXT NOT NULL,
  UNIQUE (local_part, domain, target), FOREIGN KEY (local_part, domain) REFERENCES alias
);
"""

_GROUPS = """
CREATE TABLE membership (
  name TEXT NOT NULL, account TEXT NOT NULL REFERENCES account (id), PRIMARY KEY (name, account)
) WITHOUT ROWID;
"""

_QUOTAS = """
CREATE TABLE quota (
  owner TEXT NOT NULL, name TEXT NOT NULL, octets INTEGER, messages INTEGER, PRIMARY KEY (owner, name)
) WITHOUT ROWID;
"""

_CAPABILITIES = """
CREATE TABLE capability_off (
  account TEXT NOT NULL REFERENCES account (id), capability TEXT NOT NULL, PRIMARY KEY (account, capability)
) WITHOUT ROWID;
"""

_DISABLED = "CREATE TABLE disabled (account TEXT PRIMARY KEY REFERENCES account (id)) WITHOUT ROWID;"

_SCHEMA = f"""
CREATE TABLE domain (name TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE account (
  number INTEGER PRIMARY KEY, id TEXT UNIQUE NOT NULL, local_part TEXT NOT NULL, domain TEXT NOT NULL REFERENCES domain
);
CREATE TABLE address (
  local_part TEXT NOT NULL, domain TEXT NOT NULL REFERENCES domain, account TEXT NOT NULL REFERENCES account (id),
  PRIMARY KEY (local_part, domain)
) WITHOUT ROWID;
{_CREDENTIALS}{_ALIASES}{_GROUPS}{_QUOTAS}{_CAPABILITIES}{_DISABLED}"""

_UPGRADES = {
    1: f"""{_CREDENTIALS}
INSERT INTO credential (account, scram_salt, scram_iterations, password_hash)
SELECT id, randomblob({SALT_OCTETS}), {ITERATIONS}, password_hash FROM account;
ALTER TABLE account DROP COLUMN password_hash
""",  # noqa: S608 - constants of ours
    2: _ALIASES,
    3: _GROUPS,
    4: _QUOTAS,
    5: _CAPABILITIES,
    6: _DISABLED,
}


def open_file(path: Path) -> Database:
    """Opens the file, makes it, or brings it to the present form. Raises StorageError."""
    return Database(path, schema=_SCHEMA, version=VERSION, upgrades=_UPGRADES)
