"""Which snapshot of a folder a restore is from, when nobody names one: the last that holds what is wanted. Those are verified.

Snapshots of everything and of one account may lie in one folder, so the last of all may lack it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mailward.app.backup.snapshot import Manifest, NoSnapshot, Snapshot, snapshot_of, snapshots_in


@dataclass(frozen=True, slots=True)
class Choice:
    """passed_over: the later ones, which do not hold what is wanted."""

    snapshot: Snapshot
    passed_over: tuple[Snapshot, ...] = ()


def of_everything(folder: Path, name: str | None) -> Choice:
    """The one of this name, or the last of everything. Raises BackupError, NoSnapshot."""
    last = _last(folder, lambda manifest: manifest.is_whole)
    if name is None and last is not None:
        return last
    found = snapshot_of(folder, name)
    if found.manifest.is_whole:
        return Choice(found)
    addresses = ", ".join(found.manifest.accounts.values())
    whole = f"{last.snapshot.path.name} is the last of everything (--snapshot)" if last else f"{folder} holds none of everything"
    raise NoSnapshot(
        f"nothing was restored: the snapshot {found.path.name} is of the mail of {addresses} alone. {whole}; "
        "--account ADDRESS restores the mail of an account that is there"
    )


def of_any_restore(folder: Path, name: str | None) -> list[Snapshot]:
    """The one of this name, or all that a restore may be from: the last of everything, and what came later of each account.

    Of one account the last, and the oldest first. Raises BackupError, NoSnapshot.
    """
    if name is not None:
        return [snapshot_of(folder, name)]
    found: list[Snapshot] = []
    seen: set[str] = set()
    for snapshot in reversed(snapshots_in(folder)):
        if snapshot.manifest.is_whole or not seen.issuperset(snapshot.manifest.accounts):
            found.append(snapshot)
            seen.update(snapshot.manifest.accounts)
        if snapshot.manifest.is_whole:
            break
    return found[::-1] or [snapshot_of(folder, None)]


def of_account(folder: Path, name: str | None, id: str | None, address: str) -> Choice:
    """The one of this name, or the last with the account of this id, or else with any of this address, or else the last.

    Raises BackupError, NoSnapshot.
    """
    if name is None:
        for holds in (_holds_id(id), _holds_address(address)):
            if (last := _last(folder, holds)) is not None:
                return last
    return Choice(snapshot_of(folder, name))


def _holds_id(id: str | None) -> Callable[[Manifest], bool]:
    return lambda manifest: id in manifest.accounts


def _holds_address(address: str) -> Callable[[Manifest], bool]:
    return lambda manifest: address.lower() in (own.lower() for own in manifest.accounts.values())


def _last(folder: Path, holds: Callable[[Manifest], bool]) -> Choice | None:
    later: list[Snapshot] = []
    for snapshot in reversed(snapshots_in(folder)):
        if holds(snapshot.manifest):
            return Choice(snapshot, tuple(later))
        later.append(snapshot)
    return None
