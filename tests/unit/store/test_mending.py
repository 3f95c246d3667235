"""Messages that the disk has damaged get their octets back from another copy of the account, where they are and as they are."""

import shutil
from pathlib import Path

import pytest

from mailward.disk import Disk
from mailward.model.errors import StorageError
from mailward.model.ids import Uid
from mailward.store.account import EmbeddedAccount
from mailward.store.ops import Copy, Expunge, SetFlags
from mailward.store.repair import check_account
from support.faulty_disk import FaultyDisk, PowerCut
from support.storecheck import NOW_S
from support.stores import ALICE, account, append

LARGE = b"Subject: large\r\n\r\n" + b"y" * 280_000


def octets_of(number: int) -> bytes:
    return LARGE if number == 3 else b"Subject: %d\r\n\r\nbody\r\n" % number


def problems(folder: Path) -> tuple[str, ...]:
    return check_account(folder / ALICE, Disk(), int(NOW_S), repair=False).problems


def overwrite(folder: Path, old: bytes, new: bytes) -> None:
    """As a medium does it, once in all packs."""
    (pack,) = (path for path in sorted((folder / ALICE / "packs").iterdir()) if old in path.read_bytes())
    with pack.open("r+b") as opened:
        opened.seek(pack.read_bytes().index(old))
        opened.write(new)


def state(store: EmbeddedAccount) -> object:
    view = store.view(store.mailbox("INBOX").id)
    return view.mailbox, view.uids, view.flags, view.modseqs, view.messages


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """`now`, and `kept`, a copy of then."""
    store = account(tmp_path / "now")
    inbox, trash = store.mailbox("INBOX").id, store.mailbox("Trash").id
    for number in range(1, 7):
        store.apply([append(inbox, octets_of(number), flags=("\\Seen", "$Junk"))])
    store.apply([Copy(inbox, (Uid(2),), trash)])
    store.rest()
    shutil.copytree(tmp_path / "now", tmp_path / "kept")
    store.apply([SetFlags(inbox, (Uid(2),), "add", ("\\Flagged",)), append(inbox, b"Subject: later\r\n\r\n")])
    store.rest()
    return tmp_path


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"Subject: 2", b"Sub\0\0ct: 2"),
        (b"yyyyyyyy", b"yyyy\0\0yy"),
        (b"\x8cMWP", b"\0\0WP"),
        (b"INBOX\0\\Seen", b"INBOX\0\\?een"),
    ],
    ids=["octets", "a large one", "its header", "its rescue fields"],
)
def test_t_q_13_a_damaged_message_is_whole_again_in_its_place(folder: Path, old: bytes, new: bytes) -> None:
    overwrite(folder / "now", old, new)
    assert len(problems(folder / "now")) == 1
    store, kept = account(folder / "now"), account(folder / "kept")
    before = state(store)
    mended = store.mend_from(kept)
    assert (mended.messages, mended.left) == (1, ())
    view = store.view(store.mailbox("INBOX").id)
    assert [bytes(store.octets(message)) for message in view.messages[:6]] == [octets_of(number) for number in range(1, 7)]
    assert state(store) == before
    assert store.mend_from(kept).messages == 0
    store.rest()
    assert problems(folder / "now") == ()


def test_t_q_13_a_pack_that_is_lost_comes_back_as_far_as_it_was_kept(folder: Path) -> None:
    for pack in (folder / "now" / ALICE / "packs").iterdir():
        pack.unlink()
    store = account(folder / "now")
    mended = store.mend_from(account(folder / "kept"))
    assert (mended.messages, mended.left) == (6, ("INBOX UID 7",))
    view = store.view(store.mailbox("INBOX").id)
    assert [bytes(store.octets(message)) for message in view.messages[:6]] == [octets_of(number) for number in range(1, 7)]
    store.rest()
    assert len(problems(folder / "now")) == 1


def test_t_q_13_what_is_damaged_in_both_is_told_wherever_it_lies_and_left_as_it_is(folder: Path) -> None:
    for copy in ("now", "kept"):
        overwrite(folder / copy, b"Subject: 2", b"Subject: ?")
    store = account(folder / "now")
    mended = store.mend_from(account(folder / "kept"))
    assert (mended.messages, mended.left) == (0, ("INBOX UID 2", "Trash UID 1"))
    with pytest.raises(StorageError, match="damaged"):
        store.read(store.view(store.mailbox("INBOX").id).messages[1])


def test_t_q_02_mending_cut_short_at_every_file_call_is_done_by_the_next(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    overwrite(folder / "now", b"Subject: 2", b"Sub\0\0ct: 2")
    call = 0
    while True:
        call += 1
        place = tmp_path_factory.mktemp("cut")
        shutil.copytree(folder, place, dirs_exist_ok=True)
        try:
            account(place / "now", disk=FaultyDisk(stop_at=call)).mend_from(account(place / "kept"))
        except PowerCut:
            pass
        else:
            break
        store = account(place / "now")
        assert store.mend_from(account(place / "kept")).left == ()
        store.rest()
        assert problems(place / "now") == ()
    assert call > 2


def test_what_has_been_expunged_since_is_whole_again_and_missed_by_nobody(folder: Path) -> None:
    store = account(folder / "now")
    store.apply([Expunge(store.mailbox("INBOX").id, (Uid(4), Uid(7)))])
    for old in (b"Subject: 4", b"Subject: later"):
        overwrite(folder / "now", old, b"\0" * len(old))
    mended = store.mend_from(account(folder / "kept"))
    assert (mended.messages, mended.left) == (1, ())
    store.rest()
    assert len(problems(folder / "now")) == 1, "the later one, which nobody has"
