"""The number that says whether anybody has written: true across processes, killed writers and failing files."""

import errno
import struct
from pathlib import Path

from mailward.disk import Disk
from mailward.model.errors import StorageError
from mailward.store.embedded import EmbeddedStore
from mailward.store.repair import check_account
from support.storecheck import NOW_S, message
from support.stores import NoHints, account, append


def test_a_stamp_is_another_one_after_every_commit_of_any_process(tmp_path: Path) -> None:
    ours, theirs = account(tmp_path), account(tmp_path)
    inbox = ours.mailbox("INBOX").id
    seen = [ours.stamp()]
    for store in (ours, theirs, theirs, ours):
        store.apply([append(inbox, message(len(seen)))])
        seen.append(ours.stamp())
        assert ours.stamp() == theirs.stamp() == seen[-1]
        view = ours.view(inbox)
        assert view.stamp == ours.delta(inbox, 1).stamp == ours.stamp() and ours.view_at_hand("inbox") is view
    assert None not in seen and len(set(seen)) == len(seen)
    theirs.apply([append(theirs.mailbox("Sent").id, message(9))])
    assert ours.view_at_hand("INBOX") is None, "of the account, not of the mailbox"
    ours.rest()
    assert ours.stamp() is None and ours.view(inbox).stamp is None
    assert ours.view(inbox).stamp == ours.stamp() == theirs.stamp()


def test_while_somebody_writes_and_where_he_was_killed_there_is_no_stamp(tmp_path: Path) -> None:
    store = account(tmp_path)
    inbox = store.mailbox("INBOX").id
    view, before = store.view(inbox), store.stamp()
    with store._index.writing():
        assert store.stamp() is None and store.view_at_hand("INBOX") is None
    after = store.stamp()
    assert after not in (None, before) and view.stamp == before
    lock = tmp_path / store.id / "lock"
    lock.write_bytes(struct.pack("=Q", (after or 0) + 1))  # as a writer that was killed leaves it
    assert store.stamp() is None and store.view(inbox).stamp is None
    store.apply([append(inbox, message(1))])
    assert store.stamp() not in (None, before, after)


def test_a_stamp_that_cannot_be_written_stops_the_write_before_it_and_never_behind_it(tmp_path: Path) -> None:
    store = account(tmp_path)
    inbox = store.mailbox("INBOX").id

    class Failing(Disk):
        def __init__(self, fails: int) -> None:
            self.left = fails

        def overwrite(self, fd: int, offset: int, octets: bytes) -> None:
            self.left -= 1
            if not self.left:
                raise OSError(errno.EIO, "broken")
            super().overwrite(fd, offset, octets)

    for fails, stored in ((1, 0), (2, 1)):
        broken = EmbeddedStore(tmp_path, Disk(), NoHints()).open(store.id)
        broken._index._disk = Failing(fails)
        before = store.stamp()
        try:
            broken.apply([append(inbox, message(1))])
        except StorageError:
            assert not stored
        assert len(store.view(inbox).uids) == stored and (store.stamp() == before) == (not stored)


def test_who_rests_while_something_is_read_has_a_stamp_again_with_the_next_look(tmp_path: Path) -> None:
    store = account(tmp_path)
    inbox = store.mailbox("INBOX").id
    with store._index.reading():
        store.rest()
    store.apply([append(inbox, message(1))])
    assert store.stamp() is not None and store.view(inbox).stamp == store.stamp()


def test_checking_which_may_bring_the_database_up_to_date_changes_the_stamp(tmp_path: Path) -> None:
    store = account(tmp_path)
    before = store.stamp()
    check_account(tmp_path / store.id, Disk(), int(NOW_S), repair=False)
    assert store.stamp() not in (None, before)


def test_a_lock_file_that_is_lost_or_cut_short_tells_nothing(tmp_path: Path) -> None:
    ours, theirs = account(tmp_path), account(tmp_path)
    inbox, lock = ours.mailbox("INBOX").id, tmp_path / ours.id / "lock"
    view = ours.view(inbox)
    lock.write_bytes(b"")
    assert ours.stamp() is None and ours.view_at_hand("INBOX") is None
    theirs.apply([append(inbox, message(1))])
    assert ours.stamp() not in (None, view.stamp)
    ours.view(inbox)
    lock.unlink()
    theirs.rest()
    theirs.apply([append(inbox, message(2))])
    assert ours.stamp() is None and ours.view_at_hand("INBOX") is None
    assert list(ours.view(inbox).uids) == [1, 2]
    assert ours.stamp() == theirs.stamp() == ours.view(inbox).stamp
