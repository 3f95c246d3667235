"""The policies that have been in force are kept, each once while it holds."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mailward.decisions import versions as module
from mailward.decisions.versions import PolicyVersions
from mailward.model.decision import utc_text
from mailward.policy import Direction, Policy, load_policy

NOW = datetime(2026, 11, 2, 10, tzinfo=UTC)


def policies(folder: Path, junk: int) -> Mapping[Direction, Policy]:
    file = folder / "inbound.yaml"
    file.write_text(f"version: 1\nlimits: {{junk: {junk}}}\n")
    return {"inbound": load_policy(file, {})}


def test_a_version_is_one_row_until_another_holds(tmp_path: Path) -> None:
    kept = PolicyVersions(tmp_path / "policies.sqlite")
    for hours, junk in enumerate((4, 4, 5, 5, 4)):
        kept.note(policies(tmp_path, junk), NOW + timedelta(hours=hours))
    found = kept.of("inbound")
    assert [one.loaded_at for one in found] == [utc_text(NOW + timedelta(hours=hours)) for hours in (4, 2, 0)]
    assert found[0].hash == found[2].hash != found[1].hash
    assert found[1].file == b"version: 1\nlimits: {junk: 5}\n"
    assert kept.of("access") == ()
    kept.close()


def test_the_oldest_are_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_KEPT", 3)
    kept = PolicyVersions(tmp_path / "policies.sqlite")
    for junk in range(1, 9):
        kept.note(policies(tmp_path, junk), NOW)
    assert [one.file[-4:-2] for one in kept.of("inbound")] == [b" 8", b" 7", b" 6"]
    kept.close()
