"""Does one of these values match one of these keys? Match types and comparators (RFC 5228 sections 2.7.1 and 2.7.3)."""

from collections.abc import Callable, Iterable

from mailward.sieve.comparing import ALWAYS_THERE, COMPARATORS, Comparator
from mailward.sieve.running import Checking, Run, Shape, Step, TagRule
from mailward.sieve.text import Text
from mailward.sieve.wildcards import match_wildcards

MATCHING = (
    TagRule("comparator", takes=Shape.STRING),
    TagRule("is", "match-type"),
    TagRule("contains", "match-type"),
    TagRule("matches", "match-type"),
)
"""The tags of every test that compares."""

Matcher = Callable[[Run, str, str, Comparator], tuple[str, ...] | None]
"""From value and key to the match values, ${0} first; None where they do not match."""


def check_matching(checking: Checking, step: Step) -> None:
    """Is there such a comparator, and can it do what the match type wants?"""
    use = step.tags.get("comparator")
    if use is None:
        return
    name = use.strings[0].constant
    if name is None:
        checking.problem(use.place, "the comparator cannot be taken from a variable")
    elif name not in COMPARATORS:
        checking.problem(use.place, f"unknown comparator {name[:40]!r}; there are {', '.join(sorted(COMPARATORS))}")
    elif name not in ALWAYS_THERE and f"comparator-{name}" not in checking.extensions:
        checking.problem(use.place, f'the comparator {name} needs require "comparator-{name}" at the top')
    elif COMPARATORS[name].normal is None and match_type(step) in MATCHERS and match_type(step) != "is":
        checking.problem(use.place, f"the comparator {name} compares numbers, so it cannot be used with :{match_type(step)}")


def match_type(step: Step) -> str:
    use = step.tags.get("match-type")
    return use.name if use else "is"


def comparator(step: Step) -> Comparator:
    use = step.tags.get("comparator")
    return COMPARATORS[(use.strings[0].constant if use else None) or "i;ascii-casemap"]


def matches(run: Run, step: Step, values: Iterable[str], keys: tuple[Text, ...]) -> bool:
    """Whether any value matches any key. Values are made while they are needed."""
    compared, kind = comparator(step), match_type(step)
    matcher = MATCHERS[kind]
    wanted = run.texts(keys)
    for value in values:
        for key in wanted:
            run.look_through(len(value) + len(key))
            found = matcher(run, value, key, compared)
            if found is not None:
                if found and "variables" in run.scope.script.extensions:
                    run.match_values = found
                return True
    return False


def _is(run: Run, value: str, key: str, compared: Comparator) -> tuple[str, ...] | None:
    return () if compared.key(value) == compared.key(key) else None


def _contains(run: Run, value: str, key: str, compared: Comparator) -> tuple[str, ...] | None:
    assert compared.normal is not None
    return () if compared.normal(key) in compared.normal(value) else None


def _matches(run: Run, value: str, key: str, compared: Comparator) -> tuple[str, ...] | None:
    assert compared.normal is not None
    run.look_through(len(value) * (len(key) // 16))
    normal = compared.normal(value)
    spans = match_wildcards(compared.normal(key), normal)
    if spans is None:
        return None
    # Where the comparator changes lengths, what matched can only be told as it was compared.
    source = value if len(value) == len(normal) else normal
    return (source, *(source[start:end] for start, end in spans))


MATCHERS: dict[str, Matcher] = {"is": _is, "contains": _contains, "matches": _matches}
