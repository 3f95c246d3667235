"""What does a script want to be done with a message?

Pure but for a bound on processor time: the same script, message and world give the same actions, so that it can be rehearsed.
"""

from dataclasses import dataclass

from mailward.formats.message import MessageView
from mailward.sieve.actions import Action, Discard, Keep
from mailward.sieve.endings import RunProblem, Stop
from mailward.sieve.language import LANGUAGE
from mailward.sieve.limits import LIMITS, Limits
from mailward.sieve.problems import Place, Problem
from mailward.sieve.running import Language, Mark, Run, Script
from mailward.sieve.world import World


@dataclass(frozen=True, slots=True)
class Outcome:
    """actions: what is to be done, in order; never nothing. problem: why the script did not end well, for its owner.

    marks: what is to be remembered once that is done.
    """

    actions: tuple[Action, ...]
    problem: Problem | None = None
    marks: tuple[Mark, ...] = ()


def evaluate(
    script: Script, message: MessageView, world: World, language: Language = LANGUAGE, limits: Limits = LIMITS
) -> Outcome:
    """Run a script. Never raises on content: what goes wrong keeps the message and nothing else (RFC 5228 section 2.10.6)."""
    run = Run(script, message, world, language, limits)
    try:
        run.steps(script.steps)
    except Stop:
        pass
    except RunProblem as problem:
        return Outcome((Keep(script.name, Place(0, 0), is_implicit=True),), run.problem(problem))
    return outcome_of(run)


def outcome_of(run: Run) -> Outcome:
    """The actions of a run that ended well. A discard beside something else only takes the implicit keep away."""
    done = tuple(action for action in run.actions if not isinstance(action, Discard)) or tuple(run.actions)
    return Outcome((*done, _implicit_keep(run)) if run.keeps else done, marks=tuple(run.marks))


def _implicit_keep(run: Run) -> Keep:
    return Keep(run.scope.script.name, Place(0, 0), run.flags, run.edited, is_implicit=True)
