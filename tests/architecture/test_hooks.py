"""A hook ships with its documentation, its call site and a bundled plugin that uses it, never before."""

import inspect
import re
from pathlib import Path

import pytest

from mailward.api import hooks
from mailward.api.hooks import PROJECT
from mailward.pipeline.plugins import PluginHost
from mailward.pipeline.stages import PLACES
from mailward.testing import hookpage

ROOT = Path(__file__).parents[2]
SPECIFICATIONS = sorted(
    name for name, value in vars(hooks).items() if inspect.isfunction(value) and hasattr(value, f"{PROJECT}_spec")
)
BUNDLED = sorted(f.name for f in (ROOT / "plugins" / "mailward_plugins").iterdir() if (f / "__init__.py").exists())


def test_the_table_of_stages_holds_every_hook() -> None:
    assert sorted(PLACES) == SPECIFICATIONS


@pytest.mark.parametrize("hook", SPECIFICATIONS)
def test_a_specification_answers_the_same_questions_in_the_same_order(hook: str) -> None:
    answers = hookpage.answers(hook)
    assert list(answers) == ["Stage", "Return", "On error", "Used by", "Since"]
    assert answers["Stage"].startswith(PLACES[hook].stage)
    assert answers["Since"].startswith("API ")


@pytest.mark.parametrize("hook", SPECIFICATIONS)
def test_a_hook_has_a_call_site(hook: str) -> None:
    callers = [
        file.name
        for file in (ROOT / "core" / "mailward" / "pipeline").glob("*.py")
        if file.name != "stages.py" and f'"{hook}"' in file.read_text(encoding="utf-8")
    ]
    assert callers


def test_a_hook_is_used_by_the_bundled_plugins_it_names_and_no_others() -> None:
    host = PluginHost()
    implemented = {name: set(host.load(name).implementations) for name in BUNDLED}
    for hook in SPECIFICATIONS:
        assert set(hookpage.users(hook)) == {name for name in BUNDLED if hook in implemented[name]}, hook


@pytest.mark.parametrize("hook", SPECIFICATIONS)
def test_the_reference_page_holds_every_word_of_a_specification(hook: str) -> None:
    section = hookpage.page().split(f"\n## {hook}\n")[1].split("\n## ")[0].split("```")[2]
    assert re.sub(r"- \*\*(.+?:)\*\*", r"\1", section).split() == (getattr(hooks, hook).__doc__ or "").split()


def test_the_reference_page_is_up_to_date() -> None:
    written = (ROOT / "docs" / "reference" / "hooks.md").read_text(encoding="utf-8")
    assert written == hookpage.page(), "write it again: python -m mailward.testing.hookpage > docs/reference/hooks.md"
