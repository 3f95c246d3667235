"""Who is asked for folders, and what a plugin's answer or failure does to a copy, with the real spool and store."""

import asyncio
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from mailward.api import Delivery, Folder, FolderChoice
from mailward.delivery.manager import DeliveryManager
from mailward.delivery.mda import Copy, Mda
from mailward.delivery.passes import Passes
from mailward.delivery.sorting import Sorter
from mailward.disk import Disk
from mailward.model.address import Address
from mailward.model.errors import HooksUnavailable, StorageError
from mailward.model.ids import AccountId
from mailward.pipeline.folders import Chosen
from mailward.quarantine import Quarantine
from mailward.queue.agenda import Agenda
from mailward.queue.item import QueuedRecipient, QueueItem
from mailward.queue.schedule import GIVE_UP_AFTER_S, LEAST_ATTEMPTS
from mailward.queue.spool import Spool
from mailward.store.embedded import EmbeddedStore
from mailward.store.ops import CreateMailbox
from support.spooling import Clock, Ledger, flush, item_for
from support.stores import NoHints

OCTETS = b"Subject: Lunch\r\nFrom: a@example.net\r\n\r\nat one?\r\n"
LISTS = Chosen("sorter", FolderChoice("Lists", "a test"))


@dataclass
class Told:
    """`Folders` that answers as told and remembers. failing: so many calls to come fail."""

    answer: Chosen | None = LISTS
    failing: int = 0
    asks_anybody: bool = True
    asked: list[Delivery] = field(default_factory=list)

    async def choose(self, delivery: Delivery, octets: bytes) -> Chosen | None:
        assert octets == OCTETS
        self.asked.append(delivery)
        if self.failing:
            self.failing -= 1
            raise HooksUnavailable("sorter", "provide_folder", "KeyError: 'lost'")
        return self.answer


class Plus:
    """`Directory` where everything behind a "+" is a detail."""

    def detail(self, address: Address) -> str:
        return address.local_part.partition("+")[2]


def to(address: str, account: str = "ann", *, sortable: bool = True) -> QueuedRecipient:
    return QueuedRecipient(address, "mailbox", account, sortable=sortable)


@pytest.fixture
def store(tmp_path: Path) -> EmbeddedStore:
    return EmbeddedStore(tmp_path / "accounts", Disk(), NoHints())


def contents(store: EmbeddedStore, name: str, account: str = "ann") -> int:
    opened = store.open(AccountId(account))
    return len(opened.view(opened.mailbox(name).id).messages)


async def sorted_by(store: EmbeddedStore, told: Told, item: QueueItem) -> list[object]:
    """For each copy what was chosen, or the failure."""
    sorter = Sorter(store, Plus(), lambda: told, asyncio.get_running_loop())
    copies = [Copy(item, index, OCTETS) for index in range(len(item.recipients))]
    found = await asyncio.to_thread(sorter.sort, copies)
    return [one.chosen if isinstance(one, Copy) else one for one in found]


async def test_a_plugin_is_told_whose_copy_it_is_and_what_folders_there_are(store: EmbeddedStore) -> None:
    store.open(AccountId("ann")).apply([CreateMailbox("Lists")])
    told = Told()
    item = item_for(OCTETS, [to("ann+Lists@example.org")])
    assert await sorted_by(store, told, item) == [LISTS]
    (asked,) = told.asked
    assert (asked.id, asked.account, asked.reverse_path) == (item.id, "ann", "a@example.net")
    assert (asked.forward_path, asked.detail) == ("ann+Lists@example.org", "Lists")
    assert asked.folders[0] == Folder("INBOX") and {Folder("Lists"), Folder("Trash", "\\Trash")} <= set(asked.folders)


async def test_the_detail_is_that_of_the_end_to_which_an_alias_led(store: EmbeddedStore) -> None:
    told = Told()
    ends = [to("ann+sales@example.org"), to("bob@example.org", "bob")]
    for recipient in ends:
        await sorted_by(store, told, item_for(OCTETS, [recipient]))
    assert [one.detail for one in told.asked] == ["sales", ""]


