"""The journal of retro-actions."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from mailward.decisions.retro import Order, RetroLog

NOW = datetime(2026, 11, 28, 14, 39, 2, tzinfo=UTC)


def test_what_is_undone_twice_was_undone_the_first_time(tmp_path: Path) -> None:
    log = RetroLog(tmp_path / "retro.sqlite")
    retro = log.begin(Order("admin", "inbound", "true", "", "tag", "$Phishing"), NOW)
    for later in (1, 4):
        log.undone(retro, NOW + timedelta(minutes=later))
    found = log.get(retro.number)
    assert found is not None and found.undone_at == "2026-11-28T14:40:02.000Z"
    log.close()
