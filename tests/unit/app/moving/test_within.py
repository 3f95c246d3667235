"""What lies in a folder that is somebody else's is read, and nothing to which a link there leads."""

import os
from pathlib import Path

import pytest

from mailward.app.moving.maildir import MaildirSource
from mailward.app.moving.mbox import MboxSource
from mailward.app.moving.source import SourceError
from mailward.app.moving.within import open_within


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    folder = tmp_path / "other" / "cur"
    folder.mkdir(parents=True)
    (folder / "1.secret:2,").write_bytes(b"Subject: of another\n\nx\n")
    return folder


def _maildir(path: Path, *without: str) -> Path:
    for name in ("cur", "new", "tmp"):
        if name not in without:
            (path / name).mkdir(parents=True)
    return path


def test_files_are_opened_and_links_are_not(tmp_path: Path, secret: Path) -> None:
    root = _maildir(tmp_path / "mine")
    (root / "cur" / "plain").write_bytes(b"mine")
    (root / "cur" / "link").symlink_to(secret / "1.secret:2,")
    (root / "sub").symlink_to(secret.parent)
    os.mkfifo(root / "cur" / "fifo")
    with os.fdopen(open_within(root, root / "cur" / "plain"), "rb") as opened:
        assert opened.read() == b"mine"
    os.close(open_within(root, root / "cur", is_folder=True))
    for path in ("cur/link", "sub/cur/1.secret:2,", "cur/fifo", "../other/cur/1.secret:2,", "cur/missing"):
        with pytest.raises(OSError):
            open_within(root, root / path)
    with pytest.raises(OSError):
        open_within(root, root / "sub" / "cur", is_folder=True)


def test_t_priv_05_a_maildir_of_links_gives_nobody_elses_mail(tmp_path: Path, secret: Path) -> None:
    root = _maildir(tmp_path / "mine")
    linked = _maildir(root / ".Linked", "cur")
    (linked / "cur").symlink_to(secret)
    (root / "cur" / "1.link:2,").symlink_to(secret / "1.secret:2,")
    source = MaildirSource(root)
    assert [folder.name for folder in source.folders()] == ["INBOX"]
    assert source.listing(source.folders()[0]).refs == ()


def test_t_priv_05_a_folder_that_becomes_a_link_meanwhile_is_told_and_not_read(tmp_path: Path, secret: Path) -> None:
    root = _maildir(tmp_path / "mine")
    (root / "cur" / "1.mine:2,").write_bytes(b"Subject: mine\n\nx\n")
    source = MaildirSource(root)
    (folder,) = source.folders()
    (ref,) = source.listing(folder).refs
    (root / "cur" / "1.mine:2,").unlink()
    (root / "cur").rmdir()
    (secret / "1.mine:2,").write_bytes(b"Subject: of another\n\nx\n")
    (root / "cur").symlink_to(secret)
    (letter,) = source.fetch(folder, (ref,))
    assert letter.octets is None and letter.problem
    with pytest.raises(SourceError):
        source.listing(folder)


def test_t_priv_05_mbox_files_that_are_links_are_left_out(tmp_path: Path, secret: Path) -> None:
    mail = b"From a@example.net Mon Nov  2 10:00:00 2026\nSubject: mine\n\nx\n"
    root = tmp_path / "mine"
    root.mkdir()
    (root / "a.mbox").write_bytes(mail)
    (root / "b.mbox").symlink_to(root / "a.mbox")
    source = MboxSource(root)
    (folder,) = source.folders()
    assert folder.name == "a" and len(source.listing(folder).refs) == 1
    (root / "a.mbox").unlink()
    (root / "a.mbox").symlink_to(secret / "1.secret:2,")
    with pytest.raises(SourceError):
        source.listing(folder)
