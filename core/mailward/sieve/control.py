"""What comes next? if, stop, and the tests that are made of tests (RFC 5228 sections 3.1, 3.3, 5.2, 5.3, 5.6, 5.8, 5.10)."""

from mailward.sieve.arguments import Inner
from mailward.sieve.endings import Stop
from mailward.sieve.running import Command, Run, Step, Test


def _if(run: Run, step: Step) -> None:
    for branch in (step, *step.chain):
        if not branch.tests or run.holds(branch.tests[0]):
            run.steps(branch.block)
            return


def _stop(run: Run, step: Step) -> None:
    raise Stop


COMMANDS = (
    Command("if", inner=Inner.ONE, has_block=True, do=_if),
    Command("elsif", inner=Inner.ONE, has_block=True),
    Command("else", has_block=True),
    Command("stop", do=_stop),
)
TESTS = (
    Test("true", holds=lambda run, step: True),
    Test("false", holds=lambda run, step: False),
    Test("not", inner=Inner.ONE, holds=lambda run, step: not run.holds(step.tests[0])),
    Test("allof", inner=Inner.LIST, holds=lambda run, step: all(run.holds(test) for test in step.tests)),
    Test("anyof", inner=Inner.LIST, holds=lambda run, step: any(run.holds(test) for test in step.tests)),
)
