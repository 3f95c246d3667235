"""The highest UIDVALIDITY that each name had before: a mailbox that gets the name must have a higher one (RFC 9051, 2.3.1.1).

So many names are known one by one. Of the rest, those with the lowest, only the highest of all is kept, the account's
`uidvalidity_floor`: a mailbox that gets a name nothing is known of may have a new UIDVALIDITY without need, and never one too
low.
"""

import sqlite3

MAX_PAST_NAMES = 20_000
"""Of an account; with one more the lower half goes."""


def highest_before(connection: sqlite3.Connection, name: str) -> int:
    """Nothing that a mailbox of this name had was above it."""
    known = "SELECT coalesce((SELECT uidvalidity FROM past_name WHERE name = ?), uidvalidity_floor) FROM account"
    highest: int = connection.execute(known, (name,)).fetchone()[0]
    return highest


def remember(connection: sqlite3.Connection, name: str, uidvalidity: int) -> None:
    """The mailbox is called so no more."""
    connection.execute(
        "INSERT INTO past_name VALUES (?, ?)"
        " ON CONFLICT (name) DO UPDATE SET uidvalidity = max(uidvalidity, excluded.uidvalidity)",
        (name, uidvalidity),
    )


def bound(connection: sqlite3.Connection) -> None:
    """After some have been added."""
    if connection.execute("SELECT count(*) FROM past_name").fetchone()[0] > MAX_PAST_NAMES:
        middle = "SELECT uidvalidity FROM past_name ORDER BY uidvalidity LIMIT 1 OFFSET ?"
        floor = f"UPDATE account SET uidvalidity_floor = max(uidvalidity_floor, ({middle}))"  # noqa: S608 - our own words
        connection.execute(floor, (MAX_PAST_NAMES // 2,))
        connection.execute("DELETE FROM past_name WHERE uidvalidity <= (SELECT uidvalidity_floor FROM account)")
