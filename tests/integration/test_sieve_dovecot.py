"""Every script of ours comes to the same actions in a real Dovecot."""

from collections.abc import Iterator

import pytest

from support.sieve import Case, SieveTest, sieve_test
from support.sieve_cases import CASES


@pytest.fixture(scope="module")
def dovecots() -> Iterator[SieveTest]:
    with sieve_test() as started:
        yield started


@pytest.mark.parametrize("case", [case for case in CASES if not case.differs], ids=lambda case: case.name)
def test_dovecot_does_the_same(dovecots: SieveTest, case: Case) -> None:
    assert dovecots.actions(case.script) == case.actions
