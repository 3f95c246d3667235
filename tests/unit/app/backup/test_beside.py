"""Mail out of a snapshot beside the mail that is there: what is missing comes, and what is there stays as it is."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from mailward.app.backup.beside import SnapshotSource, mail_of
from mailward.app.backup.restore import restore
from mailward.app.backup.snapshot import BackupError, NoSnapshot, Snapshot
from mailward.app.backup.take import take_snapshot
from mailward.app.backup.turns import Busy
from mailward.app.config import Config
from mailward.app.config_file import load_config
from mailward.app.moving.into import Move
from mailward.model.ids import Uid
from mailward.store.account import EmbeddedAccount
from mailward.store.ops import CreateMailbox, DeleteMailbox, Expunge, RenameMailbox, Subscribe
from support.installation import installation
from support.stores import ALICE, append, embedded


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return load_config(installation(tmp_path / "server"))


@contextmanager
def mail(config: Config) -> Iterator[EmbeddedAccount]:
    """Alice's, as it is now."""
    with closing(embedded(config.data / "accounts")) as store:
        yield store.open(ALICE)


def fill(store: EmbeddedAccount, mailbox: str, *subjects: str) -> None:
    for subject in subjects:
        store.apply([append(store.mailbox(mailbox).id, f"Subject: {subject}\r\n\r\n".encode(), flags=("\\Seen", "$Label1"))])


def lose(store: EmbeddedAccount, mailbox: str) -> None:
    """All messages, for good."""
    view = store.view(store.mailbox(mailbox).id)
    store.apply([Expunge(view.mailbox.id, tuple(map(Uid, view.uids)))])


def taken(config: Config) -> Snapshot:
    folder = config.folder.parent / "backup"
    folder.mkdir(exist_ok=True)
    return take_snapshot(config, folder, {ALICE: "alice@example.test"}, is_all=False, progress=lambda *_: None)


def taken_with_mail(config: Config) -> Snapshot:
    with mail(config) as store:
        fill(store, "INBOX", "one")
    return taken(config)


def brought(config: Config, snapshot: Snapshot, *names: str, into: str = "", missing: bool = True) -> dict[str, int]:
    """How many messages came into each mailbox that was looked at."""
    with mail_of(config, snapshot, ALICE) as kept, mail(config) as store:
        below = store.mailbox(into) if into else None
        source = SnapshotSource(kept, ALICE, names, below, store if missing else None)
        return {one.name: one.brought for one in Move(source, store, lambda *_: None).run()}


def test_where_nothing_is_missing_nothing_changes(config: Config) -> None:
    with mail(config) as store:
        store.apply([CreateMailbox("Projects"), Subscribe("Projects", True), CreateMailbox("Empty")])
        fill(store, "Projects", "one")
    snapshot = taken(config)
    with mail(config) as store:
        store.apply([RenameMailbox("Projects", "Work"), DeleteMailbox("Empty"), Subscribe("Sent", False)])
        before = store.mailboxes(), store.subscriptions()
    assert brought(config, snapshot) == {}
    with mail(config) as store:
        assert (store.mailboxes(), store.subscriptions()) == before


def test_subscriptions_stay_as_they_are_and_come_with_a_mailbox_that_is_gone(config: Config) -> None:
    names = ("Left", "Joined", "Gone", "Never")
    with mail(config) as store:
        for name in names:
            store.apply([CreateMailbox(name), Subscribe(name, name in ("Left", "Gone"))])
            fill(store, name, name)
    snapshot = taken(config)
    with mail(config) as store:
        store.apply([Subscribe("Left", False), Subscribe("Joined", True), Subscribe("Gone", False)])
        lose(store, "Left")
        lose(store, "Joined")
        store.apply([DeleteMailbox("Gone"), DeleteMailbox("Never")])
    assert brought(config, snapshot) == dict.fromkeys(names, 1)
    with mail(config) as store:
        subscribed = {info.name: info.subscribed for info in store.mailboxes() if info.name in names}
    assert subscribed == {"Left": False, "Joined": True, "Gone": True, "Never": False}


