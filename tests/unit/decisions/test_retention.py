"""Old records go, in steps, and a fault is told and tried again."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mailward.decisions import DecisionStore
from mailward.decisions import retention as module
from mailward.decisions.retention import Retention
from mailward.model.decision import DecisionRecord, utc_text
from mailward.model.ids import QueueId
from mailward.testing.fakes import FakeClock

NOW = datetime(2026, 11, 2, 10, tzinfo=UTC)


def test_t_dos_what_is_older_than_it_is_to_be_kept_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AT_ONCE", 3)
    monkeypatch.setattr(module, "PAUSE_S", 0.0)
    store = DecisionStore(tmp_path / "decisions.sqlite")
    for days in range(10):
        at = utc_text(NOW - timedelta(days=days))
        record = DecisionRecord(id=QueueId(f"m{days}"), received_at=at, direction="inbound", reverse_path="", size_octets=1)
        store.add(record)
    kept = Retention(store, FakeClock(NOW), 4.5 * 86400)
    assert asyncio.run(kept.forget_due()) == 5
    assert [record.id for record in store.find()] == ["m0", "m1", "m2", "m3", "m4"]
    assert asyncio.run(kept.forget_due()) == 0
    store.close()
