"""Scripts come to the actions that the RFCs ask for."""

import pytest

from support.sieve import Case, run_script, told
from support.sieve_cases import CASES


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_script_comes_to(case: Case) -> None:
    outcome = run_script(case.script)
    assert outcome.problem is None
    assert told(outcome) == case.actions
