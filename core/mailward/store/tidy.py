"""What is dropped once a day: messages whose grace period is over, old log rows, old delivery keys, packs nobody needs."""

import sqlite3
from array import array

from mailward.database import transaction
from mailward.store import threads
from mailward.store.compaction import compact
from mailward.store.packs import Packs

GRACE_S = 24 * 3600
"""How long an expunged message can still be read, by a session that has not been told yet."""

_DELIVERY_KEYS_S = 30 * 24 * 3600
"""Longer than any queue keeps a message."""

_DROP_DELIVERIES = """
    DELETE FROM delivery WHERE at < ? AND NOT EXISTS (SELECT 1 FROM entry WHERE entry.message = delivery.message)
"""

_LOGGED_MODSEQS = 100_000


def tidy(connection: sqlite3.Connection, packs: Packs, now_s: int) -> None:
    """Under the account's lock. A crash in the midst leaves work for the next time and nothing else."""
    with transaction(connection):
        connection.execute("UPDATE account SET tidied_at = ?", (now_s,))
        _drop_messages(connection, now_s - GRACE_S)
        connection.execute(_DROP_DELIVERIES, (now_s - _DELIVERY_KEYS_S,))
        connection.execute("UPDATE account SET log_floor = max(log_floor, last_modseq - ?)", (_LOGGED_MODSEQS,))
        connection.execute("DELETE FROM change WHERE gone = 0 AND modseq <= (SELECT log_floor FROM account)")
    for (pack,) in connection.execute("SELECT id FROM pack WHERE messages = 0 AND id < (SELECT pack FROM account)").fetchall():
        packs.drop(pack)
        connection.execute("DELETE FROM pack WHERE id = ?", (pack,))
    compact(connection, packs)  # behind that, so that who reads from a compacted pack has until the next round


def _drop_messages(connection: sqlite3.Connection, before_s: int) -> None:
    for (packed,) in connection.execute("SELECT messages FROM leaving WHERE at < ?", (before_s,)).fetchall():
        for message in array("Q", packed):
            if connection.execute("SELECT 1 FROM entry WHERE message = ?", (message,)).fetchone():
                continue  # a copy lives
            row = connection.execute("DELETE FROM message WHERE id = ? RETURNING pack, thread", (message,)).fetchone()
            if row:
                for table in ("header", "common_field"):
                    connection.execute(f"DELETE FROM {table} WHERE message = ?", (message,))  # noqa: S608
                connection.execute("UPDATE pack SET messages = messages - 1 WHERE id = ?", row[:1])
                threads.forget(connection, row[1])
    connection.execute("DELETE FROM leaving WHERE at < ?", (before_s,))
