"""What is dropped once a day, and whenever much has been written: messages expunged long enough ago, old log rows, old delivery
keys, packs nobody needs.

None of it counts against the quota. So that nobody fills the disk with it, there are bounds by octets too, which hold at each
tidying: a store has `_UNTIDIED_OCTETS` more at most.
"""

import sqlite3

from mailward.database import transaction
from mailward.model.limits import MailLimits
from mailward.store import gone, threads
from mailward.store.compaction import compact
from mailward.store.oplist import LOG_ROW_OCTETS, ROWS_OCTETS
from mailward.store.packs import Packs

MAX_EXPUNGED_OCTETS = 10 * 1024**3
"""Of expunged mail that is kept, where the quota says nothing; else as much as the quota."""

_EVERY_S = 24 * 3600
_UNTIDIED_OCTETS = 256 * 1024**2

_DELIVERY_KEYS_S = 30 * 24 * 3600
"""Longer than any queue keeps a message."""

_DROP_DELIVERIES = """
    DELETE FROM delivery WHERE at < ? AND NOT EXISTS (SELECT 1 FROM entry WHERE entry.message = delivery.message)
"""

_BEYOND = f"""
    SELECT message FROM (
        SELECT message, sum(size_octets + {ROWS_OCTETS}) OVER (ORDER BY at DESC, message DESC) AS octets
        FROM expunged JOIN message ON id = message
        WHERE NOT EXISTS (SELECT 1 FROM entry WHERE entry.message = expunged.message)
    ) WHERE octets > ?
"""  # noqa: S608 - our own words

_LOGGED_MODSEQS = 100_000
_LOGGED_OCTETS = 16 * 1024**2

_LAST_BEYOND = f"""
    SELECT max(modseq) FROM (
        SELECT modseq, sum(length(uids) + length(added_modseqs) + {LOG_ROW_OCTETS}) OVER (ORDER BY modseq DESC) AS octets
        FROM change WHERE gone = ?
    ) WHERE octets > ?
"""  # noqa: S608 - our own words


def is_due(now_s: int, tidied_at: int, untidied_octets: int) -> bool:
    """As the account's row has them."""
    return not 0 <= now_s - tidied_at < _EVERY_S or untidied_octets > _UNTIDIED_OCTETS  # in the future, where the clock was wrong


def tidy(connection: sqlite3.Connection, packs: Packs, now_s: int, expunged_kept_s: float, limits: MailLimits) -> None:
    """Under the account's lock. A crash in the midst leaves work for the next time and nothing else."""
    with transaction(connection):
        connection.execute("UPDATE account SET tidied_at = ?, untidied_octets = 0", (now_s,))
        most_octets = MAX_EXPUNGED_OCTETS if limits.octets is None else limits.octets
        _drop_messages(connection, int(now_s - expunged_kept_s), most_octets)
        connection.execute(_DROP_DELIVERIES, (now_s - _DELIVERY_KEYS_S,))
        (last_beyond,) = connection.execute(_LAST_BEYOND, (0, _LOGGED_OCTETS)).fetchone()
        floor = "UPDATE account SET log_floor = max(log_floor, last_modseq - ?, ?)"
        connection.execute(floor, (_LOGGED_MODSEQS, last_beyond or 0))
        connection.execute("DELETE FROM change WHERE gone = 0 AND modseq <= (SELECT log_floor FROM account)")
        (last_beyond,) = connection.execute(_LAST_BEYOND, (1, _LOGGED_OCTETS)).fetchone()
        gone.merge(connection, last_beyond or 0)
    for (pack,) in connection.execute("SELECT id FROM pack WHERE messages = 0 AND id < (SELECT pack FROM account)").fetchall():
        packs.drop(pack)
        connection.execute("DELETE FROM pack WHERE id = ?", (pack,))
    compact(connection, packs)  # behind that, so that who reads from a compacted pack has until the next round


def _drop_messages(connection: sqlite3.Connection, before_s: int, most_octets: int) -> None:
    """Those of longer ago, and the oldest of the others where they are too much together."""
    old = "expunged WHERE at < ? AND NOT EXISTS (SELECT 1 FROM entry WHERE entry.message = expunged.message)"
    dropped = connection.execute(f"SELECT message FROM {old}", (before_s,)).fetchall()  # noqa: S608 - our own words
    connection.execute("DELETE FROM expunged WHERE at < ?", (before_s,))
    dropped += connection.execute(_BEYOND, (most_octets,)).fetchall()
    for (message,) in dropped:
        pack, thread = connection.execute("DELETE FROM message WHERE id = ? RETURNING pack, thread", (message,)).fetchone()
        for table in ("header", "common_field", "expunged"):
            connection.execute(f"DELETE FROM {table} WHERE message = ?", (message,))  # noqa: S608
        connection.execute("UPDATE pack SET messages = messages - 1 WHERE id = ?", (pack,))
        threads.forget(connection, thread)
    connection.execute("DELETE FROM past_mailbox WHERE id NOT IN (SELECT mailbox FROM expunged)")
