"""What is dropped once a day: messages expunged long enough ago, old log rows, old delivery keys, packs nobody needs."""

import sqlite3

from mailward.database import transaction
from mailward.store import threads
from mailward.store.compaction import compact
from mailward.store.packs import Packs

_DELIVERY_KEYS_S = 30 * 24 * 3600
"""Longer than any queue keeps a message."""

_DROP_DELIVERIES = """
    DELETE FROM delivery WHERE at < ? AND NOT EXISTS (SELECT 1 FROM entry WHERE entry.message = delivery.message)
"""

_LOGGED_MODSEQS = 100_000


def tidy(connection: sqlite3.Connection, packs: Packs, now_s: int, expunged_kept_s: float) -> None:
    """Under the account's lock. A crash in the midst leaves work for the next time and nothing else."""
    with transaction(connection):
        connection.execute("UPDATE account SET tidied_at = ?", (now_s,))
        _drop_messages(connection, int(now_s - expunged_kept_s))
        connection.execute(_DROP_DELIVERIES, (now_s - _DELIVERY_KEYS_S,))
        connection.execute("UPDATE account SET log_floor = max(log_floor, last_modseq - ?)", (_LOGGED_MODSEQS,))
        connection.execute("DELETE FROM change WHERE gone = 0 AND modseq <= (SELECT log_floor FROM account)")
    for (pack,) in connection.execute("SELECT id FROM pack WHERE messages = 0 AND id < (SELECT pack FROM account)").fetchall():
        packs.drop(pack)
        connection.execute("DELETE FROM pack WHERE id = ?", (pack,))
    compact(connection, packs)  # behind that, so that who reads from a compacted pack has until the next round


def _drop_messages(connection: sqlite3.Connection, before_s: int) -> None:
    old = "expunged WHERE at < ? AND NOT EXISTS (SELECT 1 FROM entry WHERE entry.message = expunged.message)"
    for (message,) in connection.execute(f"SELECT message FROM {old}", (before_s,)).fetchall():  # noqa: S608 - our own words
        pack, thread = connection.execute("DELETE FROM message WHERE id = ? RETURNING pack, thread", (message,)).fetchone()
        for table in ("header", "common_field"):
            connection.execute(f"DELETE FROM {table} WHERE message = ?", (message,))  # noqa: S608
        connection.execute("UPDATE pack SET messages = messages - 1 WHERE id = ?", (pack,))
        threads.forget(connection, thread)
    connection.execute("DELETE FROM expunged WHERE at < ?", (before_s,))
    connection.execute("DELETE FROM past_mailbox WHERE id NOT IN (SELECT mailbox FROM expunged)")
