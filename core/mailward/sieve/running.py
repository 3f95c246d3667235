"""How is a checked script run? The words of the language, the steps that a script was compiled to, and one run of them.

A word is a name with what may stand behind it (`arguments`) and one function that does it; the words of an extension are a table
in its module. A run knows nothing of any word: it keeps the variables, gathers actions, and counts what it takes (`spending`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from mailward.formats.message import MessageView
from mailward.formats.part import PartView
from mailward.formats.text import one_line
from mailward.sieve.actions import Action, FileInto, Keep, Redirect, Reject, Vacation
from mailward.sieve.arguments import Inner, TagRule, TagUse, Takes, Value
from mailward.sieve.endings import RunProblem
from mailward.sieve.limits import Limits
from mailward.sieve.problems import Place, Problem, Problems
from mailward.sieve.spending import Spending
from mailward.sieve.text import Reference, Text
from mailward.sieve.world import Outside, World


@dataclass(frozen=True, slots=True)
class Step:
    """One command or test, checked. values: the positional arguments. chain: of an if, its elsif and else."""

    word: "Word"
    place: Place
    values: tuple[Value, ...] = ()
    tags: Mapping[str, TagUse] = field(default_factory=dict)
    tests: tuple["Step", ...] = ()
    block: tuple["Step", ...] = ()
    chain: tuple["Step", ...] = ()

    def strings(self, index: int) -> tuple[Text, ...]:
        value = self.values[index]
        assert isinstance(value, tuple)
        return value

    def string(self, index: int) -> Text:
        return self.strings(index)[0]

    def number(self, index: int) -> int:
        value = self.values[index]
        assert isinstance(value, int)
        return value


class Checking:
    """What the check of a word may ask and tell. variables: the names that are set."""

    def __init__(self, language: "Language", problems: Problems, limits: Limits) -> None:
        self.language = language
        self.extensions: set[str] = set()
        self.variables: set[str] = set()
        self.problems = problems
        self.limits = limits

    @property
    def namespaces(self) -> frozenset[str]:
        """Of variables, as far as their extensions are required."""
        return frozenset(name for name, extension in self.language.namespaces.items() if extension in self.extensions)

    def problem(self, place: Place, text: str) -> None:
        self.problems.add(place, text)


@dataclass(frozen=True, slots=True)
class Word:
    """A command or a test. takes: its positional arguments. optional, missing: how many of the first, and of the last, may lack.

    extension: what has to be required for it, "" for nothing. check: looks at what types and tags do not tell.
    """

    name: str
    takes: tuple[Takes, ...] = ()
    tags: tuple[TagRule, ...] = ()
    extension: str = ""
    inner: Inner = Inner.NONE
    optional: int = 0
    missing: int = 0
    check: Callable[[Checking, Step], None] | None = None


@dataclass(frozen=True, slots=True)
class Command(Word):
    """has_block: a block follows, never a semicolon."""

    do: Callable[["Run", Step], None] = lambda run, step: None
    has_block: bool = False


@dataclass(frozen=True, slots=True)
class Test(Word):
    __test__ = False

    holds: Callable[["Run", Step], bool] = lambda run, step: False


@dataclass(frozen=True, slots=True, eq=False)
class Language:
    """All the words there are, and the names that may be required. namespaces: of variables, by the extension they belong to."""

    commands: Mapping[str, Command]
    tests: Mapping[str, Test]
    extensions: frozenset[str]
    namespaces: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Script:
    """A compiled script; it can be run any number of times. name: as problems are told, "" for the owner's active one."""

    name: str
    steps: tuple[Step, ...]
    extensions: frozenset[str]


_NOT_WITH_REJECT = (Keep, FileInto, Redirect, Reject, Vacation)
_PROBLEM_CHARACTERS = 500
_READ_AT_ONCE = 16
"""Characters of a constant that cost what looking at one does."""
_QUESTION_CHARACTERS = 10_000
_ITEM_CHARACTERS = 16
"""What one string of a list costs, however short it is."""


@dataclass(frozen=True, slots=True)
class Mark:
    """What is to be remembered once the actions are done (RFC 7352). key: opaque. period_s: for how long."""

    key: str
    period_s: int


@dataclass(slots=True)
class Scope:
    """What belongs to one script of a run. globals: the names that it shares with the others (RFC 6609 section 3.4)."""

    script: Script
    variables: dict[str, str] = field(default_factory=dict)
    globals: set[str] = field(default_factory=set)


