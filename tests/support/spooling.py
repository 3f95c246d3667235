"""Small values and doubles for tests of spool and delivery."""

import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from mailward.delivery.mda import Copy
from mailward.model.decision import DecisionRecord, LaterEvent
from mailward.model.errors import StorageError
from mailward.model.ids import QueueId, new_queue_id
from mailward.queue.item import QueuedRecipient, QueueItem
from mailward.queue.spool import Spool

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def item_for(
    octets: bytes,
    recipients: Sequence[QueuedRecipient] | int = 1,
    *,
    queue_id: QueueId | None = None,
    reverse_path: str = "a@example.net",
) -> QueueItem:
    """A queue item as reception makes them."""
    queue_id = queue_id or new_queue_id()
    if isinstance(recipients, int):
        recipients = [QueuedRecipient(f"user{n}@example.org", "mailbox", account=f"user{n}") for n in range(recipients)]
    record = DecisionRecord(
        id=queue_id,
        received_at="2026-03-01T12:00:00.000Z",
        direction="inbound",
        reverse_path=reverse_path,
        size_octets=len(octets),
        reply="250 2.0.0 Accepted",
        policy_hash="0000000",
    )
    trace = "Received: from a by b; Sun, 1 Mar 2026 12:00:00 +0000\r\n"
    return QueueItem(queue_id, record.received_at, reverse_path, len(octets), trace, (), tuple(recipients), record)


async def commit(spool: Spool, octets: bytes, recipients: Sequence[QueuedRecipient] | int = 1) -> QueueItem:
    """Receive one message in pieces and commit it."""
    item = item_for(octets, recipients)
    incoming = spool.begin(item.id)
    for start in range(0, len(octets), 1000):
        incoming.write(octets[start : start + 1000])
    assert bytes(incoming.octets) == octets
    await incoming.commit(item)
    return item


def flush(spool: Spool) -> None:
    """Return when everything journalled so far is written."""
    spool.begin_attempts([])


class Clock:
    """Time that moves when told to."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> datetime:
        return NOW + timedelta(seconds=self.seconds)

    def monotonic_s(self) -> float:
        return self.seconds


class Kept:
    """A quarantine that remembers. copies: their keys, and why they were kept."""

    def __init__(self) -> None:
        self.copies: list[tuple[str, str]] = []

    def keep(self, copy: Copy, reason: str) -> None:
        self.copies.append((copy.delivery_key, reason))


class Ledger:
    """A deliverer that, like the store, keeps each delivery key once; and a memory of decisions.

    failing: forward-paths whose delivery fails. attempts: every copy offered, with its batch.
    """

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}
        self.failing: set[str] = set()
        self.batches: list[list[str]] = []
        self.records: dict[QueueId, DecisionRecord] = {}
        self.events: list[tuple[QueueId, LaterEvent]] = []
        self._lock = threading.Lock()

    def deliver(self, copies: Sequence[Copy]) -> tuple[str, ...]:
        with self._lock:
            self.batches.append([copy.delivery_key for copy in copies])
            if any(copy.recipient.forward_path in self.failing for copy in copies):
                raise StorageError("the store is not there")
            for copy in copies:
                self.kept.setdefault(copy.delivery_key, copy.octets)
            return tuple("delivered to INBOX" for _ in copies)

    def add(self, record: DecisionRecord, events: tuple[LaterEvent, ...] = ()) -> None:
        self.records.setdefault(record.id, record)
        self.events += [(record.id, event) for event in events]

    def add_all(self, happened: Sequence[tuple[DecisionRecord, tuple[LaterEvent, ...]]]) -> None:
        for record, events in happened:
            self.add(record, events)
