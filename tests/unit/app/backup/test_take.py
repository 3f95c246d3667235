"""Snapshots share files with earlier ones, and no damage that can be seen."""

import os
from pathlib import Path

import pytest

from mailward.app.alone import config_of_nothing
from mailward.app.backup.messages import damaged_messages
from mailward.app.backup.snapshot import Snapshot, damage
from mailward.app.backup.take import take_snapshot
from support.stores import ALICE, append, embedded


@pytest.fixture(autouse=True)
def mail(tmp_path: Path) -> None:
    store = embedded(tmp_path / "data/accounts")
    alice = store.open(ALICE)
    alice.apply([append(alice.mailbox("INBOX").id, b"Subject: one\r\n\r\n")])
    store.close()


def _take(tmp_path: Path, *, is_afresh: bool = False) -> Snapshot:
    target = tmp_path / "backup"
    target.mkdir(exist_ok=True)
    accounts = {str(ALICE): "alice@example.org"}
    return take_snapshot(
        config_of_nothing(tmp_path / "data"), target, accounts, is_all=False, is_afresh=is_afresh, progress=lambda *_: None
    )


def _file(snapshot: Snapshot, pattern: str) -> Path:
    (found,) = snapshot.path.rglob(pattern)
    return found


def _damage(file: Path) -> None:
    octets = file.read_bytes()
    file.write_bytes(octets[:-1] + bytes([octets[-1] ^ 1]))


def _damaged(snapshot: Snapshot) -> list[str]:
    return [what for _, what in damage(snapshot) if what]


def test_what_is_the_same_is_one_file_in_two_snapshots(tmp_path: Path) -> None:
    first, second = _take(tmp_path), _take(tmp_path)
    for pattern in ("*.pack", "index.sqlite"):
        assert _file(first, pattern).samefile(_file(second, pattern))
    assert not [*second.path.rglob("*.new")]


def test_a_snapshot_made_afresh_and_those_after_it_have_no_damage_of_earlier_ones(tmp_path: Path) -> None:
    _damage(_file(_take(tmp_path), "*.pack"))
    assert _damaged(_take(tmp_path)), "it is a link that nobody has read"
    assert not _damaged(_take(tmp_path, is_afresh=True))
    assert not _damaged(_take(tmp_path))


def test_t_q_13_a_message_that_was_damaged_before_it_was_copied_is_told_with_the_copy_and_when_that_is_verified(
    tmp_path: Path,
) -> None:
    sound = _take(tmp_path)
    (pack,) = (tmp_path / "data").rglob("*.pack")
    pack.write_bytes(pack.read_bytes().replace(b"one", b"o\0e"))
    taken = _take(tmp_path)
    name = f"data/accounts/{ALICE}/packs/{pack.name}"
    said = f"messages of alice@example.org that cannot be read, in {name}: 1"
    assert (sound.manifest.missing, taken.manifest.missing) == ([], [said])
    assert not _damaged(taken), "it is as it was copied, so what is left of the mail can be restored"
    assert [*damaged_messages(taken.path, taken.manifest.accounts)] == [(name, said)]
    assert [*damaged_messages(sound.path, sound.manifest.accounts)] == [(name, "")]
    assert _take(tmp_path).manifest.missing == [], "it is a link that nobody has read"
    pack.unlink()
    assert _take(tmp_path).manifest.missing == [said], "it is gone"


def test_a_good_copy_is_not_given_up_for_a_damaged_one(tmp_path: Path) -> None:
    _damage(_file(_take(tmp_path), "index.sqlite"))
    assert not _damaged(_take(tmp_path))


def test_a_draft_that_was_left_is_removed_and_what_is_somebody_elses_stays(tmp_path: Path) -> None:
    target = tmp_path / "backup"
    for name in ("20261102T100000.000001Z.part/data", "films.part"):
        (target / name).mkdir(parents=True)
    (target / "film.part").write_bytes(b"half of it")
    taken = _take(tmp_path)
    assert {path.name for path in target.iterdir()} == {"films.part", "film.part", taken.path.name}


def test_where_the_file_system_has_no_links_everything_is_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "link", refuse)
    first, second = _take(tmp_path), _take(tmp_path)
    assert not _damaged(first) and not _damaged(second)
    assert not _file(first, "index.sqlite").samefile(_file(second, "index.sqlite"))
