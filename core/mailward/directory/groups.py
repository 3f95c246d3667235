"""Groups of accounts, which policies name: who is in which? A group is its members; without any there is none.

Members are accounts. An address belongs to the groups of the mailboxes that its mail goes to.
"""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from mailward.directory.errors import DirectoryError
from mailward.model.ids import AccountId
from mailward.model.names import NAME_WORDS, is_name

MOST_GROUPS = 1000
"""In all: an alias leads to so many at most, and conditions read no longer list than that."""


@dataclass(frozen=True, slots=True)
class Groups:
    """All of one moment. members: by the group's name. names: of the groups of each account."""

    members: Mapping[str, tuple[AccountId, ...]]
    names: Mapping[AccountId, tuple[str, ...]]

    @classmethod
    def read(cls, connection: sqlite3.Connection) -> "Groups":
        """Names in the order of the alphabet, accounts in the order they were made."""
        members: dict[str, list[AccountId]] = {}
        names: dict[AccountId, list[str]] = {}
        rows = "SELECT name, account FROM membership JOIN account ON account.id = membership.account ORDER BY name, number"
        for name, account in connection.execute(rows):
            members.setdefault(name, []).append(AccountId(account))
            names.setdefault(AccountId(account), []).append(name)
        return cls({name: tuple(some) for name, some in members.items()}, {one: tuple(some) for one, some in names.items()})

    def of(self, accounts: Iterable[AccountId]) -> tuple[str, ...]:
        """The names of the groups that any of these is in, in the order of the alphabet."""
        found = {name for account in accounts for name in self.names.get(account, ())} if self.names else ()
        return tuple(sorted(found))


def check_group(name: str, groups: Groups) -> None:
    """May somebody be put into a group of this name? Raises DirectoryError."""
    if not is_name(name):
        raise DirectoryError(f"'{name}' cannot name a group: {NAME_WORDS}")
    if name in groups.members:
        return
    alike = next((known for known in groups.members if known.lower() == name.lower()), None)
    if alike is not None:  # whom a policy means must not hang on a capital letter
        raise DirectoryError(f"there is a group '{alike}' already; write it so, or choose another name")
    if len(groups.members) >= MOST_GROUPS:
        raise DirectoryError(f"there are {MOST_GROUPS} groups already; remove one first")


def join(connection: sqlite3.Connection, name: str, accounts: Sequence[AccountId]) -> None:
    """Raises DirectoryError for no such account."""
    for account in accounts:
        if connection.execute("SELECT 1 FROM account WHERE id = ?", (account,)).fetchone() is None:
            raise DirectoryError(f"there is no account {account}")
        connection.execute("INSERT OR IGNORE INTO membership VALUES (?, ?)", (name, account))


def leave(connection: sqlite3.Connection, name: str, accounts: Sequence[AccountId]) -> None:
    """Who is not in it stays so."""
    connection.executemany("DELETE FROM membership WHERE name = ? AND account = ?", [(name, account) for account in accounts])
