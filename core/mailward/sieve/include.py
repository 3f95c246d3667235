"""Scripts in scripts: include, return, global (RFC 6609); and scripts that ask what there is: ihave, error (RFC 5463)."""

from contextlib import suppress

from mailward.sieve.arguments import Shape, TagRule, Takes
from mailward.sieve.check import ScriptError
from mailward.sieve.compiled import compile_script
from mailward.sieve.endings import Return, RunProblem
from mailward.sieve.running import Checking, Command, Run, Scope, Script, Step, Test
from mailward.sieve.variables import check_name
from mailward.sieve.world import Location

_COMPILING = 20
"""How much dearer it is to compile a script than to look at it."""
_ALWAYS_REQUIRED = frozenset({"variables", "encoded-character"})
"""What changes how strings are read cannot come by a test (RFC 5463 section 4)."""


def _include(run: Run, step: Step) -> None:
    location: Location = "global" if "location" in step.tags and step.tags["location"].name == "global" else "personal"
    name = step.string(0).constant or ""
    key = (location, name)
    if "once" in step.tags and key in run.compiled:
        return
    if key in run.including:
        raise RunProblem(f"the script {name!r} includes itself", step.place)
    if len(run.including) >= run.limits.includes:
        raise RunProblem(f"scripts include each other deeper than {run.limits.includes}", step.place)
    run.included += 1
    if run.included > run.limits.included:
        raise RunProblem(f"the script includes more than {run.limits.included} scripts", step.place)
    script = run.compiled.get(key) or _fetched(run, step, location, name)
    if script is None:
        return
    run.compiled[key] = script
    outer, run.scope = run.scope, Scope(script)
    run.including.append(key)
    with suppress(Return):
        run.steps(script.steps)
    run.including.pop()
    run.scope = outer


def _fetched(run: Run, step: Step, location: Location, name: str) -> Script | None:
    octets = run.outside.script(location, name)
    if octets is None:
        if "optional" in step.tags:
            return None
        raise RunProblem(f"there is no {location} script {name!r} to include", step.place)
    run.spending.look_through(_COMPILING * len(octets))
    try:
        return compile_script(octets, run.language, run.limits, name)
    except ScriptError as error:
        raise RunProblem(f"the included script has problems: {error.problems[0]}", step.place) from None


def _check_include(checking: Checking, step: Step) -> None:
    name = step.string(0)
    if name.constant is None:
        checking.problem(name.place, "the name of an included script is constant; it cannot come from a variable")
    elif not name.constant or "/" in name.constant or not name.constant.isprintable():
        checking.problem(name.place, f"{name.constant[:40]!r} is no name of a script")


def _return(run: Run, step: Step) -> None:
    raise Return


def _global(run: Run, step: Step) -> None:
    run.scope.globals |= {(name.constant or "").lower() for name in step.strings(0)}


def _check_global(checking: Checking, step: Step) -> None:
    if "variables" not in checking.extensions:
        checking.problem(step.place, 'the global command needs require "variables" at the top')
        return
    for name in step.strings(0):
        check_name(checking, name)
        if "." in (name.constant or ""):
            checking.problem(name.place, "a global variable is named without its namespace here")


def _ihave(run: Run, step: Step) -> bool:
    return all(_is_there(run.language.extensions, name) for name in run.texts(step.strings(0)))


def _is_there(extensions: frozenset[str], name: str) -> bool:
    return name in extensions and name not in _ALWAYS_REQUIRED


def _check_ihave(checking: Checking, step: Step) -> None:
    """What is there counts as required from here on."""
    names = [name.constant for name in step.strings(0)]
    checking.extensions |= {name for name in names if name and _is_there(checking.language.extensions, name)}


def _error(run: Run, step: Step) -> None:
    raise RunProblem(run.text(step.string(0)), step.place)


COMMANDS = (
    Command(
        "include",
        (Takes("script name", Shape.STRING),),
        (TagRule("personal", "location"), TagRule("global", "location"), TagRule("once"), TagRule("optional")),
        "include",
        check=_check_include,
        do=_include,
    ),
    Command("return", extension="include", do=_return),
    Command("global", (Takes("variable names", Shape.STRINGS),), extension="include", check=_check_global, do=_global),
    Command("error", (Takes("message", Shape.STRING),), extension="ihave", do=_error),
)
TESTS = (Test("ihave", (Takes("capabilities", Shape.STRINGS),), extension="ihave", check=_check_ihave, holds=_ihave),)
