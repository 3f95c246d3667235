"""Records are kept once, found by what an admin knows, and told what happened later."""

import sqlite3
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from mailward.decisions import DecisionStore
from mailward.model.decision import DecisionRecord, InShadow, LaterEvent, Looked, RecipientDecision, WithIt
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
    '"size_octets":100,"calls":[],"facts":{},"recipients":[],"shadow":[],"canaries":[],"takes_each":false,"reply":"","policy_hash":"","events":[],"version":1}'
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


LOOKED = Looked(
    calls=(HookCall("dlp", "1", "inspect_message", "message", 20.0, "shadow"),),
    facts={"dlp.status": "shadow", "dlp.names": ("a", "b")},
    shadow=(InShadow("plugin", "dlp", "f:2:3"),),
    recipients=((WithIt("plugin", "dlp", "reject", 9.0, "limit", "reject 8", "f:1:1", ("tag: score +2",)),),),
)


@pytest.mark.parametrize("comes_first", [True, False])
def test_what_was_found_after_the_reply_is_part_of_the_record_whichever_process_writes_first(
    tmp_path: Path, comes_first: bool
) -> None:
    one, other = (DecisionStore(tmp_path / "decisions.sqlite") for _ in range(2))
    event = LaterEvent("2026-11-02T10:00:01.000Z", "bob@example.org", "delivered to Junk")
    steps = [partial(one.add_looked, RECORD.id, LOOKED), partial(other.add, RECORD, (event,))]
    for step in steps if comes_first else reversed(steps):
        step()
    other.add(RECORD)
    one.add_looked(RECORD.id, replace(LOOKED, calls=()))
    found = other.get(RECORD.id)
    assert found == RECORD.looked_at(LOOKED).with_events((event,))
    assert [call.plugin for call in found.calls] == ["spf", "dlp"]
    assert found.recipients[0].shadow == LOOKED.recipients[0]
    (outcome,) = one.outcomes(datetime(2026, 11, 1, tzinfo=UTC))
    assert (outcome.shadow, outcome.recipients, outcome.calls) == (found.shadow, found.recipients, ())


def test_what_was_found_of_mail_without_a_record_is_no_record(store: DecisionStore) -> None:
    store.add_looked(RECORD.id, LOOKED)
    assert (store.get(RECORD.id), store.last(), store.find()) == (None, None, ())


def test_t_q_14_the_form_of_the_release_before_is_brought_up(tmp_path: Path) -> None:
    file = tmp_path / "decisions.sqlite"
    connection = sqlite3.connect(file)
    connection.executescript(FORM_1_SCHEMA)
    connection.execute("INSERT INTO record VALUES ('a1', '2026-11-02T10:00:00.000Z', '', ?)", (FORM_1,))
    connection.commit()
    connection.close()
    store = DecisionStore(file)
    store.add_looked(RECORD.id, replace(LOOKED, recipients=()))
    found = store.get(RECORD.id)
    assert found == DecisionRecord.from_json(FORM_1).looked_at(replace(LOOKED, recipients=()))
    assert (tmp_path / "decisions.sqlite.form-1").exists()


FORM_1_SCHEMA = """
CREATE TABLE record (id TEXT PRIMARY KEY, received_at TEXT NOT NULL, message_id TEXT NOT NULL, json TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE recipient (address TEXT NOT NULL, received_at TEXT NOT NULL, id TEXT NOT NULL,
  PRIMARY KEY (address, received_at, id)) WITHOUT ROWID;
CREATE TABLE event (id TEXT NOT NULL, number INTEGER NOT NULL, at TEXT NOT NULL, recipient TEXT NOT NULL, text TEXT NOT NULL,
  PRIMARY KEY (id, number)) WITHOUT ROWID;
PRAGMA user_version = 1;
"""
"""What the state before wrote."""


def test_t_plug_07_half_a_surrogate_pair_in_a_fact_costs_no_record(store: DecisionStore) -> None:
    store.add(replace(RECORD, facts={"spf.domain": "a\udcffb", "dkim.domains": ("c\ud800",)}))
    found = store.get(RECORD.id)
    assert found is not None and found.facts == {"spf.domain": "a?b", "dkim.domains": ("c?",)}


def test_what_is_no_record_is_a_value_error() -> None:
    for text in (
        "",
        "[]",
        '{"id":"a1"}',
        FORM_1.replace('"size_octets":100', '"size_octets":"a"'),
        FORM_1.replace('version":1', 'version":2'),
    ):
        with pytest.raises(ValueError):
            DecisionRecord.from_json(text)
