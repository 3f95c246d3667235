"""Every SQLite file has a form: made once, brought up step by step after a copy, refused when it is newer (T-Q-14)."""

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from mailward.database import Database, files_of, read_only
from mailward.model.errors import StorageError

FORM_1 = "CREATE TABLE note (text TEXT NOT NULL)"
FORM_3 = "CREATE TABLE note (text TEXT NOT NULL, at TEXT NOT NULL DEFAULT '', kind TEXT NOT NULL DEFAULT '')"
UPGRADES = {
    1: "ALTER TABLE note ADD COLUMN at TEXT NOT NULL DEFAULT ''; UPDATE note SET at = 'long ago';",
    2: "ALTER TABLE note ADD COLUMN kind TEXT NOT NULL DEFAULT ''",
}


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A file of form 1 with one row."""
    path = tmp_path / "notes.sqlite"
    database = Database(path, schema=FORM_1, version=1)
    with database.write() as connection:
        connection.execute("INSERT INTO note VALUES ('keep me')")
    database.close()
    return path


def rows(path: Path) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(path)
    try:
        return connection.execute("SELECT * FROM note").fetchall()
    finally:
        connection.close()


def form(path: Path) -> int:
    connection = sqlite3.connect(path)
    try:
        found: int = connection.execute("PRAGMA user_version").fetchone()[0]
        return found
    finally:
        connection.close()


def test_all_steps_are_taken_one_after_another(old: Path) -> None:
    Database(old, schema=FORM_3, version=3, upgrades=UPGRADES).close()
    assert (form(old), rows(old)) == (3, [("keep me", "long ago", "")])


def test_the_file_as_it_was_is_kept_and_closed_to_others(old: Path) -> None:
    Database(old, schema=FORM_3, version=3, upgrades=UPGRADES).close()
    kept = old.with_name("notes.sqlite.form-1")
    assert (form(kept), rows(kept)) == (1, [("keep me",)])
    assert kept.stat().st_mode & 0o077 == 0


def test_a_new_file_needs_no_step(tmp_path: Path) -> None:
    Database(tmp_path / "new.sqlite", schema=FORM_3, version=3, upgrades=UPGRADES).close()
    assert form(tmp_path / "new.sqlite") == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new.sqlite"]


def test_a_missing_step_and_a_newer_form_are_refused(old: Path) -> None:
    with pytest.raises(StorageError, match="form 1 cannot be brought to form 3"):
        Database(old, schema=FORM_3, version=3, upgrades={2: UPGRADES[2]})
    Database(old, schema=FORM_3, version=3, upgrades=UPGRADES).close()
    with pytest.raises(StorageError, match="written by a newer release"):
        Database(old, schema=FORM_1, version=1)


def test_t_q_14_a_step_that_fails_leaves_everything_as_it_was(old: Path) -> None:
    broken = {**UPGRADES, 2: "ALTER TABLE nosuch ADD COLUMN kind TEXT"}
    with pytest.raises(StorageError, match="nosuch"):
        Database(old, schema=FORM_3, version=3, upgrades=broken)
    assert (form(old), rows(old)) == (1, [("keep me",)])
    Database(old, schema=FORM_3, version=3, upgrades=UPGRADES).close()
    assert form(old) == 3


KILLED = """
import os, pathlib, signal, sqlite3, sys
from mailward import database
path, point = pathlib.Path(sys.argv[1]), sys.argv[2]

def die(*given):
    os.kill(os.getpid(), signal.SIGKILL)

if point == "snapshot":
    pathlib.Path.rename = die
connect = sqlite3.connect

def watched(*arguments, **named):
    connection = connect(*arguments, **named)
    connection.create_function("die", 0, die)
    return connection

database.sqlite3.connect = watched
second = "SELECT die()" if point == "step" else "ALTER TABLE note ADD COLUMN kind TEXT NOT NULL DEFAULT ''"
database.Database(path, schema="", version=3, upgrades={1: "ALTER TABLE note ADD COLUMN at TEXT NOT NULL DEFAULT ''", 2: second})
"""


@pytest.mark.parametrize("point", ["snapshot", "step"])
def test_t_q_14_killed_in_an_upgrade_it_is_done_at_the_next_start(old: Path, point: str) -> None:
    core = Path(__file__).parents[2] / "core"
    child = subprocess.run(
        [sys.executable, "-c", KILLED, str(old), point], env={**os.environ, "PYTHONPATH": str(core)}, timeout=60, check=False
    )
    assert child.returncode == -signal.SIGKILL
    assert (form(old), rows(old)) == (1, [("keep me",)])
    Database(old, schema=FORM_3, version=3, upgrades=UPGRADES).close()
    assert (form(old), rows(old)) == (3, [("keep me", "long ago", "")])
    assert rows(old.with_name("notes.sqlite.form-1")) == [("keep me",)]


def test_who_only_looks_changes_nothing_and_needs_no_form(old: Path) -> None:
    with read_only(old) as connection:
        assert connection.execute("SELECT * FROM note").fetchall() == [("keep me",)]
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            connection.execute("DELETE FROM note")
    assert (form(old), rows(old)) == (1, [("keep me",)])
    missing = old.with_name("missing.sqlite")
    with pytest.raises(StorageError, match="missing"), read_only(missing):
        pass
    assert not missing.exists()


def test_all_files_of_a_database_are_known_and_its_own_is_the_last(old: Path) -> None:
    database = Database(old, schema=FORM_1, version=1)
    with database.write() as connection:
        connection.execute("INSERT INTO note VALUES ('and me')")
    assert {*files_of(old)} == {*old.parent.iterdir()} and files_of(old)[-1] == old
    database.close()
