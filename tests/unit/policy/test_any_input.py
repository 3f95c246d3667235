"""Whatever stands in a policy file or a condition: a value or Problems, never an exception (T-PLUG-08)."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailward.formats.yaml_nodes import parse
from mailward.model.errors import PolicyError
from mailward.policy import load_policy
from mailward.policy.facts import Vocabulary
from mailward.policy.match import compile_condition
from support.small_plugins import PLUGINS, STAGES

VOCABULARY = Vocabulary("inbound", PLUGINS, STAGES)
WORDS = st.sampled_from(
    [
        "(",
        ")",
        "[",
        "]",
        "!",
        "&&",
        "||",
        "?",
        ":",
        "==",
        "!=",
        "<",
        ">",
        "in",
        ",",
        ".",
        "+",
        "-",
        "*",
        "/",
        "%",
        "true",
        "null",
        "1",
        "1u",
        "0x1",
        ".5",
        "'a'",
        '"a"',
        "r'\\'",
        "'''",
        "score",
        "symbols",
        "antivirus",
        "infected",
        "name",
        "author",
        "domain",
        '.listed("l")',
        ".exists(x,",
        ".matches('(')",
        "size(",
        "has(",
        "int(",
        "x",
        "message.anomalies",
        "spam.probability",
        "//",
        "{",
        "}",
        "\\",
        "#",
        "é",
    ]
)
PIECES = st.sampled_from(
    [
        "version: 1\n",
        "rules:\n",
        "  - ",
        "{name: a, ",
        "when: ",
        "then: reject",
        "}",
        "]",
        "[",
        "&a ",
        "*a",
        "!!str ",
        "? ",
        "- ",
        ": ",
        "plugins: ",
        "spam",
        "limits: ",
        "junk: ",
        "5",
        ".nan",
        "~",
        "'",
        '"',
        "#",
        "|\n",
        ">\n",
        "<<: ",
        "\n",
        "  ",
        "lists: ",
        "tests:\n",
        "overrides:\n",
        "for: ",
        "recipient: ",
        "do: ",
        "score: ",
        "given: ",
        "expect: ",
        "message: ",
        "rcpt: ",
        "a@b",
        "extends: mailward/inbound\n",
    ]
)


@settings(max_examples=400, deadline=None)
@given(st.one_of(st.text(max_size=60), st.lists(WORDS, max_size=14).map(" ".join), st.lists(WORDS, max_size=14).map("".join)))
def test_any_condition_is_compiled_or_explained(source: str) -> None:
    condition, problems = compile_condition(source, VOCABULARY, frozenset({"l"}), lambda value, name: True)
    assert (condition is None) == bool(problems)


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.binary(max_size=60), st.lists(PIECES, max_size=30).map(lambda pieces: "".join(pieces).encode())))
def test_any_octets_are_parsed_or_explained(octets: bytes) -> None:
    root, problems = parse(octets, "x.yaml")
    for problem in problems:
        file, line, column = problem.where.rsplit(":", 2)
        assert (file, int(line) > 0, int(column) > 0) == ("x.yaml", True, True)
    if root is not None:
        root.plain()


@settings(max_examples=200, deadline=None)
@given(st.lists(PIECES, max_size=30).map("".join))
def test_any_file_loads_or_is_a_policy_error(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path: Path = tmp_path_factory.getbasetemp() / "inbound.yaml"
    path.write_text("version: 1\n" + text)
    try:
        load_policy(path, PLUGINS, stages=STAGES)
    except PolicyError as error:
        assert error.problems
