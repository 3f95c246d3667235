"""Any octets are a script or a list of problems, and every script comes to an end with actions."""

import re

from hypothesis import given
from hypothesis import strategies as st

from mailward.formats.message import MessageView
from mailward.sieve import LANGUAGE, LIMITS, ScriptError, compile_script, evaluate
from mailward.sieve.wildcards import match_wildcards, quoted
from support.sieve import MESSAGE, WORLD
from support.sieve_cases import CASES

_WORDS = sorted({*LANGUAGE.commands, *LANGUAGE.tests, *(f":{tag.name}" for word in LANGUAGE.tests.values() for tag in word.tags)})
_PIECES = st.one_of(
    st.sampled_from([*_WORDS, *"[](){};,", '"', "text:\n", "\n.\n", "/*", "*/", "#", "\\", "${a}", "${hex:ff}", "10K", "9" * 30]),
    st.sampled_from(["require", *(f'"{name}"' for name in sorted(LANGUAGE.extensions))]),
    st.text(max_size=5),
)
_TOKENS = st.lists(_PIECES, max_size=60).map(lambda pieces: " ".join(pieces).encode("utf-8", "surrogatepass"))


@st.composite
def _mutated(draw: st.DrawFn) -> bytes:
    """A sound script with a piece of it replaced."""
    script = draw(st.sampled_from(CASES)).script
    start = draw(st.integers(0, len(script)))
    end = draw(st.integers(start, min(len(script), start + 8)))
    return (script[:start] + draw(_PIECES) + script[end:]).encode("utf-8", "surrogatepass")


@given(st.one_of(st.binary(max_size=200), _TOKENS, _mutated()), st.one_of(st.just(MESSAGE), st.binary(max_size=200)))
def test_any_octets_give_problems_or_actions(octets: bytes, message: bytes) -> None:
    try:
        script = compile_script(octets, LANGUAGE)
    except ScriptError as error:
        assert error.problems
        assert all(problem.place.line > 0 and problem.place.column > 0 and "\n" not in problem.text for problem in error.problems)
        return
    outcome = evaluate(script, MessageView(message), WORLD)
    assert outcome.actions
    assert len(outcome.actions) <= LIMITS.actions + 1


@given(st.text("ab*?\\", max_size=12), st.text("ab*?\\", max_size=12))
def test_what_is_quoted_matches_itself_only(pattern: str, text: str) -> None:
    assert (match_wildcards(quoted(pattern), text) is not None) == (pattern == text)


@given(st.lists(st.sampled_from(["a", "b", "*", "?"]), max_size=8), st.text("ab", max_size=10))
def test_wildcards_match_as_an_expression_does(pattern: list[str], text: str) -> None:
    found = re.fullmatch("".join({"*": "(.*?)", "?": "(.)"}.get(sign, sign) for sign in pattern), text)
    assert match_wildcards("".join(pattern), text) == (
        found and [found.span(group) for group in range(1, len(found.groups()) + 1)]
    )
