"""What `mailward plugins` is told of plugins and of the policies that enable them."""

from pathlib import Path

import pytest

from mailward.app.config import load_config
from mailward.app.filters import known_plugin, known_plugins
from mailward.formats.duration import duration_text, parse_duration
from support.installation import installation


def test_a_wrong_policy_is_named_and_the_others_still_count(tmp_path: Path) -> None:
    config = load_config(installation(tmp_path))
    found, wrong = known_plugins(config)
    assert wrong == ()
    assert "inbound" in next(one for one in found if one.name == "antivirus").modes
    (tmp_path / "policies/inbound.yaml").write_text("version: 1\nextends: mailward/inbound\nruls: []\n")
    found, wrong = known_plugins(config)
    assert wrong == ("inbound",)
    assert set(next(one for one in found if one.name == "antivirus").modes) == {"submission"}


def test_types_and_defaults_are_in_the_words_of_a_policy(tmp_path: Path) -> None:
    config = load_config(installation(tmp_path))
    spf, _ = known_plugin(config, "spf")
    assert spf is not None
    assert dict(spf.facts)["result"] == "text" == dict(spf.facts)["status"]
    assert dict(spf.settings)["time_limit"] == "20s"
    guard, _ = known_plugin(config, "login_guard")
    assert guard is not None and dict(guard.facts)["names"] == "a whole number"
    assert dict(guard.settings) == {"names": "20", "window": "1h", "trusted": "[]"}


@pytest.mark.parametrize("text", ["20s", "500ms", "90s", "2h", "7d", "36h", "1.5s", "0s"])
def test_a_duration_is_written_as_a_policy_reads_it(text: str) -> None:
    duration = parse_duration(text)
    assert parse_duration(duration_text(duration)) == duration
