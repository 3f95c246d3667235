"""Octets go into the pack that is written now, and the database counts what each pack holds. Every message comes this way."""

import sqlite3

from mailward.store.packs import Locator, Packs, Record


def append_records(connection: sqlite3.Connection, packs: Packs, records: list[Record]) -> list[Locator]:
    """Written and synced; within the transaction that makes rows point to them. Raises OSError."""
    if not records:
        return []
    pack: int = connection.execute("SELECT pack FROM account").fetchone()[0]
    locators = packs.append(pack, records)
    if locators[-1].pack != pack:
        connection.execute("UPDATE account SET pack = ?", (locators[-1].pack,))
    return locators


def count_in(connection: sqlite3.Connection, pack: int, messages: int) -> None:
    """The pack holds so many messages more."""
    connection.execute(
        "INSERT INTO pack VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET messages = messages + excluded.messages", (pack, messages)
    )
