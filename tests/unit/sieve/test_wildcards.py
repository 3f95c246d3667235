"""Patterns of wildcards against regular expressions that say the same, across the steps in which text is looked through."""

import re

import pytest

from mailward.sieve import wildcards
from mailward.sieve.wildcards import match_wildcards


@pytest.mark.parametrize("pattern", ["*?b*", "*a??b*", "*??", "?*b?*", "*?*b*?", "*?b"])
@pytest.mark.parametrize("text", ["", "b", "aab", "xxaxxbxaxxb", "aaaaaaaaaaaab", "bbbbb", "a" * 30])
@pytest.mark.parametrize("steps", [1, 2, 7])
def test_the_step_changes_nothing(pattern: str, text: str, steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wildcards, "_STEPS_AT_ONCE", steps)
    expression = "".join({"*": "(.*?)", "?": "(.)"}.get(one, re.escape(one)) for one in pattern)
    found = re.fullmatch(expression, text, re.DOTALL)
    spans = match_wildcards(pattern, text)
    assert (spans is None) == (found is None)
    if found is not None and spans is not None:
        assert spans == [found.span(number) for number in range(1, len(found.groups()) + 1)]
