"""Many records are added up: the worst first, and nothing that is not known counts as unchanged."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mailward.decisions import DecisionStore
from mailward.decisions.changes import Change
from mailward.decisions.shadow import ShadowReport
from mailward.model.decision import DecisionRecord, InShadow, RecipientDecision, WithIt, utc_text
from mailward.model.evidence import HookCall
from mailward.model.ids import QueueId

BEGIN = datetime(2026, 11, 2, 10, tzinfo=UTC)
DLP, LOWER = InShadow("plugin", "dlp", "f:1:1"), InShadow("rule", "lower", "f:2:1")


def with_it(kind: str, name: str, verdict: str, *actions: str) -> WithIt:
    return WithIt(kind, name, verdict, 3.0, "rule", "r", "f:9:9", actions)


def record(
    number: int, *shadow: InShadow, was: str = "accept", would_be: tuple[WithIt, ...] = (), policy: str = "8c1f0e2"
) -> DecisionRecord:
    call = HookCall("spf", "1", "inspect_mail", "mail", 1.5, "ok")
    return DecisionRecord(
        id=QueueId(f"m{number:05}"), received_at=utc_text(BEGIN + timedelta(seconds=number // 2)), direction="inbound",
        reverse_path="a@example.net", size_octets=1, calls=(call,), facts={"spf.result": "fail"}, shadow=shadow,
        recipients=(RecipientDecision("bob@example.org", was, 0.0, "default", "", "", shadow=would_be),), policy_hash=policy,
    )  # fmt: skip


def report(*records: DecisionRecord, limit: int = 10) -> ShadowReport:
    made = ShadowReport(limit)
    for one in records:
        made.add(one)
    return made


def test_every_record_comes_once_the_newest_first_without_what_makes_it_large(tmp_path: Path) -> None:
    store = DecisionStore(tmp_path / "decisions.sqlite")
    records = [record(number, DLP) for number in range(1203)]  # more than two pages, two of each moment
    store.add_all([(one, ()) for one in records])
    since = BEGIN + timedelta(seconds=1)
    assert list(store.outcomes(since)) == [replace(one, calls=(), facts={}) for one in reversed(records[2:])]
    assert store.count(since) == 1201


def test_nobody_minds_what_is_added_while_records_are_read(tmp_path: Path) -> None:
    store = DecisionStore(tmp_path / "decisions.sqlite")
    store.add(record(0, DLP))
    found = store.outcomes(BEGIN)
    assert next(found).id == "m00000"
    store.add(record(9, DLP))
    assert list(found) == []


def test_the_worst_stands_first() -> None:
    words = ["accept", "junk", "quarantine", "tempfail", "discard", "reject"]
    changes = sorted((Change(was, now) for was in words for now in words), key=lambda change: change.order)
    assert changes[:3] == [Change("accept", "reject"), Change("junk", "reject"), Change("quarantine", "reject")]
    taken = [change for change in changes if words.index(change.now) > words.index(change.was)]
    let_in = [change for change in changes if words.index(change.now) < words.index(change.was)]
    assert changes == taken + let_in + [Change(word, word) for word in words]
    assert let_in[0] == Change("reject", "accept")


def test_things_and_messages_come_the_worst_first_then_the_newest() -> None:
    found = report(
        record(4, DLP, LOWER, would_be=(with_it("rule", "lower", "junk"), with_it("all", "", "junk"))),
        record(3, DLP, LOWER, would_be=(with_it("rule", "lower", "junk"), with_it("all", "", "junk"))),
        record(2, DLP, LOWER, would_be=(with_it("plugin", "dlp", "reject"), with_it("all", "", "reject"))),
        record(1, DLP, LOWER),
        limit=2,
    )
    assert [thing.name for thing in found.things] == ["dlp", "lower"]
    assert found.together.changes == {Change("accept", "reject"): 1, Change("accept", "junk"): 2}
    assert (found.together.same, found.changed) == (1, 3)
    assert [example.record.id for example in found.worst.shown] == ["m00002", "m00004"]
    assert [one.name for one in found.worst.shown[0].by] == ["dlp"]


def test_what_only_several_do_together_is_no_single_ones_doing() -> None:
    found = report(record(1, DLP, LOWER, would_be=(with_it("all", "", "quarantine"),)))
    assert (found.worst.shown[0].by, found.things[0].changes) == ((), {})


def test_what_one_would_do_and_another_undoes_is_told_of_the_one() -> None:
    found = report(record(1, DLP, LOWER, would_be=(with_it("plugin", "dlp", "reject"),)))
    assert (found.together.changes, found.together.same, found.changed) == ({}, 1, 1)
    assert [(example.with_it.name, example.together) for example in found.worst.shown] == [("dlp", "unchanged")]


def test_what_is_not_known_is_not_unchanged_and_hides_nothing_of_the_rest() -> None:
    late = replace(DLP, unknown="left out: it was behind")
    found = report(record(2, late, LOWER, would_be=(with_it("rule", "lower", "junk"),)), record(1, late, LOWER))
    dlp, lower = sorted(found.things, key=lambda thing: thing.name)
    assert (dlp.messages, dlp.same, dlp.unknown.total()) == (0, 0, 2)
    assert (lower.changes, lower.same) == ({Change("accept", "junk"): 1}, 1)
    assert (found.together.messages, found.together.same, found.unknown) == (0, 0, 2)
    assert [example.together for example in found.worst.shown] == ["not known"]


def test_one_thing_alone_is_everything() -> None:
    found = report(record(1, DLP, would_be=(with_it("plugin", "dlp", "junk"),)))
    assert found.together.changes == found.things[0].changes == {Change("accept", "junk"): 1}


@pytest.mark.parametrize(("action", "changes"), [("r: folder Lists", 1), ("r: score +2", 0)])
def test_a_folder_is_a_change_and_a_score_is_none(action: str, changes: int) -> None:
    found = report(record(1, LOWER, would_be=(with_it("rule", "lower", "accept", action),)))
    assert found.together.changes[Change("accept", "accept")] == found.changed == changes


def test_records_without_shadow_and_those_that_no_policy_made() -> None:
    found = report(record(3, DLP), record(2), record(1, policy=""))
    assert (found.judged, found.in_shadow, found.policies) == (2, 1, {"8c1f0e2": 1})


def test_many_different_reasons_take_no_more_room() -> None:
    found = report(*(record(n, replace(DLP, unknown=f"failed at {n}")) for n in range(1000)))
    assert len(found.things[0].unknown) <= 21
    assert found.unknown == 1000
