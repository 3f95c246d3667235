"""A folder of backups may have been somebody else's: what its manifest names stays inside (T-WEB-12)."""

import hashlib
from pathlib import Path

import msgspec
import pytest

from mailward.app.backup.snapshot import MANIFEST, VERSION, BackupError, Kept, Manifest, damage, snapshot_of, snapshots_in


def _snapshot(folder: Path, *names: str, version: int = VERSION) -> Path:
    path = folder / "20261102T100000Z"
    path.mkdir(parents=True)
    kept = Kept(1, hashlib.sha256(b"x").hexdigest(), 0)
    manifest = Manifest(version, "2026-11-02T10:00:00Z", {}, dict.fromkeys(names, kept), [])
    (path / MANIFEST).write_bytes(msgspec.json.encode(manifest))
    return path


@pytest.mark.parametrize(
    "name",
    ["data/accounts/a/../../../../etc/x", "data//etc/x", "/etc/x", "../x", "data", "data/", "data/./x", "other/x", "data/a\0b"],
)
def test_t_web_12_names_that_leave_the_snapshot_are_refused(tmp_path: Path, name: str) -> None:
    _snapshot(tmp_path, "data/directory.sqlite", name)
    with pytest.raises(BackupError, match="no file of a snapshot"):
        snapshots_in(tmp_path)


def test_t_web_12_links_to_elsewhere_are_damage(tmp_path: Path) -> None:
    path = _snapshot(tmp_path / "backups", "data/a", "data/b", "data/inner/c")
    (path / "data").mkdir()
    (path / "data/a").write_bytes(b"x")
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/c").write_bytes(b"x")
    (path / "data/b").symlink_to(tmp_path / "secret/c")
    (path / "data/inner").symlink_to(tmp_path / "secret")
    told = dict(damage(snapshot_of(tmp_path / "backups", None)))
    assert told["data/a"] == "" and "link" in told["data/b"] and "link" in told["data/inner/c"]


def test_a_newer_form_is_refused(tmp_path: Path) -> None:
    _snapshot(tmp_path, "data/a", version=VERSION + 1)
    with pytest.raises(BackupError, match="this release reads form"):
        snapshots_in(tmp_path)
