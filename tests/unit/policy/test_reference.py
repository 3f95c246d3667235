"""docs/reference/policy.md says everything there is to write in a policy, and its examples load."""

import re
from dataclasses import fields
from pathlib import Path

import pytest
import yaml

from mailward.policy import DIRECTIONS, load_policy, schema
from mailward.policy.facts import CORE_FACTS, NOT_YET
from mailward.policy.match import FUNCTIONS
from support.small_plugins import PLUGINS, STAGES

REFERENCE = (Path(__file__).parents[3] / "docs/reference/policy.md").read_text()
EXAMPLES = re.findall(r"```yaml\n(.*?)```", REFERENCE, re.DOTALL)
SECTIONS = (
    schema.PolicyKeys,
    schema.PluginKeys,
    schema.ListKeys,
    schema.RuleKeys,
    schema.ScopeKeys,
    schema.ActionKeys,
    schema.MessageKeys,
    schema.TestKeys,
)
FACTS = {name for facts in CORE_FACTS.values() for name in facts}
KEYS = [{"scope": "for"}.get(key.name, key.name) for section in SECTIONS for key in fields(section)]


@pytest.mark.parametrize("word", sorted({*KEYS, *FACTS, *NOT_YET, *FUNCTIONS, *DIRECTIONS}))
def test_every_word_is_explained(word: str) -> None:
    assert re.search(rf"`[^`\n]*(?<![\w.]){re.escape(word)}(?!\w)[^`\n]*`", REFERENCE)


def test_the_examples_make_a_policy(tmp_path: Path) -> None:
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists/partners.txt").write_text("partner.example\n")
    whole: dict[str, object] = {}
    for example in EXAMPLES:
        whole |= yaml.safe_load(example)
    path = tmp_path / "inbound.yaml"
    path.write_text(yaml.safe_dump(whole, sort_keys=False))
    assert len(EXAMPLES) == 5
    assert all(result.passed for result in load_policy(path, PLUGINS, stages=STAGES).run_tests())
