"""New mail is read for searches before anybody searches: in the background, each message once, and without making accounts."""

import asyncio
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest
from structlog.testing import capture_logs

from mailward.disk import Disk
from mailward.formats.message import MessageView
from mailward.formats.searched import searched_texts
from mailward.model.errors import StorageError
from mailward.model.ids import AccountId, Uid
from mailward.store import marking
from mailward.store.account import EmbeddedAccount
from mailward.store.embedded import EmbeddedStore
from mailward.store.marking import Marking
from mailward.store.ops import Expunge
from mailward.store.textmarks import TextMarks
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
        monkeypatch.setattr(marking, "_BATCH", 2)
        monkeypatch.setattr(marking, "_REST_BEHIND_OTHERS", 0)

    def deliver(self, *texts: str) -> None:
        self.account.apply([append(self.inbox, f"Subject: x\r\n\r\n{text}\r\n".encode()) for text in texts])

    def may_hold(self, text: str) -> list[bool | None]:
        return [*self.account.marks.may_hold(self.account.view(self.inbox).messages, text)]


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


async def test_what_a_search_has_read_meanwhile_is_not_read_again(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.deliver("one apple", "two pears", "three plums", "four figs", "five nuts")

    async def and_a_search(_: float) -> None:
        place.account.marks.add({2: ["TWO PEARS"], 3: ["THREE PLUMS"]})

    monkeypatch.setattr(marking, "asyncio", SimpleNamespace(to_thread=asyncio.to_thread, sleep=and_a_search))
    place.marking.changed(ALICE)
    await place.marking.run_once()
    assert place.read == [[5, 4], [], [1]] and place.may_hold("PEARS") == [False, True, False, False, False]


async def test_another_process_goes_on_where_one_ended(place: Place) -> None:
    place.deliver("one apple", "two pears", "three plums")
    next(marking.mark(place.account, ALICE, place.account.marks.unmarked()))
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
        broken.setattr(TextMarks, "unmarked", _fail)
        place.marking.changed(ALICE)
        with pytest.raises(StorageError):
            await place.marking.run_once()
    place.marking.changed(ALICE)
    await place.marking.run_once()
    assert place.read == [[1]]


async def test_it_rests_longer_while_mail_comes_in(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    now, rests = [100.0], list[float]()

    def bits(*_: object) -> Iterator[int]:
        for number in range(4):
            now[0] += 0.25
            if number == 2:
                place.marking.changed(AccountId("other"))
            yield number

    async def rest(delay: float) -> None:
        rests.append(delay)
        now[0] += delay

    monkeypatch.setattr(marking, "_REST_BEHIND_OTHERS", 50)
    monkeypatch.setattr(marking, "mark", bits)
    monkeypatch.setattr(marking, "time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(marking, "asyncio", SimpleNamespace(to_thread=asyncio.to_thread, sleep=rest))
    place.deliver("an apple")
    place.marking.changed(ALICE)
    await place.marking.run_once()
    assert rests == [12.5, 1.0, 12.5, 1.0], "after the hint of its own account, then after that of another"


_KILLED = """
import os, signal, sys
from pathlib import Path
from mailward.disk import Disk
from mailward.store import marking
from mailward.store.embedded import EmbeddedStore
from support.stores import ALICE, NoHints

def searched_texts(view):
    if b"pears" in view.octets:
        os.kill(os.getpid(), signal.SIGKILL)
    yield ""

marking.searched_texts = searched_texts
account = EmbeddedStore(Path(sys.argv[1]), Disk(), NoHints()).open(ALICE)
list(marking.mark(account, ALICE, account.marks.unmarked()))
"""


async def test_t_q_08_t_dos_07_a_message_that_kills_its_reader_is_met_once(place: Place) -> None:
    place.deliver("one apple", "two pears", "three plums")
    killed = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _KILLED, str(place.folder)), env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    )
    assert await asyncio.wait_for(killed.wait(), 90) == -signal.SIGKILL
    place.marking.changed(ALICE)
    with capture_logs() as logs:
        await place.marking.run_once()
        place.marking.changed(ALICE)
        await place.marking.run_once()
    assert [(line["event"], line["account"], line["messages"]) for line in logs] == [("mail not read for searches", ALICE, [2])]
    assert place.may_hold("PEARS") == [False, None, False] and [*place.account.marks.begun()] == [2]
    [*marking.mark(place.account, ALICE, place.account.marks.begun())]
    assert place.may_hold("PEARS") == [False, True, False] and [*place.account.marks.begun()] == []


async def test_t_q_08_what_nobody_foresaw_costs_one_message(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.deliver("one apple", "two pears", "three plums")

    def read(view: MessageView) -> Iterator[str]:
        yield ""
        if b"pears" in view.octets:
            raise RecursionError
        yield from searched_texts(view)

    monkeypatch.setattr(marking, "searched_texts", read)
    place.marking.changed(ALICE)
    with capture_logs() as logs:
        await place.marking.run_once()
    assert [(line["log_level"], line["account"], line["messages"]) for line in logs] == [("error", ALICE, [2])]
    assert place.may_hold("PEARS") == [False, None, False] and [*place.account.marks.begun()] == [2]


async def test_t_dos_07_more_text_than_pays_is_not_decoded(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.deliver("pears " * 400_000, "plums")
    read: list[int] = []

    def noted(view: MessageView) -> Iterator[str]:
        read.append(view.size_octets)
        yield from searched_texts(view)

    monkeypatch.setattr(marking, "searched_texts", noted)
    place.marking.changed(ALICE)
    await place.marking.run_once()
    assert len(read) == 1 and place.may_hold("APPLES") == [True, False] and [*place.account.marks.begun()] == []


async def test_where_a_begin_cannot_be_noted_nothing_is_read(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.deliver("one apple")
    with monkeypatch.context() as broken:
        broken.setattr(TextMarks, "begin", _fail)
        place.marking.changed(ALICE)
        with pytest.raises(StorageError):
            await place.marking.run_once()
    assert place.may_hold("PEARS") == [None]
    place.marking.changed(ALICE)
    await place.marking.run_once()
    assert place.may_hold("PEARS") == [False]


def _fail(of: object, number: int) -> Sequence[int]:
    raise StorageError(f"{of} {number}: no disk")
