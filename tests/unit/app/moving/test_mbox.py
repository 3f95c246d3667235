"""What is no place of mbox files is said to be none."""

from pathlib import Path

import pytest

from mailward.app.moving.mbox import MboxSource
from mailward.app.moving.source import SourceError


def _maildir(path: Path) -> None:
    for name in ("cur", "new", "tmp", ".Archive.2024/cur", ".Archive.2024/new", ".Archive.2024/tmp"):
        (path / name).mkdir(parents=True)
    (path / ".Archive.2024/maildirfolder").touch()
    (path / "cur/1.M1P1.host:2,S").write_bytes(b"Subject: a\n\nb\n")


def test_a_maildir_is_not_taken_for_a_directory_of_mbox_files(tmp_path: Path) -> None:
    _maildir(tmp_path / "Mail dir")
    with pytest.raises(SourceError, match=r"is a Maildir and holds no mbox files: mailward import maildir '.*/Mail dir'"):
        MboxSource(tmp_path / "Mail dir")


def test_a_maildir_beside_mbox_files_is_told_before_anything_is_brought(tmp_path: Path) -> None:
    (tmp_path / "a.mbox").touch()
    _maildir(tmp_path / "b")
    with pytest.raises(SourceError, match="/b is a Maildir"):
        MboxSource(tmp_path).folders()