@pytest.mark.parametrize("name", ["Sent Items", "Mine"])
def test_an_empty_mailbox_of_today_makes_way_for_none_of_the_snapshot(config: Config, name: str) -> None:
    with mail(config) as store:
        store.apply([RenameMailbox("Sent", name)])
        fill(store, name, "one")
        assert store.mailbox(name).special_use == "\\Sent"
    snapshot = taken(config)
    with mail(config) as store:
        store.apply([DeleteMailbox(name), CreateMailbox("Sent", "\\Sent")])
        sent = store.mailbox("Sent")
    assert brought(config, snapshot) == {name: 1}
    with mail(config) as store:
        assert store.mailbox("Sent") == sent
        assert (store.mailbox(name).special_use, store.mailbox(name).exists) == ("", 1)


def test_what_one_run_has_brought_the_next_does_not_nor_its_mailbox(config: Config) -> None:
    with mail(config) as store:
        store.apply([CreateMailbox("Projects")])
        fill(store, "Projects", "one", "two")
    snapshot = taken(config)
    with mail(config) as store:
        store.apply([DeleteMailbox("Projects")])
    assert brought(config, snapshot) == {"Projects": 2}
    with mail(config) as store:
        assert [store.read(message) for message in store.view(store.mailbox("Projects").id).messages] == [
            b"Subject: one\r\n\r\n", b"Subject: two\r\n\r\n",
        ]  # fmt: skip
        assert store.view(store.mailbox("Projects").id).keywords == ("$Label1",)
        store.apply([DeleteMailbox("Projects")])
    assert brought(config, snapshot) == {}
    with mail(config) as store:
        assert "Projects" not in {info.name for info in store.mailboxes()}


def test_below_a_mailbox_all_come_by_name_and_of_the_missing_only_those_that_have_some(config: Config) -> None:
    with mail(config) as store:
        store.apply([CreateMailbox("Projects/2026"), CreateMailbox("Projects/none"), CreateMailbox("Old"), CreateMailbox("Lost")])
        fill(store, "Projects/2026", "one")
        fill(store, "INBOX", "kept")
    snapshot = taken(config)
    assert brought(config, snapshot, "Projects", into="Old", missing=False) == {
        "Old/Projects": 0, "Old/Projects/2026": 1, "Old/Projects/none": 0,
    }  # fmt: skip
    with mail(config) as store:
        store.apply([DeleteMailbox("Projects/2026"), DeleteMailbox("Old/Projects/2026")])
    assert brought(config, snapshot, into="Lost") == {"Lost/Projects/2026": 1}
    with pytest.raises(NoSnapshot, match="has no mailbox Nowhere of this account; it has INBOX"):
        brought(config, snapshot, "Nowhere")


def test_one_at_a_time_and_the_copy_of_one_that_was_killed_is_removed(config: Config) -> None:
    snapshot = taken_with_mail(config)
    left = config.data / "beside/copy/accounts/other/packs"
    left.mkdir(parents=True)
    (left / "1.pack").write_bytes(b"of one that was killed")
    with mail_of(config, snapshot, ALICE) as kept:
        assert not left.exists()
        with pytest.raises(Busy, match="another restore brings mail"), mail_of(config, snapshot, ALICE):
            pass
        assert kept.mailbox("INBOX").exists == 1
    assert not [path for path in (config.data / "beside").iterdir() if path.name != "lock"]


def test_a_restore_in_place_leaves_the_copy_of_one_beside_and_no_backup_has_it(config: Config) -> None:
    snapshot = taken_with_mail(config)
    with mail_of(config, snapshot, ALICE) as kept:
        (all := config.folder.parent / "all").mkdir()
        whole = take_snapshot(config, all, {}, is_all=True, progress=lambda *_: None)
        assert "data/directory.sqlite" in whole.manifest.files
        assert not [name for name in whole.manifest.files if "beside" in name or name.endswith(".pack")]
        (config.data / "restoring/accounts").mkdir(parents=True)  # of one in place that was killed
        restore(config, snapshot, ALICE, replace=True)
        (message,) = kept.view(kept.mailbox("INBOX").id).messages
        assert kept.read(message) == b"Subject: one\r\n\r\n"


def test_a_damaged_snapshot_brings_nothing(config: Config) -> None:
    snapshot = taken_with_mail(config)
    (pack,) = snapshot.path.rglob("*.pack")
    pack.write_bytes(pack.read_bytes()[:-1] + b"?")
    with pytest.raises(BackupError, match="nothing was restored"), mail_of(config, snapshot, ALICE):
        pass
