"""Taking a snapshot while mail is delivered (T-Q-21).

Of every folder the databases come first, each as it was at one moment (SQLite's backup interface), then its other files. Octets
are synced before the row that names them and stay for a day after it has gone, so each copied row finds its octets. The
queue is left out: what was in it then has been delivered since, and restoring it would send it again.
"""

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from mailward.app.backup.beside import BESIDE
from mailward.app.backup.messages import damaged_messages
from mailward.app.backup.restore import RESTORING
from mailward.app.backup.snapshot import (
    MANIFEST,
    UNFINISHED,
    VERSION,
    Kept,
    Manifest,
    Snapshot,
    hash_of,
    snapshots_in,
)
from mailward.app.config import Config
from mailward.database import COMPANIONS, copy_database
from mailward.model.errors import StorageError
from mailward.store.textmarks import FILE as MARKS_FILE

_CHUNK_OCTETS = 1024 * 1024
_LEFT_OUT = ("spool", "run", "hints", "pop3", RESTORING, BESIDE)
"""Of the data folder: the queue, and what belongs to running processes and to a restore."""
_DRAFTS = f"????????T??????.??????Z{UNFINISHED}"
"""Snapshots that are being made. Other names in the folder are somebody else's."""
_PASSING = (*COMPANIONS, ".lock", ".new")

Progress = Callable[[str, int, int], None]
"""Told what is copied, how many files are done and how many there are."""


def take_snapshot(
    config: Config, folder: Path, accounts: Mapping[str, str], *, is_all: bool, progress: Progress, is_afresh: bool = False
) -> Snapshot:
    """A new snapshot in `folder`. accounts: id -> address, whose mail it is to hold; is_all: and everything else.

    is_afresh: everything is read, and nothing is a link to an earlier snapshot, whose files may be damaged.
    What is read is looked into: messages that the disk has damaged are `missing`, though what is left of them is here.
    What was left by one that was killed is removed. Raises BackupError, StorageError, OSError.
    """
    for left in folder.glob(_DRAFTS):
        shutil.rmtree(left)
    before = [] if is_afresh else snapshots_in(folder)
    made_at = datetime.now(UTC)
    path = folder / f"{made_at:%Y%m%dT%H%M%S.%fZ}"
    draft = path.with_name(path.name + UNFINISHED)
    draft.mkdir(mode=0o700)
    files: dict[str, Kept] = {}
    missing: list[str] = []
    not_read: set[str] = set()
    wanted = list(_wanted(config, folder.absolute(), accounts, is_all=is_all))
    for number, (source, name) in enumerate(wanted):
        progress(name, number, len(wanted))
        target = draft / name
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        earlier = next(
            ((one.path / name, one.manifest.files[name]) for one in reversed(before) if name in one.manifest.files), None
        )
        try:
            files[name] = _copy(source, target, *(earlier or (None, None)))
            if earlier is not None and files[name] is earlier[1]:
                not_read.add(name)
        except FileNotFoundError:
            continue  # what nothing needs any more has been removed meanwhile
        except (PermissionError, StorageError) as error:
            missing.append(f"{source}: {getattr(error, 'strerror', None) or error}")
            not_read.add(name)
    missing += [what for _, what in damaged_messages(draft, accounts, without=not_read) if what]
    manifest = Manifest(VERSION, f"{made_at:%Y-%m-%dT%H:%M:%SZ}", dict(accounts), files, missing)
    (draft / MANIFEST).write_bytes(msgspec.json.format(msgspec.json.encode(manifest)))
    os.sync()
    draft.rename(path)
    os.sync()
    progress("", len(wanted), len(wanted))
    return Snapshot(path, manifest)


def _wanted(config: Config, folder: Path, accounts: Mapping[str, str], *, is_all: bool) -> Iterator[tuple[Path, str]]:
    """Each file and its name in the snapshot, in the order of copying."""
    if is_all:
        yield from _below(config.folder, "config", without={config.data, folder})
        without = {config.data / name for name in (*_LEFT_OUT, "accounts")} | {*config.data.glob("before-restore-*"), folder}
        yield from _below(config.data, "data", without=without)
    for account in accounts:
        yield from _below(config.data / "accounts" / account, f"data/accounts/{account}", without=set[Path]())


def _below(folder: Path, name: str, without: set[Path]) -> Iterator[tuple[Path, str]]:
    if not folder.is_dir():
        return
    paths = [path for path in sorted(folder.iterdir()) if path not in without and not path.name.endswith(_PASSING)]
    files = [path for path in paths if path.is_file() and path.name != "lock" and ".sqlite.form-" not in path.name]
    files = [path for path in files if path.name != MARKS_FILE]
    for file in sorted(files, key=lambda path: path.suffix != ".sqlite"):
        yield file, f"{name}/{file.name}"
    for inner in paths:
        if inner.is_dir() and not inner.is_symlink() and inner.name != "__pycache__":
            yield from _below(inner, f"{name}/{inner.name}", without)


def _copy(source: Path, target: Path, earlier: Path | None, kept: Kept | None) -> Kept:
    """Copy one file, or link to that of an earlier snapshot when it is the same."""
    if source.suffix == ".sqlite":
        copy_database(source, target)
        made = Kept(target.stat().st_size, hash_of(target), 0)
    else:
        state = source.stat()
        if (
            kept is not None
            and (kept.size_octets, kept.mtime_ns) == (state.st_size, state.st_mtime_ns)
            and _linked(earlier, target)
        ):
            return kept
        made = _copied(source, target, state.st_size, state.st_mtime_ns)
    if kept is not None and kept.sha256 == made.sha256 and _is_whole(earlier, kept):
        link = target.with_name(f"{target.name}.new")
        if _linked(earlier, link):
            link.replace(target)
    return made


def _is_whole(earlier: Path | None, kept: Kept) -> bool:
    """Whether the file has what its manifest says, so that a good copy is not given up for a damaged one."""
    try:
        return earlier is not None and hash_of(earlier) == kept.sha256
    except OSError:
        return False


def _linked(earlier: Path | None, target: Path) -> bool:
    try:
        os.link(earlier or target, target)
    except OSError:  # it is gone, or the file system has no links
        return False
    return True


def _copied(source: Path, target: Path, size_octets: int, mtime_ns: int) -> Kept:
    """The first `size_octets` of a file that may be growing."""
    digest = hashlib.sha256()
    left = size_octets
    with source.open("rb") as original, target.open("xb") as copy:
        target.chmod(0o600)
        while left and (chunk := original.read(min(left, _CHUNK_OCTETS))):
            digest.update(chunk)
            copy.write(chunk)
            left -= len(chunk)
    return Kept(size_octets - left, digest.hexdigest(), mtime_ns)
