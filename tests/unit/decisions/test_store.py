"""Records are kept once, found by what an admin knows, and told what happened later."""

import itertools
import random
import sqlite3
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from mailward.decisions import DecisionStore
from mailward.decisions.marks import Mark
from mailward.model.decision import DecisionRecord, InShadow, LaterEvent, Looked, RecipientDecision, WithIt, utc_text
from mailward.model.errors import StorageError
from mailward.model.evidence import HookCall, StoredFinding
from mailward.model.ids import QueueId
from mailward.model.receipt import Receipt

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


def test_a_receipt_is_kept_beside_its_record_as_long_as_that(store: DecisionStore) -> None:
    first, whole = Receipt((), 0, "ESMTP", None, b"h", b"w"), Receipt((), 1, "ESMTP", None, b"h", b"w")
    store.add_receipts([(RECORD.id, first), (QueueId("other"), first)])
    store.add(RECORD)
    assert store.receipt(RECORD.id) == first
    store.add_receipts([(RECORD.id, whole)])
    assert store.receipt(RECORD.id) == whole
    assert store.receipt(QueueId("none")) is None
    assert store.forget(datetime(2027, 1, 1, tzinfo=UTC), 10) == 1
    assert store.receipt(RECORD.id) is None


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
    assert store.find(marks=[Mark("to", "bob@example.org")]) == (RECORD,)
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


