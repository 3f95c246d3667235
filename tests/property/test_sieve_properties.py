"""Any octets are a script or a list of problems, and every script comes to an end with actions."""

import re

from hypothesis import given
from hypothesis import strategies as st

from mailward.formats.message import MessageView
from mailward.sieve import LANGUAGE, LIMITS, ScriptError, compile_script, evaluate
from mailward.sieve.arguments import Inner, Shape
from mailward.sieve.running import Word
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


_STRINGS = st.sampled_from(
    [
        *(
            "",
            "*",
            "a",
            "?*b",
            "${a}",
            "${1}",
            "\\\\Seen",
            "\\\\Junk",
            "${hex:ff}",
            "${hex:0d 0a}",
            "From",
            "to",
            "Received",
            "date",
            "year",
        ),
        *(
            "i;octet",
            "i;ascii-numeric",
            "gt",
            "eq",
            "a@example.com",
            "mailto:a@example.com?subject=b&c",
            "text/html",
            "+0100",
            "1",
        ),
        *(
            "INBOX",
            "A/b",
            "../a",
            "(a|b)*",
            "a{1000}",
            "[",
            "x" * 3000,
            "\u00fc\u20ac",
            "envelope",
            "iso8601",
            "global.a",
            "content-type",
        ),
    ]
).map(lambda text: f'"{text}"')
_NUMBERS = st.sampled_from(["0", "1", "2", "7", "100K", "18446744073709551615"])
_BY_SHAPE = {
    Shape.STRING: _STRINGS,
    Shape.NUMBER: _NUMBERS,
    Shape.STRINGS: st.one_of(_STRINGS, st.lists(_STRINGS, min_size=1, max_size=3).map(lambda found: f"[{', '.join(found)}]")),
}
_REQUIRE = f"require [{', '.join(f'{chr(34)}{name}{chr(34)}' for name in sorted(LANGUAGE.extensions - {'ihave'}))}];"


@st.composite
def _arguments(draw: st.DrawFn, word: Word, depth: int) -> str:
    """A command or test without its end: tags, arguments and tests of the kinds that it takes."""
    said = [word.name]
    for tag in draw(st.lists(st.sampled_from(word.tags), max_size=3, unique_by=lambda tag: tag.of_group)) if word.tags else ():
        said.append(f":{tag.name}")
        said += [draw(_BY_SHAPE[tag.takes])] if tag.takes else []
    first = draw(st.integers(0, word.optional))
    said += [draw(_BY_SHAPE[takes.shape]) for takes in word.takes[first:]]
    tests = st.sampled_from([test for test in LANGUAGE.tests.values() if depth < 3 or test.inner is Inner.NONE])
    if word.inner is Inner.ONE:
        said.append(draw(_arguments(draw(tests), depth + 1)))
    elif word.inner is Inner.LIST:
        found = [draw(_arguments(draw(tests), depth + 1)) for _ in range(draw(st.integers(1, 3)))]
        said.append(f"({', '.join(found)})")
    return " ".join(said)


@st.composite
def _commands(draw: st.DrawFn, depth: int = 0) -> str:
    """Commands that are nearly always sound."""
    said = []
    for _ in range(draw(st.integers(0, 4))):
        word = draw(st.sampled_from([one for one in LANGUAGE.commands.values() if depth < 3 or not one.has_block]))
        end = f" {{ {draw(_commands(depth + 1))} }}" if word.has_block else ";"
        said.append(draw(_arguments(word, depth)) + end)
    return "\n".join(said)


_PLAUSIBLE = _commands().map(lambda commands: f"{_REQUIRE}\n{commands}".encode())


@given(st.one_of(_PLAUSIBLE, st.binary(max_size=200), _TOKENS, _mutated()), st.one_of(st.just(MESSAGE), st.binary(max_size=200)))
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
