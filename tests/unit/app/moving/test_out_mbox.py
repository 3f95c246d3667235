"""mbox files of an account: what is there already stays, unless it is to be replaced."""

from pathlib import Path

import pytest

from mailward.app.moving.out import ExportRefused
from mailward.app.moving.out_mbox import export_mbox
from mailward.model.ids import Uid
from mailward.store.base import AccountStore
from mailward.store.ops import CreateMailbox, Expunge
from support.stores import account, append


def written(store: AccountStore, folder: Path, *, replace: bool = False) -> dict[str, int]:
    return {one.name: one.messages for one in export_mbox(store, folder, lambda *_: None, replace=replace)}


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_file_that_is_there_stays_and_nothing_is_written(tmp_path: Path) -> None:
    store = account(tmp_path / "store")
    store.apply([CreateMailbox("Lists/python")])
    (tmp_path / "out/Lists").mkdir(parents=True)
    (tmp_path / "out/Lists/python.mbox").write_bytes(b"somebody else's")
    with pytest.raises(ExportRefused, match=r"/out/Lists/python\.mbox is there already; nothing was written.*--replace"):
        written(store, tmp_path / "out")
    assert files(tmp_path / "out") == {"Lists/python.mbox": b"somebody else's"}


def test_a_link_that_leads_nowhere_is_there_too(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/INBOX.mbox").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ExportRefused):
        written(account(tmp_path / "store"), tmp_path / "out")
    assert (tmp_path / "out/INBOX.mbox").is_symlink()


def test_a_second_export_is_refused_and_replaces_the_first_when_told_so(tmp_path: Path) -> None:
    store = account(tmp_path / "store")
    inbox = store.mailbox("INBOX").id
    store.apply([append(inbox, b"A: 1\r\n\r\n"), append(inbox, b"A: 2\r\n\r\n")])
    assert written(store, tmp_path / "out")["INBOX"] == 2
    first = files(tmp_path / "out")
    store.apply([Expunge(inbox, (Uid(1),))])
    with pytest.raises(ExportRefused, match=r"\.mbox and \d more of what would be written here are there already"):
        written(store, tmp_path / "out")
    assert files(tmp_path / "out") == first
    assert written(store, tmp_path / "out", replace=True)["INBOX"] == 1
    assert b"A: 1" not in files(tmp_path / "out")["INBOX.mbox"]
