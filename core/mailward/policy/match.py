"""Conditions: CEL, checked when the policy is loaded, evaluated for each message.

The library compiles and evaluates. It knows neither our facts nor their types and has no cost limit, so this file reads the
condition's words itself: facts and lists must be declared, functions known, comprehensions not nested; then every part is tried
on sample values, because `a && b` would hide a wrong `b` behind a false `a`.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass

import cel

from mailward.formats.anomalies import ANOMALIES
from mailward.formats.nearest import nearest
from mailward.model.evidence import FactValue
from mailward.policy.anomaly_names import unknown_anomalies
from mailward.policy.facts import MAX_ITEMS, MAX_TEXT, NOT_YET, FactSpec, Vocabulary, known_in
from mailward.policy.needs import Needs, needs_of
from mailward.policy.stages import STAGES, Stage, latest
from mailward.policy.tokens import ConditionProblem, Token, tokens_of
from mailward.policy.variables import Variables, group, roots_of

MAX_CHARACTERS = 4000

MACROS = frozenset({"exists", "exists_one", "all", "filter", "map"})
FUNCTIONS = (
    frozenset({"contains", "startsWith", "endsWith", "matches", "size", "int", "double", "string", "listed", "has"}) | MACROS
)
_WORDS = frozenset({"true", "false", "null", "in"})


class ConditionFailed(Exception):
    """A condition could not be evaluated on these facts; the text says why."""


@dataclass(frozen=True, slots=True)
class Condition:
    """A compiled condition. names: the facts it reads; roots: their first words. stage: the first at which all of them are known.

    needs: facts that must have these values for it to be true. Most rules ask for something that most mail is not, so most
    conditions are answered by one comparison.
    """

    source: str
    program: cel.Program
    names: frozenset[str]
    roots: frozenset[str]
    stage: Stage
    needs: Needs = ()

    def holds(self, variables: Variables, known: Mapping[str, FactValue], cut: Set[str]) -> bool:
        """Raises ConditionFailed when it cannot be evaluated, or is no yes or no.

        known: the facts of `needs`, comparable. cut: the facts of which the variables hold only a part.
        """
        for name, value in self.needs:
            if known[name] != value:
                return False
        if cut and (unread := sorted(cut & self.names)):
            # A sender must not push out of sight what the rule looks for.
            raise ConditionFailed(f"{unread[0]} is longer than conditions read: {MAX_TEXT} characters, {MAX_ITEMS} items")
        try:
            result = self.program.execute(variables.context(self.roots))
        except (ValueError, TypeError, RuntimeError, LookupError, ArithmeticError) as error:
            raise ConditionFailed(first_line(error)) from error
        if isinstance(result, bool):
            return result
        raise ConditionFailed(f"the result is {result!r}, neither true nor false")


@dataclass(frozen=True, slots=True)
class _Words:
    """What a condition mentions. facts: dotted names in order. calls: (function, its first token's index in the token list)."""

    facts: tuple[tuple[str, int], ...]
    calls: tuple[tuple[str, int], ...]
    bound: frozenset[str]


def first_line(error: Exception) -> str:
    """The library's message without its general advice."""
    return str(error).partition("\n")[0].split(". CEL does not")[0].split(". Check ")[0]


def compile_condition(
    source: str, vocabulary: Vocabulary, lists: frozenset[str], listed: Callable[[object, object], bool]
) -> tuple[Condition | None, list[ConditionProblem]]:
    """The condition, or every problem found in it; neither when it reads facts of a plugin that may be missing and is.

    `listed` answers `.listed("name")` during the trial.
    """
    if len(source) > MAX_CHARACTERS:
        return None, [ConditionProblem(f"the condition has {len(source)} characters; at most {MAX_CHARACTERS} are read")]
    tokens, problem = tokens_of(source)
    if problem is not None:
        return None, [problem]
    try:
        program = cel.compile(source)
    except ValueError as error:
        return None, [_syntax_problem(error, source)]
    words = _words(tokens)
    problems = [
        *_nested(tokens, words),
        *_unknown_calls(tokens, words, lists),
        *_unknown_facts(tokens, words, vocabulary),
        *_unequal_types(tokens, words, vocabulary),
        *_unknown_symbols(tokens, vocabulary),
        *(ConditionProblem(f"no anomaly is called '{name}'", nearest(name, ANOMALIES)) for name in unknown_anomalies(source)),
    ]
    names = frozenset(name for name, _ in words.facts)
    if not problems and any(name.partition(".")[0] in vocabulary.missing for name in names):
        return None, []
    if not problems:
        problems += _trial(source, tokens, names, vocabulary, listed)
    if problems:
        return None, problems
    stage = latest(STAGES[0], *(vocabulary.facts[name].stage for name in names))
    return Condition(source, program, names, roots_of(names), stage, needs_of(tokens, vocabulary)), []


def _syntax_problem(error: ValueError, source: str) -> ConditionProblem:
    match = re.search(r"ERROR: <input>:(\d+):(\d+): (?:Syntax error: )?([^\n]*)", str(error))
    if match is None:
        return ConditionProblem("this is not a condition", f"It reads: {source}")
    unexpected = re.match(r"(?:mismatched|extraneous) input ('.*?') expecting", match[3])
    if unexpected is None:
        return ConditionProblem(f"this is not a condition: {match[3]} (character {match[2]})")
    what = "the end" if unexpected[1] == "'<EOF>'" else unexpected[1]
    return ConditionProblem(f"this is not a condition: {what} was not expected at character {match[2]}")


def _words(tokens: Sequence[Token]) -> _Words:
    bound = frozenset(
        tokens[i + 2].text
        for i, token in enumerate(tokens[:-2])
        if token.kind == "name" and token.text in MACROS and tokens[i + 1].text == "(" and tokens[i + 2].kind == "name"
    )
    facts: list[tuple[str, int]] = []
    calls: list[tuple[str, int]] = []
    index = 0
    while index < len(tokens):
        token = tokens[index]
        if token.kind != "name" or token.text in _WORDS:
            index += 1
            continue
        first, chain = index, [token.text]
        after_dot = index > 0 and tokens[index - 1].text == "."
        index += 1
        while index + 1 < len(tokens) and tokens[index].text == "." and tokens[index + 1].kind == "name":
            chain.append(tokens[index + 1].text)
            index += 2
        if index < len(tokens) and tokens[index].text == "(":
            calls.append((chain.pop(), index))
        if chain and not after_dot and chain[0] not in bound:
            facts.append((".".join(chain), first))
    return _Words(tuple(facts), tuple(calls), bound)


def _closing(tokens: Sequence[Token], opening: int) -> int:
    depth = 0
    for index in range(opening, len(tokens)):
        depth += (tokens[index].text in ("(", "[")) - (tokens[index].text in (")", "]"))
        if depth == 0:
            return index
    return len(tokens) - 1


def _nested(tokens: Sequence[Token], words: _Words) -> Iterator[ConditionProblem]:
    spans = [(opening, _closing(tokens, opening), name) for name, opening in words.calls if name in MACROS]
    for start, end, outer in spans:
        inner = next((name for opening, _, name in spans if start < opening < end), None)
        if inner is not None:
            yield ConditionProblem(f"{inner}() stands inside {outer}(): the work would grow with the square of a list's length")


def _unknown_calls(tokens: Sequence[Token], words: _Words, lists: frozenset[str]) -> Iterator[ConditionProblem]:
    for name, opening in words.calls:
        argument = tokens[opening + 1] if opening + 1 < len(tokens) else tokens[opening]
        if name not in FUNCTIONS:
            known = f"Functions: {', '.join(sorted(FUNCTIONS))}."
            yield ConditionProblem(f"no function is called '{name}'", f"{nearest(name, FUNCTIONS)} {known}".strip())
        elif name in ("listed", "matches") and (argument.kind != "text" or _closing(tokens, opening) != opening + 2):
            yield ConditionProblem(f"{name}() takes one text in quotes")
        elif name == "listed" and (wanted := argument.literal) not in lists:
            hint = nearest(wanted, lists) or (
                f"Lists: {', '.join(sorted(lists))}." if lists else "This policy has no `lists:` yet."
            )
            yield ConditionProblem(f"no list is called '{wanted}'", hint)


def _unknown_facts(tokens: Sequence[Token], words: _Words, vocabulary: Vocabulary) -> Iterator[ConditionProblem]:
    for name in dict.fromkeys(name for name, _ in words.facts):
        yield from unknown_fact(name, vocabulary)
    for name, index in words.facts:
        following = index + 2 * name.count(".") + 1
        if following < len(tokens) and tokens[following].text == "[":
            yield ConditionProblem(f"'{name}[...]' may not be there and would fail", "Use `in` or exists().")
    for name in words.bound & vocabulary.roots:
        yield ConditionProblem(f"'{name}' is the name of a fact and cannot be used inside a comprehension")


def unknown_fact(name: str, vocabulary: Vocabulary) -> Iterator[ConditionProblem]:
    """What is wrong with the name of a fact; nothing when it is declared."""
    root, dot, _ = name.partition(".")
    if name in vocabulary.facts or root in vocabulary.missing:
        return
    elsewhere = known_in(name)
    if name in NOT_YET:
        yield ConditionProblem(f"the fact '{name}' is not available yet")
    elif elsewhere:
        direction = vocabulary.direction
        hint = f"It is known in {' and '.join(elsewhere)}."
        yield ConditionProblem(f"the fact '{name}' is not known in {direction}", hint)
    elif not dot and root in vocabulary.roots:
        yield ConditionProblem(f"'{name}' is a group of facts, not a fact", f"Facts: {', '.join(vocabulary.members(root))}.")
    else:
        hint = nearest(name, vocabulary.facts)
        members = vocabulary.members(root)
        if members:
            hint = f"{hint} Facts: {', '.join(members)}.".strip()
        elif not hint:
            hint = "A plugin's facts exist when `plugins:` names it."
        yield ConditionProblem(f"no fact is called '{name}'", hint)


def _unequal_types(tokens: Sequence[Token], words: _Words, vocabulary: Vocabulary) -> Iterator[ConditionProblem]:
    """`dmarc.result == 1` is false for ever and no evaluation would say so."""
    for name, index in words.facts:
        spec = vocabulary.facts.get(name)
        after = index + 2 * name.count(".") + 1
        if spec is None:
            continue
        pairs = [(after, after + 1, after + 2), (index - 1, index - 2, index - 3)]
        for sign, other, beyond in pairs:
            if not (0 <= sign < len(tokens) and 0 <= other < len(tokens) and tokens[sign].text in ("==", "!=")):
                continue
            if 0 <= beyond < len(tokens) and tokens[beyond].text in (".", "+", "-", "*", "/", "%"):
                continue
            kind = _literal_kind(tokens[other])
            if kind is not None and kind != _kind(spec):
                yield ConditionProblem(f"'{name}' is {spec.type_name} and can never equal {tokens[other].text}")


def _literal_kind(token: Token) -> str | None:
    if token.kind in ("text", "number"):
        return token.kind
    if token.text in ("true", "false"):
        return "bool"
    return "null" if token.text == "null" else None


def _kind(spec: FactSpec) -> str:
    if isinstance(spec.default, bool):
        return "bool"
    if isinstance(spec.default, str):
        return "text"
    return "list" if isinstance(spec.default, tuple) else "number"


def _unknown_symbols(tokens: Sequence[Token], vocabulary: Vocabulary) -> Iterator[ConditionProblem]:
    for text, word, target in zip(tokens, tokens[1:], tokens[2:], strict=False):
        if text.kind == "text" and word.text == "in" and target.text == "symbols":
            name = text.literal
            if name not in vocabulary.symbols:
                yield ConditionProblem(f"no symbol is called '{name}'", nearest(name, vocabulary.symbols))


def _leaves(tokens: Sequence[Token]) -> Iterator[Sequence[Token]]:
    """The parts between &&, ||, ?, : and brackets around such parts."""
    start = depth = 0
    parts: list[Sequence[Token]] = []
    for index, token in enumerate(tokens):
        depth += (token.text in ("(", "[")) - (token.text in (")", "]"))
        if depth == 0 and token.text in ("&&", "||", "?", ":") and token.kind == "sign":
            parts.append(tokens[start:index])
            start = index + 1
    parts.append(tokens[start:])
    for part in parts:
        while part and part[0].text == "!":
            part = part[1:]
        if part and part[0].text == "(" and _closing(part, 0) == len(part) - 1:
            yield from _leaves(part[1:-1])
        elif part:
            yield part


def _trial(
    source: str, tokens: Sequence[Token], names: Iterable[str], vocabulary: Vocabulary, listed: Callable[[object, object], bool]
) -> list[ConditionProblem]:
    variables = Variables(
        group({name: spec.default for name, spec in vocabulary.facts.items() if name in set(names)}),
        {name: spec.sample for name, spec in vocabulary.facts.items()},
        listed,
    )
    context = variables.context(roots_of(names))
    problems = []
    for leaf in _leaves(tokens):
        part = source[leaf[0].start : leaf[-1].end]
        try:
            result = cel.compile(part).execute(context)
        except (ValueError, TypeError, RuntimeError, LookupError, ArithmeticError) as error:
            problems.append(ConditionProblem(f"'{part}' cannot be evaluated: {first_line(error)}"))
            continue
        if not isinstance(result, bool):
            problems.append(ConditionProblem(f"'{part}' is {_result_name(result)}; a condition must be true or false"))
    return problems


def _result_name(result: object) -> str:
    if isinstance(result, str):
        return "text"
    return "a number" if isinstance(result, (int, float)) else "a list" if isinstance(result, list) else "something else"
