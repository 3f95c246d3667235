"""What is older than it is to be kept goes, file and all, and `explain` says so."""

from datetime import timedelta
from pathlib import Path

import pytest

from mailward.delivery import expiring as module
from mailward.delivery.expiring import Expiry, expires_at
from mailward.testing.fakes import FakeClock
from support.releasing import Place
from support.spooling import NOW

DAY_S = 86400.0


async def test_old_mail_is_dropped_in_steps_and_the_rest_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AT_ONCE", 2)
    monkeypatch.setattr(module, "PAUSE_S", 0.0)
    place, clock = Place(tmp_path), FakeClock(NOW)
    kept = [place.hold() for _ in range(5)]
    expiry = Expiry(place.quarantine, place.release, clock, 30 * DAY_S)
    due_at = max(expires_at(held, 30 * DAY_S) for held in kept)
    clock.set(due_at - timedelta(days=1))
    assert await expiry.drop_due() == 0 and len(place.quarantine.list()) == 5
    clock.set(due_at + timedelta(seconds=1))
    assert await expiry.drop_due() == 5
    assert place.quarantine.list() == () and not list((tmp_path / "quarantine").glob("*.eml"))
    assert [place.events(held) for held in kept] == [["dropped from quarantine, where it was kept for 30d"]] * 5
    assert await expiry.drop_due() == 0
    await place.close()
