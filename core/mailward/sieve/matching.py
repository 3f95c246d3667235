"""Does one of these values match one of these keys? Match types and comparators (RFC 5228 sections 2.7.1 and 2.7.3)."""

import operator
from collections.abc import Callable, Iterable
from typing import Any

from mailward.sieve.arguments import Shape, TagRule
from mailward.sieve.comparing import ALWAYS_THERE, COMPARATORS, Comparator
from mailward.sieve.endings import RunProblem
from mailward.sieve.lists import list_name, listed
from mailward.sieve.regexes import RegexError, check_regex, cost_of_regex, search_regex
from mailward.sieve.running import Checking, Run, Step
from mailward.sieve.text import Text
from mailward.sieve.wildcards import match_wildcards

MATCHING = (
    TagRule("comparator", takes=Shape.STRING),
    TagRule("is", "match-type"),
    TagRule("contains", "match-type"),
    TagRule("matches", "match-type"),
    TagRule("regex", "match-type", extension="regex"),
    TagRule("count", "match-type", Shape.STRING, "relational"),
    TagRule("value", "match-type", Shape.STRING, "relational"),
    TagRule("list", "match-type", extension="extlists"),
)
"""The tags of every test that compares."""

_COMPARISON_CHARACTERS = 32
"""What each comparison costs beside its text."""
_PATTERN_CHARACTERS = 32
"""What a character of a key with wildcards costs, which is made a pattern each time."""
_ANY_CHARACTER = 4
"""How much more each "?" makes every character of the text cost."""
Matcher = Callable[[Run, str, str, Comparator], tuple[str, ...] | None]
"""From value and key to the match values, ${0} first; None where they do not match."""


_RELATIONS: dict[str, Callable[[Any, Any], bool]] = {
    "gt": operator.gt,
    "ge": operator.ge,
    "lt": operator.lt,
    "le": operator.le,
    "eq": operator.eq,
    "ne": operator.ne,
}
"""RFC 5231 section 3."""


def check_matching(checking: Checking, step: Step) -> None:
    """Is there such a comparator, and can it do what the match type wants? Are relations and expressions sound?"""
    _check_comparator(checking, step)
    kind = step.tags.get("match-type")
    if kind is not None and kind.value is not None:
        relation = kind.strings[0].constant
        if relation is None or relation.lower() not in _RELATIONS:
            checking.problem(kind.place, f"the tag ':{kind.name}' wants one of {', '.join(_RELATIONS)} after it")
    check_key = None if kind is None else {"regex": _check_expression, "list": check_list}.get(kind.name)
    if check_key is not None and step.values:
        for key in step.strings(len(step.values) - 1):
            check_key(checking, key)


def check_list(checking: Checking, name: Text) -> None:
    """Is this the URI of a list? Whether there is such a list is known when the script runs."""
    if name.constant is not None and list_name(name.constant) is None:
        text = f"{name.constant[:60]!r} names no list; write a URI such as 'tag:example.org,2026:partners'"
        checking.problem(name.place, text)


def _check_expression(checking: Checking, key: Text) -> None:
    if key.constant is None:
        return
    try:
        check_regex(key.constant)
    except RegexError as error:
        checking.problem(key.place, f"{key.constant[:40]!r} is no regular expression that can be used: {error}")


def _check_comparator(checking: Checking, step: Step) -> None:
    use = step.tags.get("comparator")
    if use is None:
        return
    name = use.strings[0].constant
    if match_type(step) == "list":
        checking.problem(use.place, "a comparator cannot be used with :list; lists compare in their own way")
    elif name is None:
        checking.problem(use.place, "the comparator cannot be taken from a variable")
    elif name not in COMPARATORS:
        checking.problem(use.place, f"unknown comparator {name[:40]!r}; there are {', '.join(sorted(COMPARATORS))}")
    elif name not in ALWAYS_THERE and f"comparator-{name}" not in checking.extensions:
        checking.problem(use.place, f'the comparator {name} needs require "comparator-{name}" at the top')
    elif COMPARATORS[name].normal is None and match_type(step) in _OF_TEXT:
        checking.problem(use.place, f"the comparator {name} compares numbers, so it cannot be used with :{match_type(step)}")


