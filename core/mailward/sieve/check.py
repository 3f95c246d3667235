"""Does a script keep to the language, and what are its steps? (RFC 5228 sections 2.7 to 2.10, 3.2)

All that is wrong is told at once. Of a script that cannot be read as a whole the commands that can are checked, but not their
place, which may be right by what was not read. Where a quote is missing nobody knows which one, so no command is checked.
"""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from difflib import get_close_matches
from operator import attrgetter

from mailward.model.errors import MailwardError
from mailward.sieve.arguments import Inner, Shape, TagRule, TagUse, Value
from mailward.sieve.endings import RunProblem
from mailward.sieve.limits import Limits
from mailward.sieve.parser import parse
from mailward.sieve.problems import Enough, Place, Problem, Problems
from mailward.sieve.running import Checking, Command, Language, Run, Script, Step, Test, Word
from mailward.sieve.text import Text, read_text
from mailward.sieve.tree import Argument, Node, Number, Strings, Tag


class ScriptError(MailwardError):
    """A script that cannot be run. problems: all that is wrong with it, at least one."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = tuple(problems)


def checked_script(octets: bytes, language: Language, limits: Limits) -> Script:
    """The script that these octets are, without a name. Raises ScriptError, for any octets that are none."""
    problems = Problems()
    checker = _Checker(language, problems, limits)
    with suppress(Enough):
        script = _decoded(octets, problems, limits)
        nodes = parse(script, problems, limits) if not problems.found else ()
        checker.is_whole = not problems.found
        steps = checker.commands(nodes, is_top=True) if not problems.hide_others else ()
    if problems.found:
        raise ScriptError(sorted(problems.found, key=attrgetter("place")))
    return Script("", steps, frozenset(checker.extensions))


def _decoded(octets: bytes, problems: Problems, limits: Limits) -> str:
    if len(octets) > limits.script_octets:
        problems.add(Place(1, 1), f"the script is larger than {limits.script_octets} octets")
        return ""
    if b"\0" in octets:
        problems.add(_place(octets, octets.index(b"\0")), "the script holds a NUL")
        return ""
    try:
        return octets.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # RFC 5228 section 2.1: scripts are UTF-8.
        problems.add(_place(octets, error.start), f"the octet 0x{octets[error.start]:02X} is no UTF-8")
        return ""


def _place(octets: bytes, offset: int) -> Place:
    line_start = octets.rfind(b"\n", 0, offset) + 1
    return Place(octets.count(b"\n", 0, offset) + 1, len(octets[line_start:offset].decode("utf-8", "replace")) + 1)


_IMPLIED = {"vacation-seconds": ("vacation",), "spamtestplus": ("spamtest",)}
"""What an extension brings with it (RFC 6131 section 2, RFC 5235 section 3.3)."""
_DEFERRED = "?"
"""The name of a word that is not there."""


class _Wrong(Exception):
    """The command or test is wrong; its problem has been told."""


class _Checker(Checking):
    def __init__(self, language: Language, problems: Problems, limits: Limits) -> None:
        super().__init__(language, problems, limits)
        self._requires = self.is_whole = True

    def commands(self, nodes: tuple[Node, ...], *, is_top: bool = False) -> tuple[Step, ...]:
        """The steps of a block. An elsif or else belongs to the if before it."""
        steps: list[tuple[Step, list[Step]]] = []
        may_follow = False
        for node in nodes:
            if node.name == "require":
                self._require(node, is_top=is_top)
                may_follow = False
                continue
            self._requires = False
            step = self._command(node)
            if node.name in ("elsif", "else"):
                if not may_follow and self.is_whole:
                    self.problem(node.place, f"the {node.name} command has to follow an if or elsif command")
                elif may_follow and step is not None and steps:
                    steps[-1][1].append(step)
                may_follow = node.name == "elsif"
            else:
                may_follow = node.name == "if"
                if step is not None:
                    steps.append((step, []))
        return tuple(replace(step, chain=tuple(chain)) if chain else step for step, chain in steps)

    def _require(self, node: Node, *, is_top: bool) -> None:
        """RFC 5228 section 3.2."""
        if self.is_whole and not (is_top and self._requires):
            self.problem(node.place, "require may only stand at the top of the script, before every other command")
            return
        if len(node.arguments) != 1 or not isinstance(names := node.arguments[0], Strings):
            self.problem(node.place, "the require command takes one string list: the names of extensions")
            return
        if node.tests and not node.has_list and node.tests[0].name not in self.language.tests:
            self.problem(node.tests[0].place, "missing semicolon ';' after the require command")
        elif node.tests or node.block is not None:
            self.problem(node.place, "the require command accepts no tests and no block")
            return
        for name in names.values:
            if name in self.language.extensions:
                self.extensions |= {name, *_IMPLIED.get(name, ())}
            else:
                self.problem(names.place, f"unknown extension {name[:60]!r}{_near(name, self.language.extensions)}")

    def _command(self, node: Node) -> Step | None:
        """None where there is a problem; the block is looked at in any case."""
        word = self.language.commands.get(node.name)
        try:
            step = self._step(node, word) if word is not None else self._unknown(node, "command")
        except _Wrong:
            step = None
        if step is not None and step.word.name == _DEFERRED:
            return step
        if word is not None and word.has_block != (node.block is not None):
            told = "needs a block" if word.has_block else "accepts no block"
            self.problem(node.place, f"the {node.name} command {told}")
        block = self.commands(node.block) if node.block is not None else ()
        return replace(step, block=block) if step is not None else None

    def _test(self, node: Node) -> Step:
        word = self.language.tests.get(node.name)
        return self._step(node, word) if word is not None else self._unknown(node, "test")

    def _unknown(self, node: Node, kind: str) -> Step:
        other, others = ("test", self.language.tests) if kind == "command" else ("command", self.language.commands)
        known = self.language.commands if kind == "command" else self.language.tests
        if node.name in others and node.name not in known:
            raise self._wrong(node.place, f"cannot use {other} '{node.name}' as a {kind}")
        return self._deferred(node, kind == "command", f"unknown {kind} '{node.name}'{_near(node.name, known)}")

    def _deferred(self, node: Node, is_command: bool, text: str) -> Step:
        """A word that is not there: with ihave, only who comes to it has a problem (RFC 5463 section 4)."""
        if "ihave" not in self.extensions:
            raise self._wrong(node.place, text)

        def holds(run: Run, step: Step) -> bool:
            raise RunProblem(text, step.place)

        def do(run: Run, step: Step) -> None:
            raise RunProblem(text, step.place)

        return Step(Command(_DEFERRED, do=do) if is_command else Test(_DEFERRED, holds=holds), node.place)

    def _wrong(self, place: Place, text: str) -> _Wrong:
        self.problem(place, text)
        return _Wrong()

    def _step(self, node: Node, word: Word) -> Step:
        """The step without its block. Raises _Wrong after the first problem of the node itself; each test in it is looked at."""
        called = f"{word.name} {'command' if isinstance(word, Command) else 'test'}"
        if word.extension and word.extension not in self.extensions:
            return self._deferred(node, isinstance(word, Command), f'the {called} needs require "{word.extension}" at the top')
        tags, values = self._arguments(node, word, called)
        tests = self._inner(node, word, called)
        step = Step(word, node.place, values, tags, tests)
        if word.check is not None:
            told = len(self.problems.found)
            word.check(self, step)
            if len(self.problems.found) > told:
                raise _Wrong
        return step

    def _inner(self, node: Node, word: Word, called: str) -> tuple[Step, ...]:
        if word.inner is Inner.NONE and node.tests:
            first = node.tests[0]
            if isinstance(word, Command) and not node.has_list and first.name not in self.language.tests:
                raise self._wrong(first.place, f"missing semicolon ';' after the {called}")
            raise self._wrong(node.place, f"the {called} accepts no sub-tests, but some are specified")
        if word.inner is Inner.ONE and (len(node.tests) != 1 or node.has_list):
            raise self._wrong(node.place, f"the {called} requires one test, not {'a list' if node.has_list else 'none'}")
        if word.inner is Inner.LIST and not node.has_list:
            raise self._wrong(node.place, f"the {called} requires a list of tests in parentheses")
        found: list[Step] = []
        wrong = None
        for test in node.tests:
            try:
                found.append(self._test(test))
            except _Wrong as problem:
                wrong = problem
        if wrong is not None:
            raise wrong
        return tuple(found)

    def _arguments(self, node: Node, word: Word, called: str) -> tuple[dict[str, TagUse], tuple[Value, ...]]:
        """The tags by their groups, and the positional arguments."""
        rules = {rule.name: rule for rule in word.tags if not rule.extension or rule.extension in self.extensions}
        tags: dict[str, TagUse] = {}
        positional: list[Number | Strings] = []
        arguments = iter(node.arguments)
        for argument in arguments:
            if not isinstance(argument, Tag):
                positional.append(argument)
                continue
            rule = rules.get(argument.name)
            if rule is None:
                raise self._unknown_tag(argument, word, called)
            if positional:
                raise self._wrong(
                    argument.place, f"unexpected ':{argument.name}' in the {called}: tags stand before the arguments without one"
                )
            if (first := tags.get(rule.of_group)) is not None:
                raise self._wrong(
                    argument.place, f"unexpected ':{argument.name}' in the {called}, which has ':{first.name}' already"
                )
            value = self._tag_value(argument, rule, next(arguments, None), called) if rule.takes else None
            tags[rule.of_group] = TagUse(argument.name, argument.place, value)
        return tags, self._positional(node, word, called, positional)

    def _unknown_tag(self, tag: Tag, word: Word, called: str) -> _Wrong:
        needs = next((rule.extension for rule in word.tags if rule.name == tag.name), "")
        if needs:
            return self._wrong(tag.place, f"unknown tagged argument ':{tag.name}' for the {called} without require \"{needs}\"")
        known = ", ".join(f":{rule.name}" for rule in word.tags if not rule.extension or rule.extension in self.extensions)
        known = f"its tags are {known}" if known else "it has no tags"
        return self._wrong(tag.place, f"unknown tagged argument ':{tag.name}' for the {called} ({known})")

    def _tag_value(self, tag: Tag, rule: TagRule, value: Argument | None, called: str) -> Value:
        assert rule.takes is not None
        if value is None or isinstance(value, Tag) or not _fits(value, rule.takes):
            raise self._wrong(tag.place, f"the tag ':{tag.name}' of the {called} expects a {rule.takes.value} after it")
        return self._value(value)

    def _positional(self, node: Node, word: Word, called: str, arguments: list[Number | Strings]) -> tuple[Value, ...]:
        most, least = len(word.takes), len(word.takes) - word.optional - word.missing
        if not least <= len(arguments) <= most:
            wanted = str(most) if least == most else f"{least} or {most}"
            few = "" if most == 1 else "s"
            self.problem(
                node.place, f"the {called} requires {wanted} positional argument{few}, but {len(arguments)} is specified"
            )
            first = node.tests[0] if node.tests else None
            if first is not None and any(rule.name == first.name for rule in word.tags):  # address is "from" "x"
                self.problem(first.place, f"missing colon ':' before the '{first.name}' tag of the {called}")
            raise _Wrong
        rules = word.takes[: len(arguments)] if word.missing else word.takes[most - len(arguments) :]
        for index, (argument, rule) in enumerate(zip(arguments, rules, strict=True), 1):
            if not _fits(argument, rule.shape):
                found = "number" if isinstance(argument, Number) else "string list" if argument.is_list else "string"
                raise self._wrong(
                    argument.place,
                    f"the {called} expects a {rule.shape.value} as argument {index} ({rule.name}), but a {found} was found",
                )
        return tuple(self._value(argument) for argument in arguments)

    def _value(self, argument: Number | Strings) -> Value:
        if isinstance(argument, Number):
            return argument.value
        return tuple(self._text(written, argument.place) for written in argument.values)

    def _text(self, written: str, place: Place) -> Text:
        return read_text(
            written,
            place,
            self.problems,
            encoded="encoded-character" in self.extensions,
            variables="variables" in self.extensions,
            namespaces=self.namespaces,
        )


def _near(name: str, known: Iterable[str]) -> str:
    """The nearest name there is, as the end of a problem."""
    near = get_close_matches(name, known, 1)
    return f"; did you mean '{near[0]}'?" if near else ""


def _fits(argument: Number | Strings, shape: Shape) -> bool:
    if isinstance(argument, Number):
        return shape is Shape.NUMBER
    return shape is Shape.STRINGS or (shape is Shape.STRING and not argument.is_list)