async def test_nobody_is_asked_about_what_may_not_be_sorted(store: EmbeddedStore) -> None:
    store.open(AccountId("ann")).apply([CreateMailbox("Lists")])
    told = Told()
    recipients = [to("ann+a@example.org", sortable=False), to("ann+b@example.org"), to("ann+c@example.org", sortable=False)]
    assert await sorted_by(store, told, item_for(OCTETS, recipients)) == [None, LISTS, None]
    assert [one.detail for one in told.asked] == ["b"]


async def test_where_no_plugin_chooses_folders_the_store_is_not_even_opened(store: EmbeddedStore, tmp_path: Path) -> None:
    told = Told(asks_anybody=False)
    assert await sorted_by(store, told, item_for(OCTETS, [to("ann@example.org")])) == [None]
    assert not (tmp_path / "accounts").exists()


async def test_all_copies_of_a_batch_are_asked_about_at_once(store: EmbeddedStore) -> None:
    """A plugin that hangs costs its limit once, and not once for each copy."""
    together = asyncio.Barrier(3)

    class Waiting(Told):
        async def choose(self, delivery: Delivery, octets: bytes) -> Chosen | None:
            await together.wait()
            return await super().choose(delivery, octets)

    addresses = [f"ann+{number}@example.org" for number in range(3)]
    item = item_for(OCTETS, [to(one) for one in addresses])
    assert await sorted_by(store, Waiting(), item) == [LISTS] * 3


# With the manager: failures and crashes


@dataclass
class Place:
    """Two processes on one spool: one that takes mail, and the queue's."""

    folder: Path
    store: EmbeddedStore
    told: Told = field(default_factory=Told)
    clock: Clock = field(default_factory=Clock)
    ledger: Ledger = field(default_factory=Ledger)

    def __post_init__(self) -> None:
        self.store.open(AccountId("ann")).apply([CreateMailbox("Lists")])
        self.mda = Mda(self.store, Quarantine(self.folder / "quarantine", Disk()), self.clock)
        self.smtp, self.queue = (Spool(self.folder / "spool", Disk(), owner=one) for one in ("smtp", "queue"))
        self.first, self.second = self.manager(self.smtp), self.manager(self.queue)
        self.passes = Passes(Agenda(self.queue, self.clock, self.clock.monotonic_s), (self.second,))

    def manager(self, spool: Spool) -> DeliveryManager:
        sorter = Sorter(self.store, Plus(), lambda: self.told, asyncio.get_running_loop())
        return DeliveryManager(spool, self.mda, self.ledger, self.clock, sorter=sorter, chance=lambda: 0.5)

    async def accept(self, *addresses: str) -> QueueItem:
        item = item_for(OCTETS, [to(one) for one in addresses])
        incoming = self.smtp.begin(item.id)
        incoming.write(OCTETS)
        await incoming.commit(item)
        return item

    async def attempt(self, item: QueueItem) -> None:
        """The first one, of the process that took it; what it could not deliver is then the queue's."""
        self.first.offer(item)
        await asyncio.to_thread(self.first.wait_idle)
        await self.first.stop()
        flush(self.smtp)
        await self.smtp.close()

    async def later(self) -> None:
        """A pass of the queue, after all times of waiting."""
        self.clock.seconds += 4000
        await self.passes.run_once()
        await asyncio.to_thread(self.second.wait_idle)
        flush(self.queue)

    async def end(self) -> None:
        await self.second.stop()
        await self.queue.close()

    @property
    def texts(self) -> list[str]:
        return [event.text for _, event in self.ledger.events]


