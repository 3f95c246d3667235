"""How every SQLite file is opened: modes, durability, schema version. One answer for store, quarantine, directory and the rest.

A transaction is on the medium when it has ended (synchronous=FULL), but for those that say that they need not be.
SQLite locks between processes by polling, so whoever writes much takes a lock of its own first (the store does).
Connections do not survive a fork: open after it.
"""

import fcntl
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any

from mailward.model.errors import StorageError

_BUSY_TIMEOUT_S = 30.0

COMPANIONS = ("-wal", "-shm")
"""What is put behind a database's name to name the files that SQLite has beside it: its log, and what its users share."""


@contextmanager
def storage_errors(what: str) -> Iterator[None]:
    """Turn what SQLite and the file system raise into StorageError. `what` names the file for the admin."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        # Corruption stays when one tries again; a full disk, a lock or an I/O error may not.
        damaged = getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
        raise StorageError(f"{what}: {error}", permanent=damaged) from error
    except (sqlite3.Error, OSError) as error:
        raise StorageError(f"{what}: {error}") from error


def connect(
    path: Path,
    *,
    schema: str,
    version: int,
    cache_kibibytes: int = 2048,
    upgrades: Mapping[int, str] = MappingProxyType({}),
    upgrading: Mapping[str, Callable[[], Any]] = MappingProxyType({}),
) -> sqlite3.Connection:
    """A connection in autocommit mode, in WAL mode, usable from any thread but by one at a time.

    schema: the statements that make an empty file into version `version`; run in one transaction by whoever comes first.
    upgrades: from a version -> the statements that make it the next one. All that are needed run in one transaction, after a
    copy of the file as it was has been written to `<file>.form-N`. upgrading: aggregate functions of two values that they use.
    The file has mode 0600 whatever the umask, and SQLite gives its companions the same; a folder made for it has 0700.
    Raises StorageError, permanent when the file was written by a newer release.
    """
    with storage_errors(str(path)):
        if not path.exists():
            _make_file(path)
        was_left = log_of(path).exists()
        connection = sqlite3.connect(
            path, timeout=_BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False, cached_statements=256
        )
        try:
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute(f"PRAGMA cache_size = -{int(cache_kibibytes)}")
            connection.execute("PRAGMA temp_store = MEMORY")
            if _version(connection, path, version, upgrades) < version:
                for name, function in upgrading.items():
                    connection.create_aggregate(name, 2, function)
                _bring_up(connection, path, schema, version, upgrades)
            if was_left:
                _settle(path)
                # A log whose sync has failed is left with commits that no later sync saves, for the kernel takes them for clean.
                # Were they where they are, what is committed behind them would be lost with them; in the file they are synced.
                connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
        except BaseException:
            connection.close()
            raise
        return connection


def log_of(path: Path) -> Path:
    """What has been committed and is not in the database's own file yet."""
    return path.with_name(f"{path.name}-wal")


def files_of(path: Path) -> tuple[Path, ...]:
    """A database's companions and, last, its own file. Whoever removes or renames one does so to all, in this order: a log that
    stayed would be taken for that of the next database of the name."""
    return tuple(path.with_name(path.name + ending) for ending in (*COMPANIONS, ""))


