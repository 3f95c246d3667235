"""The ops on Sieve scripts (RFC 5804 sections 2.6 to 2.11). What a script says is for whoever runs it."""

import sqlite3

from mailward.store.base import Script
from mailward.store.ops import MAX_SCRIPTS, NO_MAILBOX, ActivateScript, DeleteScript, OpResult, PutScript, RenameScript
from mailward.store.refusals import NoSuchScript, ScriptActive, ScriptExists, TooManyScripts

_DONE = OpResult(NO_MAILBOX)


def load(connection: sqlite3.Connection) -> tuple[Script, ...]:
    """All of them in name order."""
    return _load(connection, "ORDER BY name")


def find(connection: sqlite3.Connection, name: str) -> Script | None:
    """The one of this name."""
    return next(iter(_load(connection, "WHERE name = ?", name)), None)


def active(connection: sqlite3.Connection) -> Script | None:
    """The one that mail meets."""
    return next(iter(_load(connection, "WHERE is_active")), None)


def _load(connection: sqlite3.Connection, which: str, *values: str) -> tuple[Script, ...]:
    rows = connection.execute(f"SELECT name, text, is_active FROM sieve_script {which}", values)  # noqa: S608
    return tuple(Script(name, text, bool(is_active)) for name, text, is_active in rows)


def put(connection: sqlite3.Connection, op: PutScript) -> OpResult:
    others: int = connection.execute("SELECT count(*) FROM sieve_script WHERE name <> ?", (op.name,)).fetchone()[0]
    if others >= MAX_SCRIPTS:
        raise TooManyScripts(f"There are {MAX_SCRIPTS} scripts already")
    connection.execute(
        "INSERT INTO sieve_script VALUES (?, ?, 0) ON CONFLICT (name) DO UPDATE SET text = excluded.text", (op.name, op.text)
    )
    return _DONE


def rename(connection: sqlite3.Connection, op: RenameScript) -> OpResult:
    _find(connection, op.name)
    if op.new_name != op.name and connection.execute("SELECT 1 FROM sieve_script WHERE name = ?", (op.new_name,)).fetchone():
        raise ScriptExists(f"The script {op.new_name} exists")
    connection.execute("UPDATE sieve_script SET name = ? WHERE name = ?", (op.new_name, op.name))
    return _DONE


def delete(connection: sqlite3.Connection, op: DeleteScript) -> OpResult:
    if _find(connection, op.name):
        raise ScriptActive("The script is active; make another one active first")
    connection.execute("DELETE FROM sieve_script WHERE name = ?", (op.name,))
    return _DONE


def activate(connection: sqlite3.Connection, op: ActivateScript) -> OpResult:
    if op.name:
        _find(connection, op.name)
    connection.execute("UPDATE sieve_script SET is_active = (name = ?)", (op.name,))
    return _DONE


def _find(connection: sqlite3.Connection, name: str) -> bool:
    """Whether it is active."""
    row = connection.execute("SELECT is_active FROM sieve_script WHERE name = ?", (name,)).fetchone()
    if row is None:
        raise NoSuchScript(f"There is no script {name}")
    return bool(row[0])
