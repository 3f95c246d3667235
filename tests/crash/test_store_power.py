"""A mailbox store whose disk fails, or whose power is cut, at every file call: what it said is stored is there, octet for octet.

SQLite's files are taken as they are, which is the harder case: the index must never name octets that are not on the medium.
"""

import contextlib
import shutil
from pathlib import Path
from typing import get_args

import pytest

from mailward.disk import Disk
from mailward.model.errors import StorageError
from mailward.model.ids import AccountId
from mailward.store.embedded import EmbeddedStore
from support.faulty_disk import FaultyDisk, PowerCut, Survival
from support.stores import ALICE, append, embedded

MESSAGES = [b"Subject: %d\r\n\r\n" % number + b"x" * size for number, size in enumerate((10, 3000, 400_000, 20, 500))]
ACCOUNTS = (ALICE, AccountId("bob"))

Told = dict[tuple[AccountId, str], bytes]
"""By account and delivery key: the octets that the store said it has."""


def live(folder: Path, disk: Disk) -> Told:
    """Deliveries to two accounts; ends early by PowerCut."""
    told: Told = {}
    with contextlib.suppress(PowerCut):
        store = embedded(folder, disk=disk)
        for number, octets in enumerate(MESSAGES):
            for name in ACCOUNTS:
                with contextlib.suppress(StorageError):
                    account = store.open(name)
                    account.apply([append(account.mailbox("INBOX").id, octets, f"{number}")])
                    told[name, f"{number}"] = octets
        store.close()
    return told


def check(folder: Path, told: Told) -> None:
    """All that was told is there once; what was not may be, whole; and a delivery that is made again adds nothing."""
    store: EmbeddedStore = embedded(folder)
    for name in ACCOUNTS:
        account = store.open(name)
        inbox = account.mailbox("INBOX").id
        for number, octets in enumerate(MESSAGES):
            account.apply([append(inbox, octets, f"{number}")])
        found = [account.read(message) for message in account.view(inbox).messages]
        assert sorted(found) == sorted(MESSAGES), (name, len(found), len(told))
    store.close()


def left(folder: Path, disk: FaultyDisk, target: Path, how: Survival) -> Path:
    """What a power cut leaves: packs as `how` says, databases as they are."""
    survivors = disk.survivors(folder, target, how)
    for database in folder.rglob("index.sqlite*"):
        copy = survivors / database.relative_to(folder)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(database, copy)
    return survivors


def number_of_calls(tmp_path: Path) -> int:
    disk = FaultyDisk()
    assert len(live(tmp_path / "whole", disk)) == len(MESSAGES) * len(ACCOUNTS)
    return len(disk.trace)


@pytest.mark.parametrize("how", get_args(Survival))
def test_t_q_02_03_power_cut_at_every_file_call_of_a_store(tmp_path: Path, how: Survival) -> None:
    calls = number_of_calls(tmp_path)
    for call in range(1, calls + 2):
        folder = tmp_path / f"{call}" / "accounts"
        disk = FaultyDisk(stop_at=call)
        told = live(folder, disk)
        check(left(folder, disk, tmp_path / f"{call}-left", how), told)
    assert calls > 20


def test_t_q_04_what_a_failed_sync_of_a_store_has_lost_was_not_acknowledged(tmp_path: Path) -> None:
    """It fails once, life goes on, and then the power is cut."""
    for call in range(1, number_of_calls(tmp_path) + 1):
        folder = tmp_path / f"{call}" / "accounts"
        disk = FaultyDisk(fail_at=call)
        told = live(folder, disk)
        assert len(told) >= len(MESSAGES) * len(ACCOUNTS) - 1, disk.trace[call - 1]
        check(left(folder, disk, tmp_path / f"{call}-left", "synced"), told)
