"""Secret files of a plugin: what is listed, what is read, and what never counts as missing."""

import os
from pathlib import Path

import pytest

from mailward.services.secrets import FolderSecrets


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a/one.pem", "a/next/two.pem", "b/three.pem"):
        path = tmp_path / "dkim" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
        path.chmod(0o600)
    return tmp_path / "dkim"


def test_names_of_all_or_of_one_folder(folder: Path) -> None:
    secrets = FolderSecrets(folder)
    assert secrets.names() == ("a/next/two.pem", "a/one.pem", "b/three.pem")
    assert secrets.names("a") == ("a/next/two.pem", "a/one.pem")
    assert secrets.names("missing") == ()
    assert FolderSecrets(folder / "missing").names() == ()
    assert [secrets.read(name) for name in secrets.names("b")] == [b"b/three.pem"]


@pytest.mark.parametrize("name", ["../outside", "a/../../outside", "/etc/passwd"])
def test_t_dkim_15_nothing_outside_is_seen(folder: Path, name: str) -> None:
    (folder.parent / "outside").write_bytes(b"")
    with pytest.raises(FileNotFoundError):
        FolderSecrets(folder).names(name)
    with pytest.raises(FileNotFoundError):
        FolderSecrets(folder).read(name)


def test_files_open_to_others_and_links_are_not_read(folder: Path) -> None:
    (folder / "a/one.pem").chmod(0o640)
    with pytest.raises(PermissionError, match="chmod 600"):
        FolderSecrets(folder).read("a/one.pem")
    (folder / "b/link.pem").symlink_to(folder / "b/three.pem")
    assert "b/link.pem" in FolderSecrets(folder).names("b"), "listed, so that it is missed by nobody"
    with pytest.raises(OSError, match="symbolic links"):
        FolderSecrets(folder).read("b/link.pem")


def test_a_folder_that_cannot_be_looked_into_is_not_empty(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scandir = os.scandir

    def refused(path: str) -> object:  # root may look into everything, so chmod would not do
        if str(path).endswith("/a"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refused)
    with pytest.raises(PermissionError):
        FolderSecrets(folder).names("a")
    with pytest.raises(PermissionError):
        FolderSecrets(folder).names()
