"""Which flags will the message have? (RFC 5232)

A list of flags is text with blanks between them, so that a variable can hold one; without a variable the list is the run's own.
"""

import re

from mailward.sieve.arguments import Shape, TagRule, Takes
from mailward.sieve.matching import MATCHING, check_matching, matches_texts
from mailward.sieve.running import Checking, Command, Run, Step, Test
from mailward.sieve.variables import check_variable

FLAGS = TagRule("flags", takes=Shape.STRINGS, extension="imap4flags")
_SYSTEM = frozenset({"\\answered", "\\flagged", "\\deleted", "\\seen", "\\draft"})
_KEYWORD = re.compile(r"[!#$&\'+,./0-9:;<=>?@A-Z[^_`a-z|}~-]+")
"""An atom (RFC 9051 section 9); RFC 5232 section 2 lets what is none be left out."""
_MOST_FLAGS = 100


def flags_of(run: Run, step: Step) -> tuple[str, ...]:
    """The flags that an action is to set: those of its tag, else those of the run."""
    use = step.tags.get("flags")
    return _read(run, run.texts(use.strings)) if use else run.flags


def _read(run: Run, lists: list[str]) -> tuple[str, ...]:
    """The flags in these lists, each once, the first spelling kept."""
    run.spending.look_through(sum(map(len, lists)))
    found: dict[str, str] = {}
    for flag in " ".join(lists).split():
        if flag.lower() in _SYSTEM or _KEYWORD.fullmatch(flag):
            found.setdefault(flag.lower(), flag)
    return tuple(found.values())[:_MOST_FLAGS]


def _change(run: Run, step: Step) -> None:
    """The three commands: what they do to the flags there are."""
    variable = (step.string(0).constant or "").lower() if len(step.values) == 2 else ""
    given = _read(run, run.texts(step.strings(len(step.values) - 1)))
    standing = _read(run, [run.variable_named(variable)]) if variable else run.flags
    if step.word.name == "addflag":
        given = _read(run, [*standing, *given])
    elif step.word.name == "removeflag":
        gone = {flag.lower() for flag in given}
        given = tuple(flag for flag in standing if flag.lower() not in gone)
    if variable:
        run.set_variable(variable, " ".join(given))
    else:
        run.flags = given


def _check(checking: Checking, step: Step) -> None:
    if len(step.values) == 2:
        if "variables" not in checking.extensions:
            checking.problem(step.place, 'the name of a variable needs require "variables" at the top')
        else:
            check_variable(checking, step)


def _hasflag(run: Run, step: Step) -> bool:
    if len(step.values) == 2:
        flags = tuple(flag for name in run.texts(step.strings(0)) for flag in _read(run, [run.variable_named(name.lower())]))
    else:
        flags = run.flags
    # RFC 5232 section 2: a string of the list may hold several flags.
    keys = [key for text in run.texts(step.strings(len(step.values) - 1)) for key in text.split() or [""]]
    return matches_texts(run, step, flags, keys)


def _check_hasflag(checking: Checking, step: Step) -> None:
    check_matching(checking, step)
    if len(step.values) == 2 and "variables" not in checking.extensions:
        checking.problem(step.place, 'the name of a variable needs require "variables" at the top')


_LIST = Takes("list of flags", Shape.STRINGS)
_ONE = (Takes("variable name", Shape.STRING), _LIST)
COMMANDS = tuple(
    Command(name, _ONE, extension="imap4flags", optional=1, check=_check, do=_change)
    for name in ("setflag", "addflag", "removeflag")
)
TESTS = (
    Test(
        "hasflag",
        (Takes("variable list", Shape.STRINGS), _LIST),
        MATCHING,
        "imap4flags",
        optional=1,
        check=_check_hasflag,
        holds=_hasflag,
    ),
)
