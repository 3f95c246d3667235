"""Mail that an earlier release has stored is read once more where this one makes more, or something else, of a message.

Done when an account is opened, before anybody sees its mail. What a crash interrupts is begun again.
"""

import sqlite3
from array import array

import structlog

from mailward.database import transaction
from mailward.formats.common_fields import UNKNOWN
from mailward.model.errors import StorageError
from mailward.store.packs import Locator, Packs
from mailward.store.rendered import COLUMNS, RENDERING, render, values_of
from mailward.store.threads import thread_of
from mailward.store.uids import Numbers

_log = structlog.get_logger()

_TOGETHER = 200
_SELECT = """
    SELECT id, internal_date, thread, pack, pack_offset, record, size_octets FROM message WHERE id > ? ORDER BY id LIMIT ?
"""
_UPDATE = f"UPDATE message SET {', '.join(f'{column} = ?' for column in COLUMNS)} WHERE id = ?"  # noqa: S608 - our own words


def renew(connection: sqlite3.Connection, packs: Packs) -> None:
    """Under the account's lock. Messages that cannot be read keep what was made of them."""
    last = 0
    while rows := connection.execute(_SELECT, (last, _TOGETHER)).fetchall():
        with transaction(connection):
            numbers = Numbers(connection)
            for message, internal_date, thread, *locator in rows:
                ids = _renew_one(connection, packs, message, internal_date, Locator(*locator))
                if not thread:
                    thread = thread_of(connection, numbers, ids)
                    connection.execute("UPDATE message SET thread = ? WHERE id = ?", (thread, message))
            numbers.save()
        last = rows[-1][0]
    with transaction(connection):
        connection.execute("UPDATE account SET rendering = ?", (RENDERING,))


def _renew_one(connection: sqlite3.Connection, packs: Packs, message: int, internal_date: int, locator: Locator) -> bytes:
    """The message's ids."""
    try:
        rendered = render(packs.octets(locator), internal_date, locator.record)
    except StorageError as error:
        _log.error("unreadable message", message=message, error=str(error))
        ids = array("Q", [locator.record]).tobytes()
        connection.execute("UPDATE message SET ids = ? WHERE id = ? AND ids = x''", (ids, message))
        connection.execute("INSERT OR IGNORE INTO common_field VALUES (?, ?, ?)", (message, UNKNOWN, locator.size_octets))
        return ids
    connection.execute(_UPDATE, (*values_of(rendered), message))
    connection.execute("UPDATE header SET headers = ? WHERE message = ?", (rendered.headers, message))
    common_fields = (message, rendered.common_fields, locator.size_octets)
    connection.execute("INSERT OR REPLACE INTO common_field VALUES (?, ?, ?)", common_fields)
    return rendered.ids
