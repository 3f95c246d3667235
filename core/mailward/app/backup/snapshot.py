"""What a backup folder holds: one folder a snapshot, complete in itself, with a manifest of every file.

A file that has not changed is a hard link to that of an earlier snapshot, so an old snapshot can be removed at any time. It is
one file then: where the disk damages it, it is damaged in all of them.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from mailward.app.users import own_name
from mailward.database import read_only
from mailward.model.errors import MailwardError, StorageError

MANIFEST = "manifest.json"
UNFINISHED = ".part"
_CHUNK_OCTETS = 1024 * 1024


class BackupError(MailwardError):
    """What cannot be backed up, read or restored, and what to do."""


class NoSnapshot(BackupError):
    """The folder, the snapshot or what of it was named is not there."""


VERSION = 1
"""Of a manifest."""


@dataclass(frozen=True, slots=True)
class Kept:
    """One file. sha256: of its octets here. mtime_ns: the original's, 0 of a database, which is copied each time."""

    size_octets: int
    sha256: str
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """files: by their path in the snapshot. accounts: whose mail it has, id -> address. missing: what could not be read, files
    and messages."""

    version: int
    made_at: str
    accounts: dict[str, str]
    files: dict[str, Kept]
    missing: list[str]

    @property
    def is_whole(self) -> bool:
        """Whether it is of everything: there is always a configuration then. Else it is of accounts' mail alone."""
        return any(not name.startswith("data/accounts/") for name in self.files)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """path: its folder, named by the moment it was begun (UTC)."""

    path: Path
    manifest: Manifest


def snapshots_in(folder: Path) -> list[Snapshot]:
    """All that are complete, the oldest first. Raises BackupError, NoSnapshot where there is no such folder."""
    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix != UNFINISHED and (path / MANIFEST).is_file())
        return [Snapshot(path, _manifest(path)) for path in paths]
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NoSnapshot(f"{error.filename} is no folder of backups: {error.strerror}") from error
    except PermissionError as error:
        name = own_name()
        raise BackupError(f"user {name} cannot read {error.filename}: chown -R {name} {folder}") from error
    except OSError as error:
        raise BackupError(f"cannot read {error.filename}: {error.strerror}") from error


def _manifest(path: Path) -> Manifest:
    try:
        manifest = msgspec.json.decode((path / MANIFEST).read_bytes(), type=Manifest)
    except msgspec.MsgspecError as error:
        raise BackupError(f"{path / MANIFEST} is damaged ({error}); move {path} elsewhere, and the others can be used") from error
    if manifest.version != VERSION:
        raise BackupError(f"{path / MANIFEST} is of form {manifest.version}, this release reads form {VERSION}")
    if (wrong := next((name for name in manifest.files if not _is_inside(name)), None)) is not None:
        raise BackupError(f"{path / MANIFEST} names {wrong!r}, which is no file of a snapshot; nothing of it is used")
    return manifest


def is_in_snapshot(config: Path) -> bool:
    """Whether a mailward.yaml is that of a snapshot, beside whose data nothing is to be written."""
    return config.parent.name == "config" and (config.parent.parent / MANIFEST).is_file()


def _is_inside(name: str) -> bool:
    """Whether a name stays below the folders of a snapshot, wherever it is copied to."""
    first, *levels = name.split("/")
    return first in ("data", "config") and bool(levels) and not any(level in ("", ".", "..") or "\0" in level for level in levels)


def snapshot_of(folder: Path, name: str | None) -> Snapshot:
    """The one of this name, or the last. Raises BackupError, NoSnapshot."""
    found = snapshots_in(folder)
    if not found:
        raise NoSnapshot(f"{folder} holds no snapshot")
    if name is None:
        return found[-1]
    for snapshot in found:
        if snapshot.path.name == name:
            return snapshot
    raise NoSnapshot(f"{folder} holds no snapshot {name}; it has {', '.join(one.path.name for one in found)}")


def damage(snapshot: Snapshot, below: str = "") -> Iterator[tuple[str, str]]:
    """Each file below a path of the snapshot and what is wrong with its octets, or inside a database: "" for nothing."""
    for name, kept in snapshot.manifest.files.items():
        if name.startswith(below):
            yield name, _damage(snapshot.path, snapshot.path / name, kept)


def _damage(snapshot: Path, path: Path, kept: Kept) -> str:
    try:
        if not path.resolve().is_relative_to(snapshot.resolve()):
            return f"{path} is a link to elsewhere"
        if path.stat().st_size != kept.size_octets:
            return f"{path} has {path.stat().st_size} octets instead of {kept.size_octets}"
        if hash_of(path) != kept.sha256:
            return f"{path} has changed since it was made"
    except OSError as error:
        return f"{path}: {error.strerror}"
    if path.suffix != ".sqlite":
        return ""
    try:
        with read_only(path, immutable=True) as connection:
            (told,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    except StorageError as error:
        return str(error)
    return "" if told == "ok" else f"{path}: {told}"


def hash_of(path: Path) -> str:
    """SHA-256 in hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as opened:
        while chunk := opened.read(_CHUNK_OCTETS):
            digest.update(chunk)
    return digest.hexdigest()