def _settle(path: Path) -> None:
    """Sync what a killed process has committed to the log and not synced: whoever reads it acts on it, and SQLite syncs it only
    with the next commit. Its name, too. (No locks are on the log that closing a descriptor could drop.)"""
    with suppress(FileNotFoundError):  # whoever used it has ended meanwhile, and synced all
        log = os.open(log_of(path), os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fdatasync(log)
        finally:
            os.close(log)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _version(connection: sqlite3.Connection, path: Path, ours: int, upgrades: Mapping[int, str]) -> int:
    found: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if found > ours:
        raise StorageError(
            f"{path}: written by a newer release (form {found}, this release reads {ours}); upgrade, or restore a backup",
            permanent=True,
        )
    if 0 < found < ours and not all(step in upgrades for step in range(found, ours)):
        raise StorageError(
            f"{path}: form {found} cannot be brought to form {ours} by this release; go through the releases between",
            permanent=True,
        )
    return found


def _make_file(path: Path) -> None:
    """An empty file with mode 0600. Linked into place: closing a descriptor of a database file that another thread
    has open already would drop that thread's POSIX locks."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}.{threading.get_ident()}.new")
    os.close(os.open(draft, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    with suppress(FileExistsError):  # another process was quicker
        os.link(draft, path)
    draft.unlink()


def _bring_up(connection: sqlite3.Connection, path: Path, schema: str, version: int, upgrades: Mapping[int, str]) -> None:
    """Make an empty file, or one of an earlier form, into this form; whoever comes second finds it done."""
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)  # SQLite answers "busy" at once when two switch to WAL
        found = _version(connection, path, version, upgrades)
        if found == version:
            return
        if found == 0:
            connection.execute("PRAGMA journal_mode = WAL")
            statements = schema
        else:
            _snapshot(connection, path.with_name(f"{path.name}.form-{found}"))
            os.fsync(folder)
            statements = "; ".join(upgrades[step].strip().rstrip(";") for step in range(found, version))
        try:
            connection.executescript(f"BEGIN IMMEDIATE; {statements}; PRAGMA user_version = {int(version)}; COMMIT")
        except sqlite3.Error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        os.fsync(folder)
    finally:
        os.close(folder)


def _snapshot(connection: sqlite3.Connection, target: Path) -> None:
    """A whole, synced copy of the database; one left by an upgrade that did not come to its end is replaced."""
    draft = target.with_name(f"{target.name}.new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        connection.execute("VACUUM INTO ?", (str(draft),))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    draft.rename(target)


@contextmanager
def read_only(path: Path, *, immutable: bool = False) -> Iterator[sqlite3.Connection]:
    """A connection that makes no file and brings none up to date, to look at one of any form, maybe damaged. immutable: nobody
    writes it, and its companions are not looked at. Raises StorageError, also for what fails in the block."""
    how = "immutable=1" if immutable else "mode=ro"
    with storage_errors(str(path)), closing(sqlite3.connect(f"{path.absolute().as_uri()}?{how}", uri=True)) as connection:
        yield connection


def copy_database(path: Path, target: Path) -> None:
    """A whole copy of a database that others may be writing, as it is at one moment; `target` must not exist.

    Not synced. Raises StorageError, FileNotFoundError when there is none.
    """
    if not path.exists():
        raise FileNotFoundError(str(path))
    os.close(os.open(target, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    with (
        storage_errors(str(path)),
        closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", timeout=_BUSY_TIMEOUT_S, uri=True)) as source,
        closing(sqlite3.connect(target)) as copy,
    ):
        source.backup(copy)


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """One write transaction; committed at the end of the block, rolled back when it raises."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # after some errors, a full disk for one, SQLite has rolled back by itself
            connection.execute("ROLLBACK")
        raise


class Database:
    """A small shared SQLite file: one connection a process, guarded by a lock, every failure a StorageError."""

    def __init__(
        self,
        path: Path,
        *,
        schema: str,
        version: int,
        upgrades: Mapping[int, str] = MappingProxyType({}),
    ) -> None:
        """schema, version, upgrades: see `connect`."""
        self._path = path
        self._lock = threading.Lock()
        self._connection = connect(path, schema=schema, version=version, upgrades=upgrades)

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """The connection, for a few SELECTs."""
        with self._lock, storage_errors(str(self._path)):
            yield self._connection

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """The connection inside one write transaction, durable when the block has ended."""
        with self._lock, storage_errors(str(self._path)), transaction(self._connection):
            yield self._connection

    @contextmanager
    def write_unsynced(self) -> Iterator[sqlite3.Connection]:
        """The same for what a power cut may cost until `write`, or SQLite itself, syncs the file. A kill costs nothing."""
        with self._lock, storage_errors(str(self._path)):
            self._connection.execute("PRAGMA synchronous = NORMAL")
            try:
                with transaction(self._connection):
                    yield self._connection
            finally:
                self._connection.execute("PRAGMA synchronous = FULL")

    def close(self) -> None:
        """No further use; the WAL is folded into the file when this was the last process."""
        with self._lock:
            self._connection.close()
