"""One plugin alone: with those it needs, with the policy's settings where it has some, and without any server."""

from pathlib import Path

import pytest

from mailward.app.alone import config_of_nothing, filters_alone
from mailward.model.errors import ConfigError, PluginError

FILTER = """\
from dataclasses import dataclass
from mailward.api import Finding, Plugin, Settings, Symbol, hookimpl

@dataclass(frozen=True)
class Own(Settings):
    word: str = "none"

plugin = Plugin(api=1, summary="Says its word", settings=Own, symbols={"WORD": Symbol(1.0, "a word")}, capabilities=("body",))

@hookimpl
def inspect_message(message, settings):
    return Finding("WORD", settings.word)
"""


def test_those_it_needs_come_along(tmp_path: Path) -> None:
    filters = filters_alone(config_of_nothing(tmp_path), "dmarc")
    assert set(filters.policies) == {"inbound"}
    assert set(filters.policies["inbound"].plugins) == {"dmarc", "spf", "dkim"}


def test_a_policy_that_names_it_gives_it_its_settings_and_shadow_does_not_hide_it(tmp_path: Path) -> None:
    config = config_of_nothing(tmp_path)
    (tmp_path / "word.py").write_text(FILTER)
    assert filters_alone(config, "word").policies["inbound"].plugins["word"].settings.word == "none"  # type: ignore[attr-defined]
    (tmp_path / "inbound.yaml").write_text("version: 1\nplugins: {word: {word: said, mode: shadow}}\n")
    entry = filters_alone(config, "word").policies["inbound"].plugins["word"]
    assert (entry.settings.word, entry.mode) == ("said", "enforce")  # type: ignore[attr-defined]
    (tmp_path / "inbound.yaml").write_text("version: 1\nplugins: {word: {sentence: 1}}\n")
    with pytest.raises(ConfigError, match="sentence"):
        filters_alone(config, "word")


def test_a_file_that_could_be_dropped_in_needs_no_place_there(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir(mode=0o755)
    (tmp_path / "elsewhere/word.py").write_text(FILTER)
    filters = filters_alone(config_of_nothing(tmp_path), str(tmp_path / "elsewhere/word.py"))
    assert list(filters.policies["inbound"].plugins) == ["word"]


@pytest.mark.parametrize(("plugin", "words"), [("totp", "looks at no message: its hooks are"), ("spff", "Did you mean 'spf'")])
def test_what_cannot_be_scanned_with_says_why(tmp_path: Path, plugin: str, words: str) -> None:
    with pytest.raises(PluginError, match=words):
        filters_alone(config_of_nothing(tmp_path), plugin)