def _mail(number: int, chance: random.Random) -> DecisionRecord:
    people = chance.sample(["bob@example.org", "Eve@Example.org", "postmaster", "cfo@finance.example.org"], chance.randint(1, 3))
    symbols = chance.sample(["SPF_FAIL", "BAYES_SPAM", "DKIM_NONE"], chance.randint(0, 2))
    calls = tuple(
        HookCall(f"p{s}", "1", "inspect_mail", "mail", 1.0, "ok", None, (StoredFinding(f"p{s}", s, "x"),)) for s in symbols
    )
    failed = (HookCall("slow", "1", "inspect_mail", "mail", 1.0, "failed", "hangs"),) if chance.random() < 0.2 else ()
    decisions = tuple(
        RecipientDecision(
            who,
            chance.choice(["accept", "junk", "reject"]),
            0.0,
            *chance.choice([("rule", "infected"), ("limit", "limits.junk 5")]),
            "f:1:1",
        )
        for who in people
    )
    return DecisionRecord(
        id=QueueId(f"m{number:04}"),
        received_at=utc_text(datetime(2026, 11, 1, tzinfo=UTC) + timedelta(minutes=number // 3)),
        direction="inbound",
        reverse_path=chance.choice(["a@example.net", "B@partner.example", ""]),
        size_octets=1,
        calls=(*calls, *failed),
        recipients=decisions,
    )


def _has(record: DecisionRecord, mark: Mark) -> bool:
    kind, value = mark
    people = [d.recipient.lower() for d in record.recipients]
    sender = record.reverse_path.lower()
    return {
        "to": value in people or any(p.endswith(value) for p in people if value.startswith("@")),
        "from": value == sender or (value.startswith("@") and sender.endswith(value)),
        "rule": any((d.source_kind, d.source_name) == ("rule", value) for d in record.recipients),
        "verdict": any(d.verdict == value for d in record.recipients),
        "symbol": any(f.symbol == value for call in record.calls for f in call.findings),
        "plugin": any(call.plugin == value and (call.findings or call.error) for call in record.calls),
    }[kind]


MARKS = [
    Mark("to", "eve@example.org"), Mark("to", "@example.org"), Mark("to", "postmaster"), Mark("from", ""), Mark("from", "@partner.example"),
    Mark("from", "a@example.net"), Mark("rule", "infected"), Mark("verdict", "junk"), Mark("symbol", "SPF_FAIL"), Mark("plugin", "slow"),
    Mark("plugin", "pBAYES_SPAM"), Mark("rule", "nothing"),
]  # fmt: skip


def test_marks_find_what_reading_all_records_finds_until_they_are_forgotten(store: DecisionStore) -> None:
    chance = random.Random(8)
    kept = [_mail(number, chance) for number in range(300)]
    store.add_all([(record, (LaterEvent(record.received_at, "bob@example.org", "delivered"),)) for record in kept])
    for number in range(2):
        for chosen in itertools.combinations(MARKS, 1 + number):
            limit, start = chance.choice([5, 1000]), chance.randrange(100)
            since, until = (datetime(2026, 11, 1, tzinfo=UTC) + timedelta(minutes=m) for m in (start, start + 50))
            found = [record.id for record in store.find(marks=chosen, since=since, until=until, limit=limit)]
            inside = [r for r in kept if utc_text(since) <= r.received_at < utc_text(until) and all(_has(r, m) for m in chosen)]
            assert found == [r.id for r in sorted(inside, key=lambda r: (r.received_at, r.id), reverse=True)][:limit], chosen
    before = datetime(2026, 11, 1, 1, tzinfo=UTC)
    assert [store.forget(before, 100) for _ in range(3)] == [100, 80, 0]
    assert {r.id for r in store.find(limit=1000)} == {r.id for r in kept[180:]}
    assert {r.id for r in store.find(marks=[Mark("from", "")], limit=1000)} == {r.id for r in kept[180:] if not r.reverse_path}
    with store._database.read() as connection:
        for table in ("mark", "event", "record"):
            ids = {id for (id,) in connection.execute(f"SELECT DISTINCT id FROM {table}")}
            assert ids == {r.id for r in kept[180:]}


def test_t_q_14_marks_are_made_of_the_records_of_the_release_before(tmp_path: Path) -> None:
    chance = random.Random(9)
    kept = [_mail(number, chance) for number in range(30)]
    fresh = DecisionStore(tmp_path / "fresh.sqlite")
    fresh.add_all([(record, ()) for record in kept])
    file = tmp_path / "decisions.sqlite"
    connection = sqlite3.connect(file)
    connection.executescript(FORM_1_SCHEMA)
    for record in kept:
        connection.execute("INSERT INTO record VALUES (?, ?, '', ?)", (record.id, record.received_at, record.to_json()))
        for decision in record.recipients:
            connection.execute(
                "INSERT INTO recipient VALUES (?, ?, ?)", (decision.recipient.lower(), record.received_at, record.id)
            )
    connection.commit()
    connection.close()

    def marks(store: DecisionStore) -> list[tuple[str, ...]]:
        with store._database.read() as reading:
            return reading.execute("SELECT * FROM mark ORDER BY kind, value, received_at, id").fetchall()

    assert marks(DecisionStore(file)) == marks(fresh)


def test_what_was_found_in_shadow_is_found_whichever_comes_first(store: DecisionStore) -> None:
    call = HookCall("acme", "1", "inspect_message", "message", 1.0, "shadow", None, (StoredFinding("acme", "ACME_X", "x"),))
    looked = replace(LOOKED, calls=(call,), recipients=())
    for name, steps in {"a1": (0, 1), "a2": (1, 0)}.items():
        record = replace(RECORD, id=QueueId(name))
        for step in steps:
            store.add_looked(record.id, looked) if step else store.add(record)
    assert {r.id for r in store.find(marks=[Mark("symbol", "ACME_X"), Mark("symbol", "SPF_FAIL")])} == {"a1", "a2"}
    assert store.forget(datetime(2027, 1, 1, tzinfo=UTC), 10) == 2
    with store._database.read() as connection:
        assert connection.execute("SELECT count(*) FROM mark").fetchone() == (0,)


def test_a_record_that_cannot_be_read_is_a_storage_error_and_is_forgotten_like_any_other(store: DecisionStore) -> None:
    store.add(RECORD)
    with store._database.write() as connection:
        connection.execute("UPDATE record SET json = json_set(json, '$.version', 9)")
    with pytest.raises(StorageError, match="version 9"):
        store.get(RECORD.id)
    with pytest.raises(StorageError):
        list(store.outcomes(datetime(2026, 1, 1, tzinfo=UTC)))
    assert store.forget(datetime(2027, 1, 1, tzinfo=UTC), 10) == 1
    assert store.find() == ()


def test_the_last_is_what_somebody_sent_and_not_the_servers_own_answer_to_it(store: DecisionStore) -> None:
    answer = replace(RECORD, id=QueueId("01k9w3c5v7q2x8zz"), received_at="2099-01-01T00:00:00.000Z", direction="outbound")
    store.add(answer)
    assert store.last() == answer, "there is nothing else"
    store.add(RECORD)
    assert store.last() == RECORD
