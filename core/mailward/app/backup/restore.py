"""The way back from a snapshot: all of the data folder, or the mail of one account, while no server runs.

Everything is checked and copied beside the data first, then put into its place by renaming; what was there is set aside, never
removed. UIDs may have been given after the snapshot, for mail that is not in it: where that cannot be excluded a mailbox gets
a new UIDVALIDITY, so that no UID means two messages (T-IMAP-16). Nor is any other number given again: EMAILIDs, THREADIDs and
MAILBOXIDs (RFC 8474) are for ever, and other accounts know by them what was moved to them.
"""

import os
import shutil
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from mailward.app.backup.snapshot import BackupError, Snapshot, damage
from mailward.app.config import Config
from mailward.database import files_of
from mailward.disk import Disk
from mailward.model.errors import StorageError
from mailward.model.ids import AccountId
from mailward.store.base import MailboxInfo
from mailward.store.changes import Hints
from mailward.store.embedded import EmbeddedStore
from mailward.store.ops import Renumber
from mailward.store.uids import Given

RESTORING = "restoring"
"""Of the data folder: what is to be put into its place; no backup has it."""
_READY = "ready"


@dataclass(frozen=True, slots=True)
class Restored:
    """What is there now. set_aside: where each thing is that was there before. accounts: whose mail it is, mailboxes and messages
    of all together."""

    set_aside: tuple[Path, ...]
    accounts: int
    mailboxes: int
    messages: int


def restore(
    config: Config, snapshot: Snapshot, account: AccountId | None, *, replace: bool, of: AccountId | None = None
) -> Restored:
    """Put back one account's mail, or everything.

    replace: whether anything may be there. of: whose mail it is in the snapshot, when that is an account that is no more.
    Raises BackupError, StorageError, OSError; then nothing is lost, and running it again does the rest.
    """
    prefix, below = ("data/", "") if account is None else (f"data/accounts/{of or account}/", f"accounts/{account}/")
    targets = {name: Path(below + name.removeprefix(prefix)) for name in snapshot.manifest.files if name.startswith(prefix)}
    if not targets:
        raise BackupError(f"the snapshot {snapshot.path.name} holds no mail of this account")
    places = sorted({_place(target) for target in targets.values()})
    scratch = config.data / RESTORING
    ready, asked = scratch / _READY, f"{snapshot.path.name} {account or ''} {of or ''}"
    if not (ready.exists() and ready.read_text() == asked):  # else one was killed while it put things into their places
        _check(config, snapshot, prefix, places, replace=replace)
        if scratch.exists():
            shutil.rmtree(scratch)
        copy_files(snapshot, targets, scratch)
        for place in places:
            if place.parts[0] == "accounts":
                _renumber(config, scratch, AccountId(place.name), is_another=of is not None)
        os.sync()
        ready.write_text(asked)
    aside = config.data / f"before-restore-{snapshot.path.name}"
    set_aside: list[Path] = []
    for place in places:
        if (scratch / place).exists():
            set_aside += _put(scratch / place, config.data / place, aside / place)
    accounts = [AccountId(place.name) for place in places if place.parts[0] == "accounts"]
    mailboxes = _opened_again(config, accounts)
    shutil.rmtree(scratch)
    os.sync()
    return Restored(tuple(set_aside), len(accounts), len(mailboxes), sum(info.exists for info in mailboxes))


def _check(config: Config, snapshot: Snapshot, prefix: str, places: Sequence[Path], *, replace: bool) -> None:
    """Raises BackupError when something is in the way, or the snapshot is damaged."""
    taken = [place for place in places if _is_taken(config.data / place)]
    if taken and not replace:
        raise BackupError(
            f"{config.data / taken[0]} is there already; nothing was restored. With --replace what is there is set aside first"
        )
    check_undamaged(snapshot, prefix)


def check_undamaged(snapshot: Snapshot, prefix: str) -> None:
    """Of the files whose names begin so. Raises BackupError."""
    wrong = next((what for _, what in damage(snapshot, prefix) if what), None)
    if wrong is not None:
        folder = snapshot.path.parent
        raise BackupError(
            f"{wrong}; nothing was restored. See mailward backup list {folder} for earlier ones (--snapshot NAME). Where the "
            f"mail is still there, take one that shares no file with them: mailward backup --to {folder} --afresh"
        )


def copy_files(snapshot: Snapshot, targets: Mapping[str, Path], scratch: Path) -> None:
    """Copies of all files, beside the data. targets: where each is to be below scratch."""
    for name, target in targets.items():
        copy = scratch / target
        copy.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.copyfile(snapshot.path / name, copy)
        copy.chmod(0o600)


def _place(target: Path) -> Path:
    """What is renamed as one: an account's folder, any other folder or file of the data folder."""
    return Path(*target.parts[: 2 if target.parts[0] == "accounts" else 1])


def _is_taken(path: Path) -> bool:
    return path.is_file() or (path.is_dir() and any(path.iterdir()))


def _put(made: Path, place: Path, aside: Path) -> list[Path]:
    """Where what was in its place is now."""
    set_aside = []
    for there, target in zip(files_of(place), files_of(aside), strict=True):
        if there.exists():
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            while target.exists():  # of an earlier restore of the same snapshot
                target = target.with_name(f"{target.name}~")
            there.rename(target)
            set_aside.append(target)
    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    made.rename(place)
    return set_aside


def _renumber(config: Config, scratch: Path, account: AccountId, *, is_another: bool) -> None:
    """Let the copy give no number again, and each mailbox have a new UIDVALIDITY unless it is known to be as it was.

    is_another: of another account. What is there now may be younger than what was lost, or gone: so numbers begin at the clock.
    """
    given, now = _present(config, account)
    kept_s = config.expunged_kept_s
    with (
        closing(Hints(config.data / "hints")) as hints,
        closing(EmbeddedStore(scratch / "accounts", Disk(), hints, expunged_kept_s=kept_s)) as store,
    ):
        mail = store.open(account)
        mail.pass_over(given.and_all_below(int(time.time())))
        mail.apply([Renumber(info.id) for info in mail.mailboxes() if is_another or _state(info) not in now])


def _opened_again(config: Config, accounts: Sequence[AccountId]) -> list[MailboxInfo]:
    """All mailboxes of theirs.

    Opening an account writes what it shares to the index of all accounts, which is in no snapshot.
    """
    with (
        closing(Hints(config.data / "hints")) as hints,
        closing(EmbeddedStore(config.data / "accounts", Disk(), hints, expunged_kept_s=config.expunged_kept_s)) as store,
    ):
        return [info for account in accounts for info in store.open(account).mailboxes()]


def _present(config: Config, account: AccountId) -> tuple[Given, set[tuple[str, int, int, int]]]:
    """The numbers that have been given, and the mailboxes, of what is there now; none when it is gone or cannot be read."""
    accounts = config.data / "accounts"
    if not (accounts / account / "index.sqlite").exists():
        return Given(), set()
    try:
        with closing(Hints(config.data / "hints")) as hints, closing(EmbeddedStore(accounts, Disk(), hints)) as store:
            mail = store.open(account)
            return mail.given(), {_state(info) for info in mail.mailboxes()}
    except StorageError:
        return Given(), set()


def _state(info: MailboxInfo) -> tuple[str, int, int, int]:
    return info.name, info.uidvalidity, info.uidnext, info.highest_modseq