async def test_t_plug_03_a_failure_keeps_the_copy_queued_and_it_is_delivered_once_when_the_plugin_works(
    tmp_path: Path, store: EmbeddedStore
) -> None:
    place = Place(tmp_path, store, Told(failing=2))
    item = await place.accept("ann+Lists@example.org")
    await place.attempt(item)
    assert (contents(store, "INBOX"), contents(store, "Lists")) == (0, 0)
    await place.later()
    assert (contents(store, "INBOX"), contents(store, "Lists")) == (0, 0)
    for _ in range(2):
        await place.later()
    assert (contents(store, "INBOX"), contents(store, "Lists")) == (0, 1)
    assert len(place.told.asked) == 3 and place.queue.ids() == []
    first, second, last = place.texts
    assert first.startswith("attempt 1 failed") and second.startswith("attempt 2 failed")
    assert "provide_folder of sorter failed: KeyError: 'lost'" in first
    assert last == "delivered to Lists, chosen by sorter: a test"
    await place.end()


async def test_t_plug_03_mail_is_in_inbox_after_the_time_to_give_up_though_the_plugin_never_works(
    tmp_path: Path, store: EmbeddedStore
) -> None:
    place = Place(tmp_path, store, Told(failing=10**9))
    item = await place.accept("ann+Lists@example.org")
    await place.attempt(item)
    place.clock.seconds += GIVE_UP_AFTER_S  # a clock that jumps gives nothing up before there were a few attempts
    for number in range(2, LEAST_ATTEMPTS):
        await place.later()
        assert contents(store, "INBOX") == 0 and place.texts[-1].startswith(f"attempt {number} failed")
    await place.later()
    assert (contents(store, "INBOX"), contents(store, "Lists"), place.queue.ids()) == (1, 0, [])
    said = "chosen by the server: given up: provide_folder of sorter failed: KeyError: 'lost'"
    assert place.texts[-1] == f"delivered to INBOX, {said}"
    await place.end()


async def test_no_folder_is_given_up_before_its_time_however_often_the_plugin_has_failed(
    tmp_path: Path, store: EmbeddedStore
) -> None:
    place = Place(tmp_path, store, Told(failing=10**9))
    await place.attempt(await place.accept("ann+Lists@example.org"))
    for _ in range(2 * LEAST_ATTEMPTS):
        await place.later()
    assert contents(store, "INBOX") == 0 and len(place.queue.ids()) == 1
    await place.end()


async def test_t_plug_03_a_failure_for_one_copy_does_not_hold_up_the_others(tmp_path: Path, store: EmbeddedStore) -> None:
    place = Place(tmp_path, store, Told(failing=1))
    item = await place.accept("ann+a@example.org", "ann+b@example.org", "ann+c@example.org")
    await place.attempt(item)
    assert contents(store, "Lists") == 2
    await place.later()
    assert contents(store, "Lists") == 3
    await place.end()


async def test_t_q_10_a_copy_that_was_stored_before_a_crash_stays_where_it_is_whatever_the_plugin_says_now(
    tmp_path: Path, store: EmbeddedStore
) -> None:
    place = Place(tmp_path, store)
    item = await place.accept("ann+Lists@example.org")
    place.mda.deliver([Copy(item, 0, OCTETS, LISTS)])  # and the process dies before it can note that
    place.told.answer, place.told.failing = None, 1
    await place.attempt(item)
    await place.later()
    assert (contents(store, "INBOX"), contents(store, "Lists")) == (0, 1)
    assert place.texts[-1] == "delivered to Lists by an earlier attempt"
    await place.end()


async def test_a_store_that_cannot_be_read_keeps_the_copy_queued(
    tmp_path: Path, store: EmbeddedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Place(tmp_path, store)
    item = await place.accept("ann@example.org")
    with monkeypatch.context() as patched:

        def full(account: AccountId) -> None:
            raise StorageError("the disk is away")

        patched.setattr(store, "open", full)
        await place.attempt(item)
    assert "the disk is away" in place.texts[0]
    await place.later()
    assert contents(store, "Lists") == 1
    await place.end()
