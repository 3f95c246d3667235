"""New mail is read for searches before anybody searches: in the background, each message once, and without making accounts."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from mailward.disk import Disk
from mailward.model.errors import StorageError
from mailward.model.ids import AccountId, Uid
from mailward.store import marking
from mailward.store.embedded import EmbeddedAccount, EmbeddedStore
from mailward.store.marking import Marking
from mailward.store.ops import Expunge
from support.stores import ALICE, NoHints, append


class Place:
    """A store with one account, and what has been read in it."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.store = EmbeddedStore(folder, Disk(), NoHints())
        self.account = self.store.open(ALICE)
        self.inbox = self.account.mailbox("INBOX").id
        self.marking = Marking(self.store, lambda account: (folder / account).exists())
        self.read: list[list[int]] = []
        bodies = EmbeddedAccount.bodies

        def noted(account: EmbeddedAccount, messages: Sequence[int]) -> Iterator[object]:
            self.read.append([*messages])
            return bodies(account, messages)

        monkeypatch.setattr(EmbeddedAccount, "bodies", noted)
        monkeypatch.setattr(marking, "_TOGETHER", 2)

    def deliver(self, *texts: str) -> None:
        self.account.apply([append(self.inbox, f"Subject: x\r\n\r\n{text}\r\n".encode()) for text in texts])

    def may_hold(self, text: str) -> list[bool | None]:
        return [*self.account.may_hold(self.account.view(self.inbox).messages, text)]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    return Place(tmp_path, monkeypatch)


async def test_the_latest_mail_is_read_first_and_every_message_once(place: Place) -> None:
    place.deliver("one apple", "two pears", "three plums")
    await place.marking.run_once()
    assert place.read == [], "nobody has said that there is something new"
    place.marking.changed(ALICE)
    await place.marking.run_once()
    assert place.read == [[3, 2], [1]] and place.may_hold("PEARS") == [False, True, False]
    place.deliver("more pears")
    place.account.apply([Expunge(place.inbox, (Uid(1),))])
    for _ in range(2):
        place.marking.changed(ALICE)
        await place.marking.run_once()
    assert place.read[2:] == [[4]] and place.may_hold("PEARS") == [True, False, True]


async def test_another_process_goes_on_where_one_ended(place: Place) -> None:
    place.deliver("one apple", "two pears", "three plums")
    next(marking.mark(place.account, place.account.unmarked()))
    other = Marking(place.store, lambda _: True)
    other.changed(ALICE)
    await other.run_once()
    assert place.read == [[3, 2], [1]]


async def test_what_cannot_be_read_keeps_nothing_else_back(place: Place) -> None:
    place.deliver("one apple", "two pears", "three plums")
    (pack,) = (place.folder / ALICE / "packs").iterdir()
    pack.write_bytes(pack.read_bytes().replace(b"two pears", b"two bears"))
    place.marking.changed(ALICE)
    await place.marking.run_once()
    assert place.may_hold("PEARS") == [False, None, False]


async def test_an_account_that_is_gone_is_not_made_again(place: Place) -> None:
    gone = AccountId("gone")
    place.marking.changed(gone)
    await place.marking.run_once()
    assert not (place.folder / gone).exists()


async def test_a_store_that_fails_is_asked_again_at_the_next_change(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.deliver("one apple")
    with monkeypatch.context() as broken:
        broken.setattr(EmbeddedAccount, "unmarked", _fail)
        place.marking.changed(ALICE)
        with pytest.raises(StorageError):
            await place.marking.run_once()
    place.marking.changed(ALICE)
    await place.marking.run_once()
    assert place.read == [[1]]


def _fail(account: EmbeddedAccount, after: int) -> Sequence[int]:
    raise StorageError(f"{account.id}: no disk")
