"""Records are kept once, found by what an admin knows, and told what happened later."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mailward.decisions import DecisionStore
from mailward.model.decision import DecisionRecord, LaterEvent, RecipientDecision
from mailward.model.evidence import HookCall, StoredFinding
from mailward.model.ids import QueueId

RECORD = DecisionRecord(
    id=QueueId("a1"),
    received_at="2026-11-02T10:00:00.000Z",
    direction="inbound",
    session={"peer_ip": "192.0.2.1"},
    reverse_path="a@example.net",
    message_id="<1@example.net>",
    size_octets=100,
    calls=(
        HookCall("spf", "1", "inspect_mail", "mail", 1.5, "ok", findings=(StoredFinding("spf", "SPF_FAIL", "no", 1.0, 2.5),)),
    ),
    facts={"spf.result": "fail", "symbols": ("SPF_FAIL",)},
    recipients=(RecipientDecision("Bob@example.org", "junk", 2.5, "limit", "junk 2", "f:1:1"),),
    reply="250 2.0.0 Accepted, id a1",
    policy_hash="8c1f0e2",
)


@pytest.fixture
def store(tmp_path: Path) -> DecisionStore:
    return DecisionStore(tmp_path / "decisions.sqlite")


FORM_1 = (
    '{"id":"a1","received_at":"2026-11-02T10:00:00.000Z","direction":"inbound","session":{},"reverse_path":"","message_id":"",'
    '"size_octets":100,"calls":[],"facts":{},"recipients":[],"shadow":[],"reply":"","policy_hash":"","events":[],"version":1}'
)


def test_t_q_14_a_record_of_mail_that_nobody_judged_is_written_in_full() -> None:
    record = DecisionRecord(
        id=QueueId("a1"), received_at="2026-11-02T10:00:00.000Z", direction="inbound", reverse_path="", size_octets=100
    )
    assert record.to_json() == FORM_1
    assert DecisionRecord.from_json(FORM_1) == record


def test_a_record_comes_back_as_it_was(store: DecisionStore) -> None:
    store.add(RECORD)
    assert store.get(RECORD.id) == RECORD
    assert store.get(QueueId("other")) is None


def test_adding_twice_keeps_the_first(store: DecisionStore) -> None:
    store.add(RECORD)
    store.add(replace(RECORD, reply="451"))
    assert store.get(RECORD.id) == RECORD
    assert len(store.find()) == 1


def test_events_are_kept_in_order(store: DecisionStore) -> None:
    first = LaterEvent("2026-11-02T10:00:01.000Z", "bob@example.org", "delivered to Junk")
    second = LaterEvent("2026-11-02T11:00:00.000Z", "bob@example.org", "moved to INBOX")
    store.add(RECORD, (first,))
    store.add_event(RECORD.id, second)
    found = store.get(RECORD.id)
    assert found is not None
    assert found.events == (first, second)


def test_records_are_found_by_what_an_admin_knows(store: DecisionStore) -> None:
    later = replace(
        RECORD, id=QueueId("a2"), received_at="2026-11-02T12:00:00.000Z", message_id="<2@example.net>",
        recipients=(replace(RECORD.recipients[0], recipient="eve@example.org"),),
    )  # fmt: skip
    store.add(later)
    store.add(RECORD)
    assert store.last() == later
    assert store.find(recipient="bob@EXAMPLE.org") == (RECORD,)
    assert store.find(message_id="<2@example.net>") == (later,)
    assert store.find(since=datetime(2026, 11, 2, 11, tzinfo=UTC)) == (later,)
    assert store.find() == (later, RECORD)
    assert store.find(limit=1) == (later,)


def test_another_process_sees_it(store: DecisionStore, tmp_path: Path) -> None:
    other = DecisionStore(tmp_path / "decisions.sqlite")
    store.add(RECORD)
    assert other.last() == RECORD


def test_nothing_yet(store: DecisionStore) -> None:
    assert store.last() is None
    assert store.find() == ()