def match_type(step: Step) -> str:
    use = step.tags.get("match-type")
    return use.name if use else "is"


def comparator(step: Step) -> Comparator:
    use = step.tags.get("comparator")
    return COMPARATORS[(use.strings[0].constant if use else None) or "i;ascii-casemap"]


def matches(run: Run, step: Step, values: Iterable[str], keys: tuple[Text, ...], *, sets_values: bool = True) -> bool:
    """Whether any value matches any key. Values are made while they are needed. sets_values: a match sets ${0} and the others."""
    return matches_texts(run, step, values, run.texts(keys), sets_values=sets_values)


def matches_texts(run: Run, step: Step, values: Iterable[str], keys: list[str], *, sets_values: bool = True) -> bool:
    """The same with keys that are known already."""
    compared, kind = comparator(step), match_type(step)
    if kind == "list":
        value = listed(run, values, keys)
        if value is not None and sets_values and "variables" in run.scope.script.extensions:
            run.match_values = (value,)
        return value is not None
    if kind == "count":
        values = (str(sum(1 for _ in values)),)
    if kind in ("count", "value"):
        relation = _RELATIONS[(step.tags["match-type"].strings[0].constant or "").lower()]
        wanted = [compared.key(key) for key in keys]
        values = list(values)
        run.spending.look_through(sum(_cost(value, compared) for value in values) * len(keys))
        return any(relation(compared.key(value), key) for value in values for key in wanted)
    matcher = MATCHERS[kind]
    for value in values:
        for key in keys:
            run.spending.look_through(_cost(value, compared) + _cost(key, compared))
            found = matcher(run, value, key, compared)
            if found is not None:
                if found and sets_values and "variables" in run.scope.script.extensions:
                    run.match_values = found
                return True
    return False


def _cost(text: str, compared: Comparator) -> int:
    return len(text) * (1 if text.isascii() else compared.weight) + _COMPARISON_CHARACTERS // 2


def _is(run: Run, value: str, key: str, compared: Comparator) -> tuple[str, ...] | None:
    return () if compared.key(value) == compared.key(key) else None


def _contains(run: Run, value: str, key: str, compared: Comparator) -> tuple[str, ...] | None:
    assert compared.normal is not None
    return () if compared.normal(key) in compared.normal(value) else None


def _matches(run: Run, value: str, key: str, compared: Comparator) -> tuple[str, ...] | None:
    assert compared.normal is not None
    if len(key) > run.limits.pattern_characters:
        raise RunProblem(f"a key with wildcards is longer than {run.limits.pattern_characters} characters")
    cost = len(key) // 16 + _ANY_CHARACTER * key.count("?")
    run.spending.look_through(4 * _COMPARISON_CHARACTERS + len(value) * cost + _PATTERN_CHARACTERS * len(key))
    normal = compared.normal(value)
    spans = match_wildcards(compared.normal(key), normal)
    if spans is None:
        return None
    # Where the comparator changes lengths, what matched can only be told as it was compared.
    source = value if len(value) == len(normal) else normal
    return (source, *(source[start:end] for start, end in spans))


def _regex(run: Run, value: str, key: str, compared: Comparator) -> tuple[str, ...] | None:
    try:
        run.spending.look_through(len(value) * cost_of_regex(key))
        return search_regex(key, value, ignores_case=compared is not COMPARATORS["i;octet"])
    except RegexError as error:
        raise RunProblem(f"{key[:40]!r} is no regular expression that can be used: {error}") from None


MATCHERS: dict[str, Matcher] = {"is": _is, "contains": _contains, "matches": _matches, "regex": _regex}
_OF_TEXT = ("contains", "matches", "regex")
"""These cannot be done with numbers."""
