"""What happened is written together, in order, and one record that cannot be written costs no other its events."""

from collections.abc import Sequence

import structlog

from mailward.delivery.noting import Happened, Noting
from mailward.model.decision import LaterEvent
from mailward.model.errors import StorageError
from support.spooling import Ledger, item_for


def event(text: str) -> tuple[LaterEvent, ...]:
    return (LaterEvent("2026-03-01T12:00:00.000Z", "a@example.org", text),)


class Counting(Ledger):
    """failing: what is raised for whatever has this text."""

    def __init__(self, failing: dict[str, Exception] | None = None) -> None:
        super().__init__()
        self.calls = 0
        self._raised = failing or {}

    def add_all(self, happened: Sequence[Happened]) -> None:
        self.calls += 1
        for _, events in happened:
            if events[0].text in self._raised:
                raise self._raised[events[0].text]
        super().add_all(happened)


def texts(ledger: Ledger) -> list[str]:
    return [noted.text for _, noted in ledger.events]


async def test_what_happens_in_one_moment_is_written_in_one_go_and_in_order() -> None:
    ledger = Counting()
    noting = Noting(ledger)
    await noting.noted()
    for number in range(50):
        noting.note(item_for(b"x").decision, event(str(number)))
    await noting.noted()
    assert texts(ledger) == [str(number) for number in range(50)] and ledger.calls == 1
    noting.note(item_for(b"x").decision, event("later"))
    await noting.noted()
    assert texts(ledger)[50:] == ["later"]


async def test_one_record_that_cannot_be_written_costs_no_other_its_events() -> None:
    ledger = Counting({"bad": ValueError("nobody thought of this")})
    noting = Noting(ledger)
    records = [item_for(b"x").decision for _ in range(3)]
    with structlog.testing.capture_logs() as lines:
        for record, text in zip(records, ("first", "bad", "last"), strict=True):
            noting.note(record, event(text))
        await noting.noted()
    assert texts(ledger) == ["first", "last"]
    assert [line["id"] for line in lines] == [records[1].id]


async def test_a_store_that_is_not_there_is_told_of_each_message_and_works_again_later() -> None:
    ledger = Counting({"now": StorageError("the disk is full")})
    noting = Noting(ledger)
    record = item_for(b"x").decision
    with structlog.testing.capture_logs() as lines:
        noting.note(record, event("now"))
        await noting.noted()
    assert [(line["id"], line["problem"]) for line in lines] == [(record.id, "the disk is full")]
    noting.note(record, event("then"))
    await noting.noted()
    assert texts(ledger) == ["then"]
