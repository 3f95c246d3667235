"""Packs of which most is dead are copied and dropped, and nobody notices: not a reader, not after a crash."""

import shutil
import sqlite3
from pathlib import Path

import pytest

from mailward.disk import Disk
from mailward.model.errors import StorageError
from mailward.model.ids import Uid
from mailward.store.account import EmbeddedAccount
from mailward.store.base import EXPUNGED_KEPT_S
from mailward.store.embedded import EmbeddedStore
from mailward.store.ops import Expunge, SetFlags, Subscribe
from support.faulty_disk import FaultyDisk, PowerCut
from support.storecheck import NOW_S, assert_whole
from support.stores import ALICE, NoHints, append

LARGE = b"Subject: large\r\n\r\n" + b"y" * 280_000


def octets_of(number: int) -> bytes:
    return LARGE if number == 2 else b"Subject: %d\r\n\r\n" % number + b"x" * 1000 + b"\r\n"


def account(folder: Path, weeks: float, disk: Disk | None = None) -> EmbeddedAccount:
    now_s = NOW_S + weeks * EXPUNGED_KEPT_S
    return EmbeddedStore(folder, disk or Disk(), NoHints(), now_s=lambda: now_s).open(ALICE)


def packs(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / ALICE / "packs").iterdir())


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An account whose first pack, of two, is mostly dead; it will be seen at its next write after the grace."""
    monkeypatch.setattr("mailward.store.packs._FULL_OCTETS", 600_000)
    store = account(tmp_path, 0)
    inbox = store.mailbox("INBOX").id
    for number in range(1, 401):
        store.apply([append(inbox, octets_of(number))])
    store.apply([append(inbox, LARGE)])
    assert len(packs(tmp_path)) == 2
    store.apply([Expunge(inbox, tuple(map(Uid, range(3, 401)))), SetFlags(inbox, (Uid(1),), "add", ("\\Seen", "$Junk"))])
    return tmp_path


def test_a_pack_that_is_mostly_dead_goes_a_round_after_its_messages_have_moved(folder: Path) -> None:
    reader = account(folder, 0)
    first, large = reader.view(reader.mailbox("INBOX").id).messages[:2]
    account(folder, 2).apply([Subscribe("INBOX", True)])  # whoever writes tidies
    assert len(packs(folder)) == 2
    assert (reader.read(first), bytes(reader.octets(large))) == (octets_of(1), LARGE)
    account(folder, 4).apply([Subscribe("INBOX", True)])
    assert packs(folder) == ["00000002.pack"]
    assert (reader.read(first), bytes(reader.octets(large))) == (octets_of(1), LARGE)
    assert_whole(reader)
    with sqlite3.connect(folder / ALICE / "index.sqlite") as connection:
        assert connection.execute("SELECT * FROM pack").fetchall() == [(2, 3)]
    assert b"INBOX\0\\Seen $Junk" in (folder / ALICE / "packs" / "00000002.pack").read_bytes()


def test_what_cannot_be_read_stays_and_so_does_its_pack(folder: Path) -> None:
    pack = folder / ALICE / "packs" / "00000001.pack"
    pack.write_bytes(pack.read_bytes().replace(b"Subject: 1\r\n", b"Subject: l\r\n"))
    for weeks in (2, 4):
        account(folder, weeks).apply([Subscribe("INBOX", True)])
    assert len(packs(folder)) == 2
    store = account(folder, 4)
    first, large = store.view(store.mailbox("INBOX").id).messages[:2]
    assert store.octets(large)[:] == LARGE
    with pytest.raises(StorageError, match="damaged"):
        store.read(first)


def test_t_q_02_a_compaction_cut_short_at_every_file_call_loses_nothing(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    call = 0
    while True:
        call += 1
        place = tmp_path_factory.mktemp("cut") / "accounts"
        shutil.copytree(folder, place)
        disk = FaultyDisk(stop_at=call)
        try:
            account(place, 2, disk).apply([Subscribe("INBOX", True)])
            account(place, 4, disk).apply([Subscribe("INBOX", True)])
        except PowerCut:
            pass
        else:
            break
        for weeks in (2, 4, 6):
            store = account(place, weeks)
            store.apply([Subscribe("INBOX", True)])
            assert_whole(store)
            assert len(store.view(store.mailbox("INBOX").id).uids) == 3
        assert "00000001.pack" not in packs(place)
        shutil.rmtree(place)
    assert call > 8