class Run:
    """One script, one message. received: as it came. message: as the script has made it so far.

    edited: the same, None while nothing of it was changed. actions: what is to be done, in order. keeps: whether the implicit
    keep still holds. part: of the loop that runs. marks: what is to be remembered. compiled, including, included: the scripts
    that were included so far, those inside each other now, and how often. flags: of the messages that are stored from now on.
    match_values: of the last match. spending: what it has taken so far.
    """

    def __init__(self, script: Script, message: MessageView, world: World, language: Language, limits: Limits) -> None:
        self.received = self.message = message
        self.part: PartView | None = None
        self.edited: MessageView | None = None
        self.world = world
        self.language = language
        self.limits = limits
        self.spending = Spending(limits)
        self.scope = Scope(script)
        self.globals: dict[str, str] = {}
        self.match_values: tuple[str, ...] = ()
        self.actions: list[Action] = []
        self.flags = world.flags
        self.marks: list[Mark] = []
        self.compiled: dict[tuple[str, str], Script] = {}
        self.including: list[tuple[str, str]] = []
        self.included = 0
        self.keeps = True
        self._place = Place(1, 1)

    def steps(self, steps: tuple[Step, ...]) -> None:
        """Do the commands in order."""
        for step in steps:
            self.count(step)
            assert isinstance(step.word, Command)
            step.word.do(self, step)

    def holds(self, step: Step) -> bool:
        """Whether a test is true."""
        self.count(step)
        assert isinstance(step.word, Test)
        return step.word.holds(self, step)

    def count(self, step: Step) -> None:
        """Count a command or test, and each part of a loop."""
        self._place = step.place
        self.spending.step()

    @property
    def outside(self) -> Outside:
        """For one question, which is counted, since it may cost what reading a page does."""
        self.spending.look_through(_QUESTION_CHARACTERS)
        return self.world.outside

    def mark(self, mark: Mark) -> None:
        """Have something remembered."""
        if len(self.marks) >= self.limits.marks:
            raise RunProblem(f"the script has more than {self.limits.marks} messages remembered")
        self.marks.append(mark)

    def at(self, step: Step) -> tuple[str, Place]:
        """What an action is told from: the script and the place of its command."""
        return self.scope.script.name, step.place

    def act(self, action: Action, *, keeps: bool = False) -> None:
        """Have something done. keeps: the implicit keep stays."""
        if len(self.actions) >= self.limits.actions:
            raise RunProblem(f"the total number of actions exceeds policy limit ({self.limits.actions})")
        # RFC 5429 section 2.3: a message that is refused goes nowhere else.
        others = [one for one in (*self.actions, action) if isinstance(one, _NOT_WITH_REJECT)]
        if isinstance(action, _NOT_WITH_REJECT) and len(others) > 1 and any(isinstance(one, Reject) for one in others):
            raise RunProblem(f"a message that is rejected cannot be stored or sent, too (line {others[0].place.line})")
        self.actions.append(action)
        self.keeps = self.keeps and keeps

    def store(self, action: Keep | FileInto, *, keeps: bool = False) -> None:
        """Have the message stored. In one mailbox it is stored once; what is asked for last holds."""
        place = action.mailbox if isinstance(action, FileInto) else ""
        for number, other in enumerate(self.actions):
            if isinstance(other, Keep | FileInto) and place == (other.mailbox if isinstance(other, FileInto) else ""):
                self.actions[number] = action
                self.keeps = self.keeps and keeps
                return
        self.act(action, keeps=keeps)

    def edit(self, message: MessageView) -> None:
        """Go on with a changed message."""
        self.message = self.edited = message

    def text(self, text: Text) -> str:
        """A string with its variables filled in."""
        if (constant := text.constant) is not None:
            self.spending.look_through(len(constant) // _READ_AT_ONCE)
            return constant
        filled = "".join(piece if isinstance(piece, str) else self.variable(piece) for piece in text.pieces)
        self.spending.make(len(filled))
        return filled

    def texts(self, texts: tuple[Text, ...]) -> list[str]:
        self.spending.look_through(_ITEM_CHARACTERS * len(texts))
        return [self.text(text) for text in texts]

    def variable(self, reference: Reference) -> str:
        """The value, "" for one that was never set (RFC 5229 section 3)."""
        if reference.index is not None:
            return self.match_values[reference.index] if reference.index < len(self.match_values) else ""
        return self.variable_named(reference.name)

    def variable_named(self, name: str) -> str:
        """name: in lower case."""
        values, name = self._values(name)
        return values.get(name, "")

    def set_variable(self, name: str, value: str) -> None:
        """name: in lower case. A value that is too long is cut."""
        values, name = self._values(name)
        if name not in values and len(values) >= self.limits.variables:
            raise RunProblem(f"the script has more than {self.limits.variables} variables")
        values[name] = value[: self.limits.variable_characters]

    def _values(self, name: str) -> tuple[dict[str, str], str]:
        if name.startswith("global."):
            return self.globals, name.removeprefix("global.")
        return (self.globals if name in self.scope.globals else self.scope.variables), name

    def problem(self, problem: RunProblem) -> Problem:
        """What the owner is told."""
        return Problem(problem.place or self._place, one_line(problem.text, _PROBLEM_CHARACTERS), self.scope.script.name)
